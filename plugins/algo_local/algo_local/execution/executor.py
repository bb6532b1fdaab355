"""The contract of executors, which run algorithms on this machine or on a cluster.

A plugin offers an executor with the hook `algo_executors`, and imports everything that it needs of the platform from
this module. Its tests inherit `algo_local.testing.ExecutorContract`.
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
    """The command that runs a build in its language, as `RUNNER` does for Python; `tree` is a writable copy of its
    source.

    The virtual environment of `Build.python` must exist on the machine.
    """
    options = {"python3": ["-I", "-B"], "r": ["--vanilla"]}.get(build.language, [])
    runner = RUNNER.with_suffix({"javascript": ".js", "r": ".R"}.get(build.language, ".py"))
    return [str(build.python), *options, str(runner), str(tree), build.module, str(answers)]


class Notice:
    """An `on_start` callback that never refuses a call, so that the call may begin before the callback returns."""

    __slots__ = ("_tell", "_tell_late")

    def __init__(self, tell: Callable[[str], object], tell_late: Callable[[str, float], object] | None = None) -> None:
        """`tell_late` is called for a start in the past, with its time in seconds since the epoch."""
        self._tell = tell
        self._tell_late = tell_late

    def __call__(self, worker: str, at: float | None = None) -> None:
        """See `Executor.call`; `at` is the time of the start, if known."""
        if at is None or self._tell_late is None:
            self._tell(worker)
        else:
            self._tell_late(worker, at)


def has_to_agree(on_start: Callable[[str], None] | None) -> bool:
    """Whether a call must not begin before `on_start` has returned, which may refuse it by raising."""
    return on_start is not None and not isinstance(on_start, Notice)


class Endpoint(Protocol):
    """The address at which running algorithms call the platform."""

    @property
    def address(self) -> str:
        """Its address on this machine, without `/v1`."""

    def serve_also(self, listener: socket.socket) -> Callable[[], None]:
        """Also serve this socket, of a process with an isolated network; returns a function that stops this."""

    def close(self) -> None:
        """Stop listening and serving."""


class Description(NamedTuple):
    """The current load of an executor."""

    workers: int
    """Processes, or what stands for them, that have an algorithm loaded or load it."""
    busy: int
    """The number of workers that serve a call."""
    waiting: int
    """Calls that wait for a worker."""
    memory: int
    """Bytes that the workers have in memory; 0 where that is not known."""


class Executor(Protocol):
    """Runs builds. All methods may be called from any thread.

    An account never sees what an algorithm keeps in memory or on disk between calls of other accounts. Calls that
    algorithms make never wait for a worker that waits for them.
    """

    def start(self) -> None:
        """Prepare for calls, for example by connecting to a cluster; may be repeated.

        Raises:
            AlgoError: if the executor cannot be used; the hint says what to do.
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
        """Call the algorithm with `payload`, and return the outcome after at most `timeout` seconds.

        The time includes waiting for a worker and loading. `on_start` is called with the worker's name when a worker
        takes the call; if it `has_to_agree`, once that has loaded the algorithm, just before the call is handed over.
        `on_output` is called with printed output as it arrives. Errors of the algorithm, cancellation and the end
        of the executor are returned as a `Failure`, not raised.

        Raises:
            TooManyCalls: if the queue is full.
            TypeError, ValueError: if the payload's data is not of its content type.
        """

    def cancel(self, request_id: str) -> bool:
        """Cancel a waiting or running call; False if there is none. A result that was returned before is kept."""

    def context_of(self, token: str) -> CallContext | None:
        """The current call of a worker, by the token in its algorithm's `ALGORITHMIA_API_KEY`."""

    def describe(self) -> Description:
        """The current load."""

    def drain(self, seconds: float) -> bool:
        """Refuse further calls, end waiting ones, wait for running ones; True if all have ended within `seconds`."""

    def close(self) -> None:
        """End all calls and workers; may be repeated. Interrupted and later calls are `lost`."""


class ClusterExecutor(Executor, Protocol):
    """An executor with a view of its cluster, for `algo local status --cluster` and `algo local top`."""

    def cluster(self) -> dict[str, Any] | None:
        """The current state of the cluster as a JSON object; None once the executor is closed. Called every few
        seconds.

        `nodes` is a list of `{"id", "address", "alive", "resources", "free", "actors"}`, where `resources` and `free`
        are amounts by resource; `actors` is a list of `{"node", "process", "algorithm", "resources"}`, where
        `algorithm` is empty for actors without one; `pending` lists the resources of actors that wait for a node;
        `queues` is the number of waiting calls by algorithm.

        Raises:
            AlgoError: if the cluster does not answer.
        """
