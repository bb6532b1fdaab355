"""Connection poolers between the platform and its server, such as PgBouncer."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import closing
from typing import Any

import psycopg

from algo_core.errors import ConfigError
from algo_local.state import place

_TRIES = 3
"""Comparisons of two connections: others may use those of the server meanwhile."""

Connection = psycopg.Connection[Any]


def is_pooled(connection: Connection) -> bool:
    """Whether a pooler gave the connection: it answers with a process number of its own, which is not the server's."""
    return connection.info.backend_pid != _process(connection)


def check_sessions(connection: Connection, connect: Callable[[], Connection], url: str) -> None:
    """Refuse a pooler that shares the server's connections between transactions; `connect` makes another connection.

    Locks, settings and prepared statements belong to a session, which such a pooler hands to the next client.

    Raises:
        ConfigError: if it does.
    """
    if not is_pooled(connection):
        return
    with closing(connect()) as other:
        if any(_shares(connection, other) for _ in range(_TRIES)):
            raise ConfigError(
                f"The database at {place(url)} is behind a pooler that changes connections between transactions",
                "Use the address of the server itself, or a pool that keeps sessions (PgBouncer: pool_mode = session)",
            )


def _shares(one: Connection, other: Connection) -> bool:
    """Whether two connections have the same one to the server, or one has several in turn."""
    before = _process(one)
    try:
        with other.transaction():  # keeps the server's connection, if the pooler shares it between transactions
            return _process(other) == before or _process(one) != before
    except psycopg.OperationalError as error:
        if "pooling mode" in str(error):  # PgBouncer's, of a pool that changes them even between statements
            return True
        raise


def _process(connection: Connection) -> int:
    """The number of the server's process that answers."""
    found = connection.execute("SELECT pg_backend_pid()", prepare=False).fetchone()
    assert found
    return int(found[0])
