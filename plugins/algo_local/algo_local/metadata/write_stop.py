"""Makes a platform read-only while it is migrated, and afterwards at its old place."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, NamedTuple

from algo_local.refusals import StorageUnavailable

if TYPE_CHECKING:
    from algo_local.metadata.database import Database, Rows

SETTING = "writes_stopped"
"""The setting with the stop, which is about one place of a platform: backups and migrations leave it out."""


class Stop(NamedTuple):
    """Why a platform is read-only."""

    place: str
    """Where it is moved to."""
    until: float | None
    """Seconds since the epoch, while it is being moved; None when it has been."""


def write_stop(database: Database) -> Stop | None:
    """The current stop; None if the platform is writable."""

    def ask() -> Stop | None:
        with database.read() as rows:
            return _stop_in(rows)

    return _valid(database.remembered((SETTING,), ask), database)


def check_writable(database: Database, place: str) -> None:
    """Raise StorageUnavailable if the platform is read-only; `place` is this state, which a stop may except."""
    _refuse(write_stop(database), place)


def refuse_changes(database: Database, place: str, rows: Rows) -> None:
    """The same inside a transaction that changes the platform: the stop may have begun since a request's start.

    Raises:
        StorageUnavailable: if the platform is read-only.
    """
    stop = _stop_in(rows)
    if stop:
        _refuse(_valid(stop, database), place)


def _stop_in(rows: Rows) -> Stop | None:
    found = rows.execute("SELECT value FROM settings WHERE name = ?", (SETTING,)).fetchone()
    return Stop(*json.loads(found[0])) if found else None


def _valid(stop: Stop | None, database: Database) -> Stop | None:
    return stop if stop and (stop.until is None or database.now() < stop.until) else None


def _refuse(stop: Stop | None, place: str) -> None:
    if not stop or stop.place == place:
        return
    if stop.until is None:
        raise StorageUnavailable(
            f"The platform has been moved to {stop.place}, and can only be read here",
            "Use it there, or make it writable here again: algo local migrate --reopen",
        )
    raise StorageUnavailable(
        f"The platform is being moved to {stop.place}, and can only be read meanwhile", "Try again in a moment"
    )


def stop_writes(database: Database, place: str, seconds: float | None) -> None:
    """Make the platform read-only for `seconds`, or with None until `allow_writes`."""
    value = json.dumps([place, None if seconds is None else database.now() + seconds])
    with database.write(is_guarded=False) as rows:
        rows.execute("DELETE FROM settings WHERE name = ?", (SETTING,))
        rows.execute("INSERT INTO settings (name, value) VALUES (?, ?)", (SETTING, value))


def allow_writes(database: Database) -> bool:
    """Make the platform writable again; returns whether it was read-only."""
    with database.write(is_guarded=False) as rows:
        return rows.execute("DELETE FROM settings WHERE name = ?", (SETTING,)).rowcount > 0
