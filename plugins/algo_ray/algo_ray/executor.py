"""The executor `ray`: the platform's own scheduler, with workers on the nodes of a cluster."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

from algo_core.errors import AlgoError, ConfigError
from algo_local.execution.limits import count_of
from algo_local.execution.workers.local_pool import LocalPool
from algo_ray import seats, sessions
from algo_ray.connection import Connection
from algo_ray.worker import RayWorkers

if TYPE_CHECKING:
    from algo_core import App
    from algo_local.execution.executor import Endpoint

_END_SECONDS = 5.0
"""Time for calls that are cut short to learn of it."""

_ADDRESS = re.compile(r"(\[[0-9a-fA-F:]+\]|[\w.-]+):(\d{1,5})", re.ASCII)


def open_executor(app: App, endpoint: Callable[[], Endpoint], directory: Path) -> RayExecutor:
    """The executor for `algo local serve --engine ray`.

    Raises:
        ConfigError: if the address of the cluster is missing, or is none, or a variable is no number.
    """
    value = app.setting("ray.address")
    address = str(value.value or "").strip()
    if not address:
        raise ConfigError(
            "The address of the Ray cluster is missing",
            "Give it: --ray-address HOST:PORT, ALGO_RAY_ADDRESS, or `algo config set ray.address HOST:PORT`",
        )
    for variable in (seats.PATIENCE, sessions.PATIENCE):
        count_of(app.environ, variable, 1)
    return RayExecutor(endpoint, directory, Connection(checked(address), directory, app.environ))


def checked(address: str) -> str:
    """The address, if it is one. ConfigError otherwise."""
    match = _ADDRESS.fullmatch(address)
    if not match or not 0 < int(match[2]) < 1 << 16:
        raise ConfigError(
            f"The address of the Ray cluster must be HOST:PORT, not {address!r}",
            "`ray start --head` prints it, for example 10.0.0.5:6379",
        )
    return address


class RayExecutor(LocalPool):
    """Keeps the contract `algo_local.execution.executor.Executor`: calls wait here, and are served on the nodes."""

    def __init__(
        self, endpoint: Callable[[], Endpoint], directory: Path, connection: Connection, *, is_lent: bool = False
    ) -> None:
        """`is_lent` leaves the connection open behind this executor, for others."""
        self._is_lent = is_lent
        self._connection = connection
        workers = RayWorkers(endpoint, connection, self.make_room)
        super().__init__(endpoint, directory, workers=workers)

    def start(self) -> None:
        """Join the cluster. AlgoError if that is impossible."""
        self._connection.open()

    def cluster(self) -> dict[str, Any] | None:
        """The nodes of the cluster, its resources, the actors of this platform, and the calls that wait for them.

        Raises:
            AlgoError: if it cannot be asked.
        """
        if self._connection.is_closed:
            return None
        try:
            return {**self._connection.cluster(), "queues": self.queues()}
        except AlgoError:
            if self._connection.is_closed:
                return None
            raise

    def close(self) -> None:
        """End all calls, workers, and the connection to the cluster."""
        super().close()
        self.drain(_END_SECONDS)
        if not self._is_lent:
            self._connection.close()
