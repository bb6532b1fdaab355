"""The schema on the server: Alembic's migrations, run by the first process that needs them."""

from __future__ import annotations

import importlib.resources
from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

import alembic.command
import alembic.config
import psycopg
import sqlalchemy
from alembic.runtime.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy.exc import DBAPIError

from algo_core.errors import ConfigError, PlatformError
from algo_local.metadata.database import BUSY_SECONDS
from algo_local.metadata.postgresql.failures import meaning
from algo_local.metadata.postgresql.poolers import is_pooled
from algo_local.state import place

if TYPE_CHECKING:
    from sqlalchemy import Connection, Engine

VERSION_TABLE = "algo_schema"
"""The table with the revision of the schema; not Alembic's usual name, which another application may have here."""

MIGRATION_LOCK = 0x616C676F_00000001
"""Key of the advisory lock under which the schema is changed: "algo", 1."""

WAIT_SECONDS = 900
"""Seconds for which a start waits for another one that migrates."""

OWN_TABLES = frozenset({VERSION_TABLE, "changes", "writers", "front_ends", "repositories", "builders"})
"""Tables that exist on a server only."""

_EXPECTED = frozenset(
    {"settings", "accounts", "keys", "algorithms", "builds", "versions", "collections", "requests", "request_contents"}
)
"""Tables by which a database is recognized that holds something else under the platform's names."""


def upgrade(engine: Engine, url: str) -> None:
    """Bring the schema up to date, once, however many processes begin at the same time.

    Raises:
        ConfigError: if the database belongs to something else, or to a newer algo-local.
        StorageUnavailable: if the server fails meanwhile; nothing is changed then.
    """
    try:
        with engine.connect() as connection:
            if _revision(connection) == _head():
                return
        with engine.connect().execution_options(isolation_level="READ COMMITTED") as connection, connection.begin():
            # Others may migrate a million rows meanwhile; a table that a backup reads is waited for as ever.
            connection.exec_driver_sql(f"SET LOCAL statement_timeout = 0; SET LOCAL lock_timeout = '{WAIT_SECONDS}s'")
            connection.execute(sqlalchemy.text("SELECT pg_advisory_xact_lock(:key)"), {"key": MIGRATION_LOCK})
            connection.exec_driver_sql(f"SET LOCAL lock_timeout = '{BUSY_SECONDS:g}s'")
            found = _revision(connection)
            if found is None:
                _refuse_foreign(connection, url)
            elif found not in _known():
                raise ConfigError(
                    f"The database at {place(url)} was created by a newer algo-local (schema {found}; this one knows"
                    f" {_head()})",
                    "Upgrade with: pip install --upgrade algo-local",
                )
            if found != _head():
                config = _config()
                config.attributes["connection"] = connection
                alembic.command.upgrade(config, "head")
    except DBAPIError as error:
        if isinstance(error.orig, psycopg.Error):
            raise meaning(error.orig, url) from error.orig
        raise


def check_alone(connection: psycopg.Connection[Any], url: str) -> None:
    """Raise PlatformError if other connections of this user with the database exist."""
    query = (
        "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND usename = current_user"
        " AND backend_type = 'client backend' AND pid != pg_backend_pid()"
    )
    (others,) = connection.execute(query).fetchone() or (0,)
    if is_pooled(connection):  # which keeps connections of clients that have gone
        raise PlatformError(
            f"Whether the platform at {place(url)} is in use cannot be seen through a connection pooler",
            "Use the address of the server itself, once all front ends have ended and the pooler has closed its"
            " connections with the database (PgBouncer: KILL in its console)",
        )
    if others:
        raise PlatformError(
            f"The platform at {place(url)} is in use: its database has {others} other connections",
            "End all of its front ends and commands, on all machines, and the connections that a pooler keeps, then try"
            " again",
        )


def drop(connection: psycopg.Connection[Any], url: str, tables: Iterable[str]) -> None:
    """Delete tables, those that only a server has and the platform's functions; see `check_alone`."""
    with connection.transaction():
        connection.execute("SELECT pg_advisory_xact_lock(%s)", (MIGRATION_LOCK,))
        check_alone(connection, url)
        # By its name: tables of others may be found by the search path where the platform has none any more.
        (schema,) = connection.execute("SELECT quote_ident(current_schema())").fetchone() or ("",)
        names = ", ".join(f"{schema}.{name}" for name in sorted({*tables, *OWN_TABLES}))
        functions = f"{schema}.algo_note_change(), {schema}.algo_follow_identity()"
        connection.execute(f"DROP TABLE IF EXISTS {names}".encode())
        connection.execute(f"DROP FUNCTION IF EXISTS {functions}".encode())


def _refuse_foreign(connection: Connection, url: str) -> None:
    query = "SELECT table_name FROM information_schema.tables WHERE table_schema = current_schema()"
    there = {row[0] for row in connection.exec_driver_sql(query)}
    if taken := sorted(there & _EXPECTED):
        raise ConfigError(
            f"The database at {place(url)} is not this platform's: it has other tables named {', '.join(taken)}",
            "Name an empty database, or one with a schema of its own for the platform in its user's search_path",
        )


def _revision(connection: Connection) -> str | None:
    context = MigrationContext.configure(connection, opts={"version_table": VERSION_TABLE})
    return context.get_current_revision()


def _config() -> alembic.config.Config:
    config = alembic.config.Config()
    directory = str(importlib.resources.files("algo_local.metadata.postgresql") / "migrations")
    config.set_main_option("script_location", directory.replace("%", "%%"))
    config.set_main_option("path_separator", "os")
    return config


def _scripts() -> ScriptDirectory:
    return ScriptDirectory.from_config(_config())


def _head() -> str:
    return _scripts().get_current_head() or ""


def _known() -> set[str]:
    return {script.revision for script in _scripts().walk_revisions()}
