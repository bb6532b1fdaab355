"""Publishes builds as versions (API section 6.3)."""

from __future__ import annotations

import time
import uuid
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from algo_local.algorithms.configuration import read_configuration
from algo_local.algorithms.lifecycle import current, update_in
from algo_local.error_codes import ErrorCode
from algo_local.refusals import Forbidden, Invalid, Missing

if TYPE_CHECKING:
    from algo_local.algorithms.registry import Algorithm, Number, Registry, Version
    from algo_local.metadata.database import Rows

REVISIONS = ("revision", "patch")
"""Two names of the last part of a version's number."""


@dataclass(frozen=True, slots=True)
class Publication:
    """The options of a publication."""

    kind: str = "minor"
    """What is new about it: `major`, `minor`, `revision` or `patch`."""
    number: Number | None = None
    """The number to publish it as, in the place of the next one."""
    callability: str | None = None
    """`public` or `private`; None leaves it to the version before, or to the algorithm's settings."""
    release_notes: str = ""
    sample_input: str = ""
    sample_output: str = ""
    insights_enabled: bool = True


def publish_build(
    registry: Registry,
    algorithm: Algorithm,
    publication: Publication,
    description: Mapping[str, Any],
    *,
    may_be_public: bool,
) -> Version:
    """Publish the last successful build, and update the algorithm's texts with it.

    Raises:
        Missing: if nothing has been built.
        Invalid: if that build or number is published already, if a revision should be seen by others than the version
            that it revises, or if the description contradicts itself.
        Forbidden: if it would be public, and the caller may publish privately only.
    """
    build = registry.newest_build(algorithm)
    if not build:
        raise Missing("There is no build to publish: compile the algorithm first", ErrorCode.ALGORITHM_BUILD_NOT_FOUND)
    said = read_configuration(build.build.source).workers
    kept = said | {name: value for name, value in description.items() if name not in {"callability", "sample_input"}}
    with registry.database.write() as rows:
        published = rows.execute(
            "SELECT major, minor, revision, public, build, unpublished_at IS NULL FROM versions WHERE algorithm = ?"
            " ORDER BY major DESC, minor DESC, revision DESC",
            (algorithm.id,),
        ).fetchall()
        for *number, _, of_build, is_current in published:
            if of_build == build.build_id and is_current:
                known = ".".join(map(str, number))
                message = f"The newest build is published already, as {known}: compile a new commit first"
                raise Invalid(message, ErrorCode.VERSION_ALREADY_PUBLISHED)
        if publication.number in {tuple(row[:3]) for row in published}:
            message = f"Version {'.'.join(map(str, publication.number or ()))} has been published already"
            raise Invalid(message, ErrorCode.VERSION_ALREADY_PUBLISHED)
        before = tuple(published[0][:3]) if published else None
        is_public = _is_public(algorithm, publication, bool(published[0][3]) if published else None)
        if is_public and not may_be_public:
            message = f"Only owners of {algorithm.owner} may publish its algorithms for everybody: publish it privately"
            raise Forbidden(message, ErrorCode.NOT_AUTHORIZED)
        if kept:
            update_in(rows, algorithm, kept)
        number = publication.number or next_number(publication.kind, before)
        identifier = _insert(rows, algorithm, build, number, publication, is_public)
    return next(version for version in registry.versions(current(registry, algorithm.id)) if version.id == identifier)


def next_number(kind: str, before: tuple[int, ...] | None) -> Number:
    """The next version number after `before`, the highest one ever published, or None."""
    major, minor, revision = before or (0, 0, 0)
    if kind == "major":
        return major + 1, 0, 0
    return (major, minor, revision + 1) if kind in REVISIONS and before else (major, minor + 1, 0)


def _is_public(algorithm: Algorithm, publication: Publication, before: bool | None) -> bool:
    """Whether everybody may call the version: a revision keeps the visibility of the revised version."""
    if publication.kind not in REVISIONS or before is None:
        return (publication.callability or algorithm.callability) == "public"
    if publication.callability and (publication.callability == "public") != before:
        message = f"A revision stays {'public' if before else 'private'}, as the version before it: publish a minor one"
        raise Invalid(message, ErrorCode.INPUT_VALIDATION_ERROR)
    return before


def _insert(
    rows: Rows,
    algorithm: Algorithm,
    build: Version,
    number: Number,
    publication: Publication,
    is_public: bool,
) -> str:
    identifier = str(uuid.uuid4())
    values = {
        "id": identifier,
        "algorithm": algorithm.id,
        **dict(zip(("major", "minor", "revision"), number, strict=True)),
        "public": int(is_public),
        "build": build.build_id,
        "published_at": time.time(),
        "release_notes": publication.release_notes,
        "sample_input": publication.sample_input,
        "sample_output": publication.sample_output,
        "insights_enabled": int(publication.insights_enabled),
    }
    rows.execute(
        f"INSERT INTO versions ({', '.join(values)}) VALUES ({', '.join('?' * len(values))})", list(values.values())
    )
    return identifier
