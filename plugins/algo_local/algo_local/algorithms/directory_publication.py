"""Builds directories and publishes them as a given version, or as the next one."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from algo_core.errors import AlgoError, AlreadyExists
from algo_local.algorithms.build import Build, NetworkAccess
from algo_local.algorithms.configuration import read_configuration
from algo_local.algorithms.publication import next_number
from algo_local.algorithms.registry import Algorithm, Number, Registry, Version, parse_version

if TYPE_CHECKING:
    from algo_local.algorithms.builder import Builder

_TRIES = 10
"""How often the next number is looked for, where others publish versions of the same algorithm at once."""


@dataclass(frozen=True, slots=True)
class Sample:
    """An input of an algorithm and its output, as JSON."""

    input: str = ""
    output: str = ""


TryIt = Callable[[Build, Algorithm | None], Sample]
"""Calls a build before it is published; whatever it raises keeps that from happening."""


@dataclass(frozen=True, slots=True)
class Wish:
    """The requested version and options of a publication."""

    version: str | None = None
    """`X.Y.Z`; None for the next one."""
    kind: str = "revision"
    """What is new about the next one: `major`, `minor` or `revision`."""
    public: bool = True
    network_access: NetworkAccess | None = None
    """The access of all versions of the algorithm from now on; None changes nothing."""
    python: tuple[int, ...] = ()
    """The version of Python to run it with; if it is empty, `algorithmia.conf` says, else it is the platform's own."""


def publish_directory(
    registry: Registry,
    builder: Builder,
    directory: Path,
    names: tuple[str, str],
    wish: Wish,
    *,
    try_it: TryIt | None = None,
    report: Callable[[str], None] | None = None,
) -> tuple[Version, bool]:
    """Build and publish a directory; returns the version, and whether it is new.

    Without a number in the wish, content that the newest version has already is not published again.

    Raises:
        UsageError: if the version is no semantic version.
        AlreadyExists: if that version is published already.
        BuildError: if the directory cannot be built.
        AlgoError: what `try_it` raises, or if versions of the same files run with another Python than is wished.
    """
    number = parse_version(wish.version) if wish.version else None
    if number:
        registry.refuse_existing(*names, number)
    known = registry.algorithm(*names)
    started = time.time()
    with builder.building():
        build = builder.build(directory, *names, report=report, python=wish.python)
        if known and wish.python:
            _refuse_another_python(registry, known, build)
        if known and not number and (same := _newest_with(registry, known, build, wish)):
            return same, False
        sample = try_it(build, known) if try_it else Sample()
        for left in reversed(range(_TRIES)):
            try:
                published = registry.publish(
                    *names,
                    number or _next(registry, known, wish.kind),
                    build,
                    public=wish.public,
                    started_at=started,
                    network_access=wish.network_access,
                    sample=(sample.input, sample.output),
                    settings=read_configuration(build.source).workers,
                )
                return published, True
            except AlreadyExists:
                if number or not left:
                    raise
                known = registry.algorithm(*names)
    raise AssertionError("the last try returns or raises")


def _refuse_another_python(registry: Registry, algorithm: Algorithm, build: Build) -> None:
    """Refuse to rebuild a published version for another Python: versions never change."""
    known = registry.build(algorithm, build.commit)
    if known and known.build.python != build.python:
        for version in registry.versions(algorithm):
            if version.build_id == known.build_id:
                raise AlgoError(
                    f"The same files are published as {version.text}, with another Python",
                    'Leave out --python, and name the version in algorithmia.conf: "language": "python3.8"',
                )


def _newest_with(registry: Registry, known: Algorithm, build: Build, wish: Wish) -> Version | None:
    """The newest version, if it has this content already and is published as it is wished."""
    newest = next(iter(registry.versions(known)), None)
    if newest and newest.build.commit == build.commit and newest.public == wish.public:
        is_changed = wish.network_access not in {None, known.network_access}
        return None if is_changed else newest
    return None


def _next(registry: Registry, known: Algorithm | None, kind: str) -> Number:
    return next_number(kind, registry.highest(known) if known else None)
