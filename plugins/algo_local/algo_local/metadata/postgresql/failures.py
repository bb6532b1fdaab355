"""PostgreSQL's failures as errors of the platform, without the passwords of its URL."""

from __future__ import annotations

import re
from typing import Any

import psycopg
from psycopg import errors

from algo_core.errors import ConfigError, ExitCode
from algo_local.metadata.database import BUSY_SECONDS, IntegrityError
from algo_local.refusals import CommitUnknown, StorageFull, StorageUnavailable
from algo_local.state import METADATA_VARIABLE, place

_REFUSED = re.compile(
    r"FATAL: +(?! |sorry|remaining|too many connections|the database system is|terminating|connection |out of )"
)
"""The server refuses for a reason that time does not change: a password, a name, its access rules."""

_MISTAKEN = re.compile(
    r"no password supplied|invalid port number|invalid \w+ value|definition of service"
    r"|certificate file .* does not exist"
)
"""The driver could not even connect: the URL, or a file that it names, is wrong, or a password is missing."""

_STANDBY = re.compile(r"session is read-only|server is in hot standby mode")
"""libpq found servers, but none that `target_session_attrs` of the URL allows."""

_WRITABLE = "Name the primary server, or all of them with ?target_session_attrs=read-write behind their database"

_FULL = (errors.DiskFull, errors.OutOfMemory)


class ServerUnavailable(StorageUnavailable):
    """The database server cannot be reached, or takes no connections now."""

    exit_code = ExitCode.NETWORK
    retry_after = 1.0


def conninfo(url: str) -> dict[str, Any]:
    """The parameters of a URL for the driver.

    Raises:
        ConfigError: if it cannot be understood; its text is not repeated, as libpq would, since it may hold a password.
    """
    authority, _, rest = url.partition("://")[2].partition("/")
    if authority.count("@") > 1 or "@" in rest or re.search(r"[?#]", authority.partition("@")[0]):
        raise ConfigError(
            f"The URL of the database at {place(url)} is ambiguous",
            "Write the characters @ : / ? # % in user and password as %40 %3A %2F %3F %23 %25",
        )
    try:
        found = psycopg.conninfo.conninfo_to_dict(url)
        [int(port) for port in str(found.get("port") or 0).split(",") if port]
    except (psycopg.Error, ValueError):
        raise ConfigError(
            f"The URL of the database at {place(url)} cannot be understood",
            "It has the form postgresql://USER@HOST:PORT/DATABASE, with libpq's parameters behind a question mark",
        ) from None
    return {"connect_timeout": 10, "application_name": "algo-local", **found}


class ServerLost(CommitUnknown):
    """The database server went away while a transaction was committed."""

    exit_code = ExitCode.NETWORK
    retry_after = 1.0


def commit_unknown(url: str) -> ServerLost:
    """The error for a commit whose result is not known and could not be looked up."""
    return ServerLost(
        f"The database at {place(url)} went away while a change was committed; whether it was is not known",
        "Look whether it was done once the server answers again, and try again if it was not",
    )


def connection_failure(error: psycopg.Error, url: str) -> Exception:
    """The error for a connection that cannot be made, at the start."""
    text = _first_line(error)
    if _MISTAKEN.search(text):
        return ConfigError(
            f"The database at {place(url)} cannot be connected with: {text}",
            f"Correct {METADATA_VARIABLE} or --metadata; a password may come from PGPASSWORD or ~/.pgpass",
        )
    if _REFUSED.search(text):
        return ConfigError(
            f"The database at {place(url)} refuses the connection: {text}",
            f"Correct user, password and name of the database in {METADATA_VARIABLE} or --metadata; a password may come"
            " from PGPASSWORD or ~/.pgpass",
        )
    return unavailable(error, url)


def unavailable(error: psycopg.Error, url: str) -> ServerUnavailable:
    """The error for a connection that cannot be made now, but could be before."""
    if _STANDBY.search(text := _first_line(error)):
        return ServerUnavailable(f"No server of the database at {place(url)} can be written to: {text}", _WRITABLE)
    return ServerUnavailable(
        f"The database at {place(url)} cannot be reached: {_first_line(error)}",
        "Check that the server is running, has connections left, and that its address is right",
    )


def meaning(error: psycopg.Error, url: str) -> Exception:
    """The error for a statement that failed."""
    text = _first_line(error)
    if isinstance(error, psycopg.IntegrityError):
        return IntegrityError(text)
    if isinstance(error, errors.LockNotAvailable):
        return StorageUnavailable(
            f"The database at {place(url)} is locked by another transaction for more than {BUSY_SECONDS:g} s",
            "Try again; pg_stat_activity on the server shows who holds it",
        )
    if isinstance(error, _FULL):
        return StorageFull(f"The database at {place(url)} is full: {text}", "Make room on the server")
    if isinstance(error, errors.InsufficientPrivilege):
        return ConfigError(
            f"The user of the database at {place(url)} lacks a permission: {text}",
            "Make the user the owner of the database, or grant it all on the platform's tables",
        )
    if isinstance(error, errors.ReadOnlySqlTransaction):
        return ServerUnavailable(
            f"The database at {place(url)} cannot be written to: {text}",
            _WRITABLE,
        )
    if isinstance(error, (errors.UndefinedFile, errors.FeatureNotSupported)):
        return ConfigError(
            f"The server of {place(url)} lacks an extension: {text}",
            "Install PostgreSQL's contrib package there, and run in the database: CREATE EXTENSION citext",
        )
    if isinstance(error, (errors.UndefinedTable, errors.UndefinedColumn)):
        return ConfigError(
            f"The database at {place(url)} has lost tables of the platform: {text}", "Restore it from a copy"
        )
    if isinstance(error, (psycopg.OperationalError, psycopg.InterfaceError, psycopg.InternalError)):
        return ServerUnavailable(
            f"The database at {place(url)} cannot be used: {text}",
            "Check the server; what was asked for was not done, and can be tried again",
        )
    return error


def _first_line(error: psycopg.Error) -> str:
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    return re.sub(r"^connection failed: ", "", lines[0]) if lines else type(error).__name__
