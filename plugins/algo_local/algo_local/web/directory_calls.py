"""Calls the algorithm in an unpublished directory: `algo run ./DIR`, and `algo local dev`, `test` and `shell`."""

from __future__ import annotations

import os
import re
import threading
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from algo_core.errors import NotFoundError, UsageError
from algo_core.storage.uri import pasted
from algo_local.algorithms.build import Build
from algo_local.algorithms.configuration import LIKE, NAME, identity, meant, read_configuration
from algo_local.algorithms.drafts import Drafts
from algo_local.algorithms.progress import told_regularly
from algo_local.algorithms.registry import Algorithm, Version
from algo_local.callers import Caller
from algo_local.execution.payload import Outcome
from algo_local.execution.workers.stack_traces import own_files, own_frames
from algo_local.metadata.secrets import check_variable
from algo_local.records.record import NONE
from algo_local.web.app import Application
from algo_local.web.handlers.invoke import call_version
from algo_local.web.transport import PREFIX, EmbeddedTransport

if TYPE_CHECKING:
    from algo_core.http.response import Response as Received
    from algo_core.http.transport import Request as Sent
    from algo_core.plugins.types import DirectoryRun
    from algo_local.platform import Platform
    from algo_local.web.http import Request, Response

CALLS = "/v1/algo/"
"""How the paths of calls begin."""
_VARIABLE = re.compile(r"[A-Za-z_][A-Za-z0-9_]*", re.ASCII)
_DEPTH = 4
"""Directories above a file in which the algorithm that it belongs to is looked for."""


class DirectoryCalls:
    """A snapshot of an algorithm's directory, built, and calls of it."""

    def __init__(self, platform: Platform, run: DirectoryRun) -> None:
        """Build it.

        Raises:
            NotFoundError, UsageError: if the path is not that of an algorithm's directory.
            BuildError: if it cannot be built.
            RequestRefused: if a variable cannot be set.
        """
        self._platform = platform
        self._run = run
        self.path = path = algorithm_directory(run.directory)
        owner, name = identity(path, read_configuration(path), platform.account)
        known = platform.registry.algorithm(owner, name)
        variables = {**_secrets(platform, known, run.secrets, f"{owner}/{name}"), **run.variables}
        _check_variables(run.variables)
        self._drafts = Drafts(platform.root)
        try:
            with told_regularly(run.report, run.on_delay) as report:
                build = self._drafts.build(path, owner, name, report)
        except BaseException:
            self.close()
            raise
        algorithm = replace(known or Algorithm("", owner, name, 0.0), request_records=NONE, has_secrets=False)
        build = replace(build, network_access=algorithm.network_access, secrets=tuple(variables.items()))
        self.version = Version(algorithm, build, "", 0.0, 0.0)

    def answer(self, request: Request, caller: Caller | None = None) -> Response:
        """The response to a call by an account, else by the platform's own user."""
        account, owner = caller.account if caller else self._platform.account, self.version.algorithm.owner
        # Whoever has the files may see inside, whatever account they name as the owner.
        caller = Caller(account, roles={**self._platform.metadata.roles(account), owner: "owner"})

        def execute(build: Build, *arguments: Any, **options: Any) -> Outcome:
            options["on_output"] = _both(options.get("on_output"), self._run.on_output)
            outcome = self._platform.executor.call(build, *arguments, **options)
            return self._in_own_words(outcome, is_whole=request.flag("stdout"))

        return call_version(self._platform, caller, request, self.version, execute)

    def close(self) -> None:
        """Remove the build."""
        self._drafts.close()

    def _in_own_words(self, outcome: Outcome, *, is_whole: bool) -> Outcome:
        """The outcome with the names of the directory's files and, unless `is_whole`, the author's frames only."""
        failure = outcome.failure
        if not failure:
            return outcome
        processes = self._platform.root / "processes"
        trace = failure.stacktrace and own_files(failure.stacktrace, processes, self._run.directory)
        if trace and not is_whole:
            trace = own_frames(trace, self._run.directory) or None
        message = own_files(failure.message, processes, self._run.directory)
        return replace(outcome, failure=replace(failure, message=message, stacktrace=trace))


