"""Opens the database of a platform's state: the SQLite file, or the PostgreSQL server of `--metadata URL`."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

from algo_core.errors import ConfigError
from algo_local.metadata.sqlite import SqliteDatabase
from algo_local.state import DATABASE, State, place

if TYPE_CHECKING:
    from algo_local.metadata.database import Database
    from algo_local.metadata.postgresql.places import Places

_PACKAGES = ("sqlalchemy", "psycopg", "psycopg_binary", "alembic")


def open_database(state: State) -> Database:
    """The database of a state; nothing is read, connected or created before it is used.

    Raises:
        ConfigError: if its URL needs packages that are not installed.
    """
    if not state.metadata:
        return SqliteDatabase(state.root / DATABASE)
    with _installed(state.metadata):
        from algo_local.metadata.postgresql.database import PostgresqlDatabase
    return PostgresqlDatabase(state.metadata)


def open_places(state: State) -> Places | None:
    """The limits that processes on all machines share; None for SQLite, where one process has them.

    Raises:
        ConfigError: if its URL needs packages that are not installed.
    """
    if not state.metadata:
        return None
    with _installed(state.metadata):
        from algo_local.metadata.postgresql.places import Places
    return Places(state.metadata)


@contextmanager
def _installed(url: str) -> Iterator[None]:
    """Report imports that fail in the block, with the command that installs the packages."""
    try:
        yield
    except ImportError as error:  # also psycopg's own, where libpq is missing
        if (error.name or "psycopg").partition(".")[0] not in _PACKAGES:
            raise
        raise ConfigError(
            f"The database at {place(url)} needs packages that are not installed",
            "Install them: pip install 'algo-local[postgres]'",
        ) from error
