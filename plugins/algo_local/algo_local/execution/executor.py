"""The contract of executors: what runs algorithms, be it on this machine or on others.

`algo_local.testing.ExecutorContract` has its tests, to inherit for every implementation.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple, Protocol

from algo_local.algorithms.build import Build
from algo_local.callers import CallContext
from algo_local.execution.payload import Outcome, Payload


class Description(NamedTuple):
    """What an executor does now."""

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
        """End a call that waits or runs; whether there was one. What it has answered by then stands."""

    def context_of(self, token: str) -> CallContext | None:
        """The call that a worker serves now, by the token that its algorithm finds in `ALGORITHMIA_API_KEY`."""

    def describe(self) -> Description:
        """What it does now."""

    def rest(self) -> None:
        """Let go of what stays ready for calls to come, as far as it can be had back: there may be none."""

    def drain(self, seconds: float) -> bool:
        """Take no more calls, give up those that wait, and wait for those that run; whether all of them have ended."""

    def close(self) -> None:
        """End all calls and workers; may be repeated. Calls that it cuts short, and later ones, are `lost`."""
