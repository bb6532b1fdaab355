"""Makes a platform read-only while it is migrated, and afterwards at its old place."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, NamedTuple

from algo_core.errors import AlgoError
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
    owner: str = ""
    """Stands for the migration that stops writes."""


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


def is_same(place: str, other: str) -> bool:
    """Whether two places (`State` as text) are one; directories do not count where servers have everything."""
    return _servers(place) == _servers(other)


def _servers(place: str) -> list[str]:
    parts = [part.replace("/?", "?").rstrip("/") for part in place.split(", ")]
    return parts[1:] if len(parts) == 3 else parts


def _stop_in(rows: Rows) -> Stop | None:
    found = rows.execute("SELECT value FROM settings WHERE name = ?", (SETTING,)).fetchone()
    return Stop(*json.loads(found[0])) if found else None


def _valid(stop: Stop | None, database: Database) -> Stop | None:
    return stop if stop and (stop.until is None or database.now() < stop.until) else None


def _refuse(stop: Stop | None, place: str) -> None:
    if not stop or is_same(stop.place, place):
        return
    if stop.until is None:
        raise StorageUnavailable(
            f"The platform has been moved to {stop.place}, and can only be read here",
            "Use it there, or make it writable here again: algo local migrate --reopen",
        )
    raise StorageUnavailable(
        f"The platform is being moved to {stop.place}, and can only be read meanwhile", "Try again in a moment"
    )


def stop_writes(database: Database, place: str, seconds: float | None, owner: str = "", here: str = "") -> Stop | None:
    """Make the platform read-only for `seconds`, or with None until `allow_writes`, for a migration or its last step.

    Returns the stop before. One for `here`, this state, is none for it, and one for the same `place` was left by a
    migration that was killed, since there is one at a time to a place.

    Raises:
        AlgoError: if a migration to another place has stopped writes, or for the last step, if they were allowed
            meanwhile.
    """
    with database.write(is_guarded=False) as rows:
        before = _stop_in(rows)
        stop = _valid(before, database)
        if stop and stop.owner != owner and not (is_same(stop.place, here) or is_same(stop.place, place)):
            hint = "Wait until it has been, or make it writable: algo local migrate --reopen"
            raise AlgoError(f"The platform is being moved to {stop.place}", hint)
        if owner and seconds is None and (not stop or stop.owner != owner):
            raise AlgoError("Writes were allowed again before the last step of the migration", "Repeat the command")
        _put(rows, Stop(place, None if seconds is None else database.now() + seconds, owner))
    return before


def give_up_stop(database: Database, owner: str, before: Stop | None) -> None:
    """Have what was before the stop of a migration that has failed, unless others have changed it."""
    with database.write(is_guarded=False) as rows:
        stop = _stop_in(rows)
        if stop and stop.owner == owner and stop.until is not None:
            _put(rows, before)


def allow_writes(database: Database) -> bool:
    """Make the platform writable again; returns whether it was read-only."""
    with database.write(is_guarded=False) as rows:
        was_stopped = _stop_in(rows) is not None
        _put(rows, None)
    return was_stopped


def _put(rows: Rows, stop: Stop | None) -> None:
    rows.execute("DELETE FROM settings WHERE name = ?", (SETTING,))
    if stop:
        rows.execute("INSERT INTO settings (name, value) VALUES (?, ?)", (SETTING, json.dumps(stop)))
