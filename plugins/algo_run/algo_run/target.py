"""The target of a call: a published algorithm, or one in a directory, run by a plugin (`algo_directory`)."""

from __future__ import annotations

import os
import re
import threading
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, NamedTuple

from algo_core.errors import UsageError
from algo_core.storage.uri import OWN_ALGORITHM, AlgorithmRef, parse_algorithm_of, parse_algorithm_ref

if TYPE_CHECKING:
    from algo_core.context import App
    from algo_core.http.api import ApiClient
    from algo_core.terminal.output import Output


class Surroundings(NamedTuple):
    """The environment variables and secrets for an algorithm in a directory."""

    variables: Mapping[str, str]
    secrets: Sequence[str]


class DirectoryRef(AlgorithmRef):
    """The algorithm in a directory, whose path is the owner, as it was typed."""

    @property
    def path(self) -> str:
        """The path below `/v1/algo/`, which its transport does not look at."""
        return os.path.abspath(os.path.expanduser(self.owner))

    def __str__(self) -> str:
        return self.owner


class Target(NamedTuple):
    """The target of a call, and the client for it."""

    api: ApiClient
    reference: AlgorithmRef
    is_directory: bool = False


def is_directory(text: str) -> bool:
    """Whether a directory of this machine is meant: its path begins with `./`, `../`, `~` or `/`, or it exists.

    `OWNER/NAME` is always the name of an algorithm, whatever directories there are; `/OWNER/NAME` is, unless `/OWNER`
    is a directory.
    """
    if text in {".", ".."} or text.startswith(("./", "../", "~")):
        return True
    if re.fullmatch(OWN_ALGORITHM, text, re.DOTALL):
        return False
    if text.startswith("/") and os.path.isdir(f"/{text.split('/')[1]}"):
        return True
    try:
        parse_algorithm_ref(text)
    except UsageError as error:
        is_version = error.message.startswith("Not a version")
        return not is_version and (text.startswith("/") or os.path.exists(text))
    return False


def parsed(algorithm: str) -> AlgorithmRef:
    """The reference to a published algorithm, with a stand-in for the owner `.my`. UsageError if it is none."""
    return parse_algorithm_of(algorithm, lambda: "my")


def reference_of(app: App, algorithm: str) -> AlgorithmRef:
    """The algorithm's reference; `.my` is replaced by the account's name.

    Raises:
        UsageError: if it is no reference.
    """
    return parse_algorithm_of(algorithm, app.api.username)


@contextmanager
def published(app: App, algorithm: str) -> Iterator[Target]:
    """A published algorithm on the platform of the profile. UsageError if it is no reference."""
    yield Target(app.api, reference_of(app, algorithm))


@contextmanager
def opened(
    app: App, directory: str, given: Surroundings | None = None, *, shows_output: bool = False
) -> Iterator[Target]:
    """The algorithm in a directory, as it stands when it is called first.

    With `shows_output` what it prints, and the lines of its build, are shown as they come.

    Raises:
        ConfigError: if no plugin runs directories.
    """
    from algo_core.plugins.types import DirectoryRun

    given = given or Surroundings({}, ())
    printed = Printed(app.output) if shows_output else None
    run = DirectoryRun(
        directory,
        given.variables,
        given.secrets,
        report=app.output.log if shows_output else None,
        on_output=printed.add if printed else None,
        on_delay=app.output.info,
    )
    api = app.open_directory(run)
    try:
        yield Target(api, DirectoryRef(directory, ""), is_directory=True)
    finally:
        api.client.close()
        if printed:
            printed.end()


class Printed:
    """Shows what algorithms print on stderr: whole lines, as they come."""

    def __init__(self, output: Output) -> None:
        self._output = output
        self._rest = b""
        self._lock = threading.Lock()

    def add(self, data: bytes) -> None:
        """Add printed output; may be called from any thread."""
        with self._lock:
            *lines, self._rest = (self._rest + data).split(b"\n")
            for line in lines:
                self._output.log(line.decode("utf-8", "replace"))

    def end(self) -> None:
        """Show an incomplete last line."""
        if self._rest:
            self.add(b"\n")
