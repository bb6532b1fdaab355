"""Opens the database of a state: a file of its directory, or one on a server."""

from __future__ import annotations

from typing import TYPE_CHECKING

from algo_core.errors import ConfigError
from algo_local.metadata.sqlite import SqliteDatabase
from algo_local.state import DATABASE, State, place

if TYPE_CHECKING:
    from algo_local.metadata.database import Database

_PACKAGES = ("sqlalchemy", "psycopg", "psycopg_binary", "alembic")


def open_database(state: State) -> Database:
    """The database of a state; nothing is read, connected or created before it is used.

    Raises:
        ConfigError: if its URL needs packages that are not installed.
    """
    if not state.metadata:
        return SqliteDatabase(state.root / DATABASE)
    try:
        from algo_local.metadata.postgresql.database import PostgresqlDatabase
    except ImportError as error:  # also psycopg's own, where libpq is missing
        if (error.name or "psycopg").partition(".")[0] not in _PACKAGES:
            raise
        raise ConfigError(
            f"The database at {place(state.metadata)} needs packages that are not installed",
            "Install them: pip install 'algo-local[postgres]'",
        ) from error
    return PostgresqlDatabase(state.metadata)