class DirectoryTransport:
    """Answers calls with the algorithm in a directory, built once when the first call arrives."""

    def __init__(self, platform: Platform, run: DirectoryRun) -> None:
        self._platform = platform
        self._run = run
        self._transport = EmbeddedTransport(Application(platform, trusted=True, interceptor=self._answer))
        self._calls: DirectoryCalls | None = None
        self._lock = threading.Lock()

    def send(self, request: Sent) -> Received:
        """The response to a request; raises as `DirectoryCalls` does."""
        with self._lock:
            if self._calls is None:
                self._calls = DirectoryCalls(self._platform, self._run)
        return self._transport.send(request._replace(url=PREFIX + request.url.partition(":")[2]))

    def close(self) -> None:
        """Wait for calls without a response to end, and remove what was built."""
        self._transport.close()
        if self._calls:
            self._calls.close()

    def _answer(self, request: Request) -> Response | None:
        assert self._calls
        return self._calls.answer(request) if request.path.startswith(CALLS) else None


def algorithm_directory(text: str, command: str = "algo run") -> Path:
    """The directory of an algorithm, from its path as it was typed; hints say what to give to `command`.

    Raises:
        NotFoundError: if there is nothing of this name.
        UsageError: if it is a file, or a directory without an algorithm.
    """

    def shown(directory: str) -> str:
        return f"`{command} {pasted(directory)}`"

    path = Path(os.path.expanduser(text))
    if not path.exists():
        near = _siblings(path)
        close = meant(path.name, near)
        hint = f"Did you mean {shown(near[close])}?" if close else _known(near.values(), shown)
        raise NotFoundError(f"There is no directory {text}", hint)
    if not path.is_dir():
        above = next((one for one in list(path.parents)[:_DEPTH] if (one / NAME).is_file()), None)
        hint = f"Name its directory: {shown(_shown(above))}" if above else "Name the directory that holds its src/"
        raise UsageError(f"{text} is a file, not an algorithm's directory", hint)
    if not (path / NAME).is_file():
        below = sorted(one.parent for one in path.glob(f"*/{NAME}"))
        above = next((one for one in list(path.resolve().parents)[:_DEPTH] if (one / NAME).is_file()), None)
        if below:
            hint = f"Did you mean {' or '.join(shown(_shown(one)) for one in below[:3])}?"
        elif above:
            hint = f"Name the directory that has one: {shown(str(above))}"
        else:
            hint = f"Describe the algorithm in {pasted(path / NAME)}, for example with {LIKE}"
        raise UsageError(f"{text} has no {NAME}, so it is not an algorithm's directory", hint)
    return path


def _siblings(path: Path) -> dict[str, str]:
    """The directories beside a path, as paths to type."""
    try:
        return {one.name: _shown(one) for one in path.parent.iterdir() if one.is_dir()}
    except OSError:
        return {}


def _known(near: Iterable[str], shown: Callable[[str], str]) -> str:
    algorithms = sorted(one for one in near if (Path(one) / NAME).is_file())[:3]
    if algorithms:
        return f"There is {' or '.join(map(shown, algorithms))}"
    return "Begin a new algorithm with a template: algo template python3 DIR"


def _shown(path: Path) -> str:
    """A path in the form that `algo run` accepts."""
    text = str(path)
    return text if text.startswith(("/", "./", "../")) or text in {".", ".."} else f"./{text}"


def _both(first: Callable[[bytes], object] | None, second: Callable[[bytes], object] | None) -> Callable[[bytes], None]:
    def tell(data: bytes) -> None:
        for listener in (first, second):
            if listener:
                listener(data)

    return tell


def _secrets(platform: Platform, known: Algorithm | None, names: Sequence[str], shown: str) -> dict[str, str]:
    """The values of an algorithm's secrets, by their variables; each is named by that, or by its short name."""
    if not names:
        return {}
    secrets = platform.secrets.of(known.id) if known else []
    by_name = {name: secret.secret_key for secret in secrets for name in (secret.short_name, secret.secret_key)}
    values = platform.secrets.environment(known.id) if known else {}
    found = {}
    for name in names:
        if name not in by_name:
            close = meant(name, by_name)
            raise NotFoundError(
                f"{shown} has no secret {name!r}",
                f"Did you mean {close!r}?" if close else f"Give the value with --env {name}=VALUE",
            )
        found[by_name[name]] = values[by_name[name]]
    return found


def _check_variables(variables: Mapping[str, str]) -> None:
    for name in variables:
        if not _VARIABLE.fullmatch(name):
            raise UsageError(f"Not the name of a variable: {name!r}", "Names have letters, digits and '_'")
        check_variable(name)
