"""Connections that do not wait for a server that has fallen silent, as a frozen machine does: it ends none of them."""

from __future__ import annotations

import time
from collections.abc import Callable, Generator
from typing import Any

import psycopg

QUIET_SECONDS = 5.0
"""Silence after which the server is asked, over another connection, whether it is still there."""


class ServerSilent(psycopg.OperationalError):
    """The server neither answers a statement nor a new connection."""


class WatchedConnection(psycopg.Connection[Any]):
    """A connection whose statements may take as long as they need, while the server answers others."""

    is_there: Callable[[psycopg.ConnectionInfo], bool]
    """Whether the server of a connection takes another one."""

    def wait(self, gen: Any, *arguments: Any, **options: Any) -> Any:
        """Run one exchange with the server.

        Raises:
            ServerSilent: if the server has fallen silent; the connection is closed then.
        """
        return super().wait(self._watched(gen), *arguments, **options)

    def _watched(self, exchange: Generator[Any, Any, Any]) -> Generator[Any, Any, Any]:
        """The exchange; the driver sends it what the socket is ready for, or nothing several times a second."""
        try:
            wanted, heard = next(exchange), time.monotonic()
            while True:
                ready = yield wanted
                if ready:
                    heard = time.monotonic()
                elif time.monotonic() - heard > QUIET_SECONDS:
                    if not self.is_there(self.info):
                        self.pgconn.finish()
                        raise ServerSilent("the server does not answer any more")
                    heard = time.monotonic()
                wanted = exchange.send(ready)
        except StopIteration as ended:
            return ended.value
