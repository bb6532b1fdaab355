"""Administration: feature switches, invites, reserved workers, and the front end's configuration."""

from __future__ import annotations

import time
import uuid
from dataclasses import dataclass
from typing import TYPE_CHECKING

from algo_local.error_codes import ErrorCode
from algo_local.refusals import Missing, Taken

if TYPE_CHECKING:
    from algo_local.metadata.database import Database, Rows

EVERYBODY = ""
"""In place of an account: the switch of all accounts without their own."""


@dataclass(frozen=True, slots=True)
class Invite:
    """A code for creating an account. Times are in seconds since the epoch."""

    code: str
    comments: str
    signup_credits: int
    expires_at: float | None
    created_at: float
    created_by: str


@dataclass(frozen=True, slots=True)
class Reservation:
    """Workers that are kept for one caller of an algorithm."""

    id: str
    algorithm: str
    """The algorithm's id."""
    calling_user: str
    version_type: str
    """What `version_identifier` is: `hash`, `semantic_version`, or `latest` without one."""
    version_identifier: str
    slots: int


@dataclass(frozen=True, slots=True)
class ConfigurationValue:
    """A value of the configuration. Times are in seconds since the epoch."""

    name: str
    value: bytes
    media_type: str
    created_at: float
    updated_at: float


class Administration:
    """Switches, invites, reservations and configuration."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def is_enabled(self, feature: str, account: str) -> bool:
        """Whether a feature is on for an account: by its own switch, else by everybody's, else it is."""
        query = "SELECT enabled FROM features WHERE name = ? AND account IN (?, ?) ORDER BY account DESC LIMIT 1"
        with self._database.read() as rows:
            found = rows.execute(query, (feature, account, EVERYBODY)).fetchone()
        return found is None or bool(found[0])

    def switch(self, feature: str, account: str, enabled: bool) -> None:
        """Turn a feature on or off, for one account or for everybody."""
        query = (
            "INSERT INTO features VALUES (?, ?, ?) ON CONFLICT (name, account) DO UPDATE SET enabled = excluded.enabled"
        )
        with self._database.write() as rows:
            rows.execute(query, (feature, account, enabled))

    def invites(self) -> list[Invite]:
        """All invites, oldest first."""
        with self._database.read() as rows:
            return [Invite(*row) for row in rows.execute(f"{_INVITES} ORDER BY created_at").fetchall()]

    def invite(self, code: str) -> Invite:
        """An invite that can still be accepted. Raises Missing."""
        with self._database.read() as rows:
            row = rows.execute(f"{_INVITES} WHERE code = ?", (code,)).fetchone()
        found = Invite(*row) if row else None
        if not found or (found.expires_at is not None and found.expires_at <= time.time()):
            raise Missing("No such invite", ErrorCode.INVALID_SIGN_UP_FORM)
        return found

    def add_invite(self, code: str, comments: str, credits: int, expires_at: float | None, by: str) -> Invite:
        """Make an invite. Raises Taken."""
        made = Invite(code, comments, credits, expires_at, time.time(), by)
        with self._database.write() as rows:
            if rows.execute("SELECT 1 FROM invites WHERE code = ?", (code,)).fetchone():
                raise Taken("This invite already exists", ErrorCode.INVALID_REQUEST)
            values = (code, comments, credits, expires_at, made.created_at, by)
            rows.execute("INSERT INTO invites VALUES (?, ?, ?, ?, ?, ?)", values)
        return made

    def delete_invite(self, code: str) -> None:
        """Take an invite back. Raises Missing."""
        with self._database.write() as rows:
            if not rows.execute("DELETE FROM invites WHERE code = ?", (code,)).rowcount:
                raise Missing("No such invite", ErrorCode.INVALID_REQUEST)

    def reservations(self) -> list[Reservation]:
        """All reservations."""
        query = "SELECT id, algorithm, calling_user, version_type, version_identifier, slots FROM reservations"
        with self._database.read() as rows:
            return [Reservation(*row) for row in rows.execute(f"{query} ORDER BY id").fetchall()]

    def reserve(
        self, algorithm_id: str, calling_user: str, version_type: str, version_identifier: str, slots: int
    ) -> Reservation:
        """Keep workers of an algorithm for a caller."""
        made = Reservation(str(uuid.uuid4()), algorithm_id, calling_user, version_type, version_identifier, slots)
        with self._database.write() as rows:
            values = (made.id, made.algorithm, calling_user, version_type, version_identifier, slots)
            rows.execute("INSERT INTO reservations VALUES (?, ?, ?, ?, ?, ?)", values)
        return made

    def unreserve(self, identifier: str) -> None:
        """Give reserved workers back. Raises Missing."""
        with self._database.write() as rows:
            if not rows.execute("DELETE FROM reservations WHERE id = ?", (identifier,)).rowcount:
                raise Missing(f"No reservation {identifier[:50]}", ErrorCode.INVALID_REQUEST)

    def entries(self, prefix: str) -> list[ConfigurationValue]:
        """The values of the configuration whose names begin so, by name."""
        with self._database.read() as rows:
            found = _entries(rows, "substr(name, 1, ?) = ? ORDER BY name", len(prefix), prefix)
        return found

    def entry(self, name: str) -> ConfigurationValue | None:
        """A value of the configuration; None if it is not set."""
        with self._database.read() as rows:
            return next(iter(_entries(rows, "name = ?", name)), None)

    def set_entry(self, name: str, value: bytes, media_type: str) -> ConfigurationValue:
        """Set a value of the configuration."""
        now = time.time()
        with self._database.write() as rows:
            rows.execute(
                "INSERT INTO configuration VALUES (?, ?, ?, ?, ?) ON CONFLICT (name) DO UPDATE SET"
                " value = excluded.value, media_type = excluded.media_type, updated_at = excluded.updated_at",
                (name, value, media_type, now, now),
            )
            return _entries(rows, "name = ?", name)[0]

    def delete_entry(self, name: str) -> bool:
        """Remove a value of the configuration; whether it was set."""
        with self._database.write() as rows:
            return rows.execute("DELETE FROM configuration WHERE name = ?", (name,)).rowcount > 0


_INVITES = "SELECT code, comments, signup_credits, expires_at, created_at, created_by FROM invites"


def _entries(rows: Rows, condition: str, *values: object) -> list[ConfigurationValue]:
    query = f"SELECT name, value, media_type, created_at, updated_at FROM configuration WHERE {condition}"
    return [ConfigurationValue(*row) for row in rows.execute(query, values).fetchall()]
