"""Schedules: calls of algorithms at times that repeat."""

from __future__ import annotations

import uuid
from dataclasses import dataclass
from datetime import datetime, timezone
from typing import TYPE_CHECKING
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from algo_local.error_codes import ErrorCode
from algo_local.refusals import Invalid, Missing

if TYPE_CHECKING:
    from algo_local.metadata.database import Database, Rows

MOST = 100
"""Schedules of one account."""

LATE_SECONDS = 60.0
"""How late a run may begin; a moment that is longer ago has been missed, and is not made up for."""

_MOST_COUNTED = 10_000
"""Missed times that are counted at once."""

_PAUSE_SECONDS = 3600.0

_COLUMNS = (
    "id, owner, algorithm, version, cron, timezone, content_type, input, created_at, next_at, last_at, last_request,"
    " problem, missed"
)


@dataclass(frozen=True, slots=True)
class Schedule:
    """A schedule. Times are in seconds since the epoch."""

    id: str
    owner: str
    """The account that the calls are made by."""
    algorithm: str
    """`OWNER/NAME`."""
    version: str
    """The last part of the reference; empty for the newest public version."""
    cron: str
    """Minute, hour, day of the month, month, day of the week."""
    timezone: str
    content_type: str
    """`text` or `json`."""
    input: str
    created_at: float
    next_at: float
    last_at: float | None = None
    last_request: str = ""
    """The id of the last call."""
    problem: str = ""
    """Why there was no call the last time; empty if there was one."""
    missed: int = 0
    """Moments at which no platform was served."""

    def after(self, moment: float) -> float:
        """The first time after a moment. Invalid for an expression that never comes true."""
        return next_time(self.cron, self.timezone, moment)


def next_time(cron: str, zone: str, moment: float) -> float:
    """The first time after a moment that matches a cron expression.

    Raises:
        Invalid: if the expression or the time zone cannot be understood, or the time never comes.
    """
    from cronsim import CronSim, CronSimError

    if len(cron.split()) != 5:
        message = f"Not a schedule: {cron[:100]!r}; write minute, hour, day, month and day of the week: '0 6 * * 1-5'"
        raise Invalid(message, ErrorCode.INPUT_VALIDATION_ERROR)
    try:
        local = datetime.fromtimestamp(moment, timezone.utc).astimezone(ZoneInfo(zone))
        return next(CronSim(cron, local)).timestamp()
    except CronSimError as error:
        message = f"Not a schedule: {cron[:100]!r} ({error})"
    except StopIteration:
        message = f"The schedule {cron[:100]!r} means no time"
    except (ZoneInfoNotFoundError, ValueError, OSError):
        message = f"No time zone {zone[:100]!r}; write one such as Europe/Berlin, or UTC"
    raise Invalid(message, ErrorCode.INPUT_VALIDATION_ERROR)


class Schedules:
    """The schedules of all accounts."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def create(
        self, owner: str, algorithm: str, version: str, cron: str, zone: str, given: tuple[str, str]
    ) -> Schedule:
        """Make a schedule for an account; `given` is the content type and text of the input.

        Raises:
            Invalid: if the schedule never comes due, or the account has too many.
        """
        now = self._database.now()
        made = Schedule(
            str(uuid.uuid4()), owner, algorithm, version, cron, zone, *given, now, next_time(cron, zone, now)
        )
        with self._database.write() as rows:
            (count,) = rows.execute("SELECT count(*) FROM schedules WHERE owner = ?", (owner,)).fetchone()
            if count >= MOST:
                raise Invalid(f"An account may have at most {MOST} schedules", ErrorCode.INPUT_VALIDATION_ERROR)
            values = [getattr(made, name.strip()) for name in _COLUMNS.split(",")]
            rows.execute(f"INSERT INTO schedules ({_COLUMNS}) VALUES ({', '.join('?' * len(values))})", values)
        return made

    def of(self, owner: str) -> list[Schedule]:
        """The schedules of an account, oldest first."""
        with self._database.read() as rows:
            return _read(rows, "owner = ? ORDER BY created_at, id", owner)

    def get(self, owner: str, identifier: str) -> Schedule:
        """A schedule of an account. Raises Missing."""
        with self._database.read() as rows:
            found = _read(rows, "owner = ? AND id = ?", owner, identifier)
        if not found:
            raise Missing(f"No schedule {identifier[:50]}", ErrorCode.INVALID_REQUEST)
        return found[0]

    def delete(self, schedule: Schedule) -> None:
        """Forget a schedule; a call that it has begun goes on."""
        with self._database.write() as rows:
            rows.execute("DELETE FROM schedules WHERE id = ?", (schedule.id,))

    def forget_account(self, owner: str) -> None:
        """Forget the schedules of an account."""
        with self._database.write() as rows:
            rows.execute("DELETE FROM schedules WHERE owner = ?", (owner,))

    def next_moment(self) -> float | None:
        """When the next call is to be made; None if there is no schedule."""
        with self._database.read() as rows:
            moment: float | None = rows.execute("SELECT min(next_at) FROM schedules").fetchone()[0]
        return moment

    def claim(self) -> list[Schedule]:
        """The schedules whose time has come. One process gets each: its next time is set in the same transaction.

        Schedules that missed their time get their next one as well. All processes use the clock of the database.
        """
        due: list[Schedule] = []
        moment, now = self.next_moment(), self._database.now()
        if moment is None or moment > now:
            return due
        with self._database.write() as rows:
            for schedule in _read(rows, "next_at <= ? ORDER BY next_at, id", now):
                try:
                    is_due, following, missed = _following(schedule, now)
                    problem = schedule.problem
                except Invalid as error:  # a time zone that this machine no longer knows
                    is_due, following, missed, problem = False, now + _PAUSE_SECONDS, 0, error.message
                if is_due:
                    due.append(schedule)
                rows.execute(
                    "UPDATE schedules SET next_at = ?, missed = missed + ?, problem = ? WHERE id = ?",
                    (following, missed, problem, schedule.id),
                )
        return due

    def give_back(self, schedule: Schedule) -> None:
        """Have a call that could not be accepted come due again, here or where the platform is moved to."""
        with self._database.write(is_guarded=False) as rows:
            rows.execute("UPDATE schedules SET next_at = ? WHERE id = ?", (schedule.next_at, schedule.id))

    def ran(self, schedule: Schedule, request: str, problem: str) -> None:
        """Record a call, or why there was none."""
        moment = self._database.now()
        with self._database.write(is_guarded=False) as rows:
            rows.execute(
                "UPDATE schedules SET last_at = ?, last_request = ?, problem = ? WHERE id = ?",
                (moment, request, problem, schedule.id),
            )


def _following(schedule: Schedule, now: float) -> tuple[bool, float, int]:
    """Whether a call is due, the time of the next one, and how many were missed."""
    missed, moment = 0, schedule.next_at
    while now - moment > LATE_SECONDS and missed < _MOST_COUNTED:
        missed, moment = missed + 1, schedule.after(moment)
    if missed == _MOST_COUNTED:
        return False, schedule.after(now), missed
    return (True, schedule.after(moment), missed) if moment <= now else (False, moment, missed)


def _read(rows: Rows, condition: str, *values: object) -> list[Schedule]:
    query = f"SELECT {_COLUMNS} FROM schedules WHERE {condition}"
    return [Schedule(*row) for row in rows.execute(query, values).fetchall()]
