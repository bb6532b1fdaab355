"""The contract of executors, which run algorithms on this machine or on others.

`algo_local.testing.ExecutorContract` has its tests, to inherit for every implementation. A plugin offers one with the
hook `algo_executors`; all that it needs of this platform is imported from here.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple, Protocol

from algo_local.algorithms.build import Build
from algo_local.callers import CallContext
from algo_local.execution.payload import SHUTTING_DOWN, Failure, Outcome, Payload
from algo_local.execution.protocol import CANNOT_RUN, INIT_MARKER, decode_answer, encode_request
from algo_local.refusals import TooManyCalls

if TYPE_CHECKING:
    import socket

__all__ = [
    "CANNOT_RUN",
    "INIT_MARKER",
    "RUNNER",
    "SHUTTING_DOWN",
    "Build",
    "CallContext",
    "ClusterExecutor",
    "Description",
    "Endpoint",
    "Executor",
    "Failure",
    "Outcome",
    "Payload",
    "TooManyCalls",
    "command_of",
    "decode_answer",
    "encode_request",
]

RUNNER = Path(__file__).parent / "inside" / "runner.py"
"""The program that runs an algorithm: `PYTHON RUNNER TREE MODULE ANSWERS`, in any Python, without this package.

`PYTHON`, `TREE` and `MODULE` are the build's (`Build.python`, a copy of `Build.source`, `Build.module`). It reads
requests from standard input (`encode_request`), a line each, and for each writes its answer to the file `ANSWERS`
(`decode_answer`). When the algorithm is loaded, it prints a line with `INIT_MARKER`. `command_of` gives the whole
command, for builds in other languages as well.
"""


def command_of(build: Build, tree: Path, answers: Path) -> list[str]:
    """The command that runs a build in any of the languages, as `RUNNER` runs one in Python; `tree` can be written to.

    It needs `Build.python` with the environment around it.
    """
    options = {"python3": ["-I", "-B"], "r": ["--vanilla"]}.get(build.language, [])
    runner = RUNNER.with_suffix({"javascript": ".js", "r": ".R"}.get(build.language, ".py"))
    return [str(build.python), *options, str(runner), str(tree), build.module, str(answers)]


class Notice:
    """An `on_start` that never refuses a call, which may begin before it was told."""

    __slots__ = ("_tell", "_tell_late")

    def __init__(self, tell: Callable[[str], object], tell_late: Callable[[str, float], object] | None = None) -> None:
        """`tell_late` is told a start before now, at a time in seconds since the epoch."""
        self._tell = tell
        self._tell_late = tell_late

    def __call__(self, worker: str, at: float | None = None) -> None:
        """See `Executor.call`; `at` is when it began, if that is known."""
        if at is None or self._tell_late is None:
            self._tell(worker)
        else:
            self._tell_late(worker, at)


def has_to_agree(on_start: Callable[[str], None] | None) -> bool:
    """Whether a call must not begin before `on_start` has returned: it raises where the call is not to be executed."""
    return on_start is not None and not isinstance(on_start, Notice)


class Endpoint(Protocol):
    """The address at which running algorithms call the platform."""

    @property
    def address(self) -> str:
        """Its address on this machine, without `/v1`."""

    def serve_also(self, listener: socket.socket) -> Callable[[], None]:
        """Also serve this socket, of a process with an isolated network; returns a function that ends that."""

    def close(self) -> None:
        """Stop listening and serving."""


class Description(NamedTuple):
    """The current load of an executor."""

    workers: int
    """Processes, or what stands for them, that have an algorithm loaded or load it."""
    busy: int
    """Those that serve a call."""
    waiting: int
    """Calls that wait for a worker."""
    memory: int
    """Bytes that the workers have in memory; 0 where that is not known."""


class Executor(Protocol):
    """Runs builds. All methods may be called from any thread.

    What an algorithm keeps in memory or on disk between calls is never seen by another account, and calls that
    algorithms make never wait for a worker that waits for them.
    """

    def start(self) -> None:
        """Make ready to take calls, as by connecting to a cluster; may be repeated.

        Raises:
            AlgoError: if that is impossible; the hint says what to do.
        """

    def call(
        self,
        build: Build,
        payload: Payload,
        *,
        timeout: float,
        context: CallContext,
        on_start: Callable[[str], None] | None = None,
        on_output: Callable[[bytes], None] | None = None,
    ) -> Outcome:
        """Hand `payload` to the algorithm and return what came of it, at the latest when `timeout` seconds are over.

        The time includes waiting for a worker and loading. `on_start` is told the worker's name when one has taken the
        call, `on_output` what is printed, as it comes. Nothing that the algorithm does is raised; see `Failure`, which
        also says that the call was cancelled or the executor closed.

        Raises:
            TooManyCalls: if more calls wait than may.
            TypeError, ValueError: if the payload's data is not of its content type.
        """

    def cancel(self, request_id: str) -> bool:
        """Cancel a waiting or running call; False if there is none. A result returned before stands."""

    def context_of(self, token: str) -> CallContext | None:
        """The current call of a worker, by the token in its algorithm's `ALGORITHMIA_API_KEY`."""

    def describe(self) -> Description:
        """The current load."""

    def drain(self, seconds: float) -> bool:
        """Take no more calls, give up those that wait, and wait for those that run; whether all of them have ended."""

    def close(self) -> None:
        """End all calls and workers; may be repeated. Calls that it cuts short, and later ones, are `lost`."""


class ClusterExecutor(Executor, Protocol):
    """What an executor may have in addition: a view of its cluster, for `algo local status --cluster` and `top`."""

    def cluster(self) -> dict[str, Any] | None:
        """The cluster now, fit for JSON; None once the executor is closed. Asked every few seconds.

        `nodes` is a list of `{"id", "address", "alive", "resources", "free", "actors"}`, where `resources` and `free`
        say how much of what a node has; `actors` a list of `{"node", "process", "algorithm", "resources"}`, where
        `algorithm` is empty for those that have none; `pending` lists the resources of those that have no node yet;
        `queues` says how many calls wait, by algorithm.

        Raises:
            AlgoError: if it cannot be asked.
        """
