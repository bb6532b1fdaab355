"""What `LocalPool` wants of workers, and of what starts them: processes of this machine, or of a cluster."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any, Protocol

if TYPE_CHECKING:
    from algo_local.algorithms.build import Build
    from algo_local.execution.payload import Failure, Outcome
    from algo_local.execution.scaling import Scaling


class NotHandedOver(Exception):
    """A worker was lost before the algorithm got the request, which another one can take; the text says why."""

    def __init__(self, why: str, *, was_idle: bool = False) -> None:
        """`was_idle` says that it had ended while it served no call, so that nothing is amiss with this one."""
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

    def load(self, deadline: float) -> Failure | None:
        """Load the algorithm ahead of the first call; why that was impossible."""

    def settle(self) -> bool:
        """Clean up after a call; return whether the worker can take another one."""

    def is_fresh(self, scaling: Scaling) -> bool:
        """Whether it has not become too old or too large for another call; asked after each."""

    def memory(self) -> int:
        """Bytes that its processes have in memory, as far as that is known."""

    def kill(self) -> None:
        """End it now; `stop` is still to be called. Safe from any thread, more than once."""

    def end_input(self) -> None:
        """Ask it to end."""

    def stop(self, grace: float = 0.0) -> None:
        """End it, leaving it `grace` seconds to do so by itself after `end_input`, and remove all that it had."""

    def hand_over(self, give: Callable[[dict[str, Any], list[int]], bool]) -> bool:
        """Hand it to another process by `give`; if that cannot be done, it is still to be stopped."""


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
            AlgoError: if that is impossible.
            OSError: if the build is gone, or the process cannot be started.
        """

    def close(self) -> None:
        """Give up what is being started, and start nothing any more."""
