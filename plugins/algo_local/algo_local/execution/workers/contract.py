"""The contract of workers and of their factory, for `LocalPool`: processes of this machine, or actors of a cluster."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any, Protocol

if TYPE_CHECKING:
    from algo_local.algorithms.build import Build
    from algo_local.execution.payload import Failure, Outcome
    from algo_local.execution.scaling import Scaling


class NotHandedOver(Exception):
    """A worker was lost before the algorithm got the request, so that another worker can take it; the text says why."""

    def __init__(self, why: str, *, was_idle: bool = False) -> None:
        """`was_idle` if the worker ended while it served no call, so that this call is not to blame."""
        super().__init__(why)
        self.was_idle = was_idle


class Worker(Protocol):
    """A process that serves one account. For one thread at a time, except for `kill`."""

    account: str
    token: str
    """The token with which it calls the platform, instead of an API key."""
    idle_since: float

    @property
    def name(self) -> str:
        """Its name in records."""

    @property
    def is_loaded(self) -> bool:
        """Whether the algorithm has been loaded."""

    @property
    def is_reusable(self) -> bool:
        """Whether it can take another call."""

    def call(self, request: bytes, deadline: float, on_output: Callable[[bytes], None] | None = None) -> Outcome:
        """Load the algorithm if need be, and have it answer a request; `deadline` is a time of `time.monotonic`.

        Raises:
            NotHandedOver: if the worker was lost before.
        """

    def await_loaded(self, deadline: float, on_output: Callable[[bytes], None] | None = None) -> None:
        """Load the algorithm before the first call is handed over; what came of that, `call` tells.

        Raises:
            NotHandedOver: if the worker was lost.
        """

    def load(self, deadline: float) -> Failure | None:
        """Load the algorithm before the first call; returns the failure, if any."""

    def settle(self) -> bool:
        """Clean up after a call; return whether the worker can take another one."""

    def is_fresh(self, scaling: Scaling) -> bool:
        """Whether it is young and small enough for another call; checked after each call."""

    def memory(self) -> int:
        """Memory of its processes in bytes, as far as known."""

    def kill(self) -> None:
        """End it now; the caller still has to call `stop`. Safe from any thread, more than once."""

    def end_input(self) -> None:
        """Ask it to end."""

    def stop(self, grace: float = 0.0) -> None:
        """Stop it, with `grace` seconds to end by itself after `end_input`, and remove its files."""

    def hand_over(self, give: Callable[[dict[str, Any], list[int]], bool]) -> bool:
        """Hand it to another process by `give`; if False, the caller still has to stop it."""


class Workers(Protocol):
    """Starts workers."""

    def start(
        self,
        build: Build,
        account: str,
        token: str,
        label: str = "",
        depth: int = 0,
        *,
        on_load: Callable[[], None] = ...,
        on_wait: Callable[[str], None] = ...,
    ) -> Worker:
        """Start a worker; see `algo_local.execution.workers.worker.Workers.start`.

        Raises:
            AlgoError: if the build cannot run here.
            OSError: if the build is gone, or the process cannot be started.
        """

    def close(self) -> None:
        """Abandon starts under way, and refuse further ones."""
