"""Incoming webhooks: addresses at which other services call an algorithm for an account, without a key."""

from __future__ import annotations

import hashlib
import secrets
import time
import uuid
from dataclasses import dataclass
from typing import TYPE_CHECKING

from algo_local.error_codes import ErrorCode
from algo_local.refusals import Invalid, Missing

if TYPE_CHECKING:
    from algo_local.metadata.database import Database, Rows

MOST = 100
"""Webhooks of one account."""

_COLUMNS = "id, owner, algorithm, version, created_at, last_at, last_request, problem"


@dataclass(frozen=True, slots=True)
class IncomingWebhook:
    """A webhook, without the token in its address. Times are in seconds since the epoch."""

    id: str
    owner: str
    """The account that the calls are made by."""
    algorithm: str
    """`OWNER/NAME`."""
    version: str
    """The last part of the reference; empty for the newest public version."""
    created_at: float
    last_at: float | None = None
    last_request: str = ""
    """The id of the last call."""
    problem: str = ""
    """Why there was no call the last time; empty if there was one."""


class IncomingWebhooks:
    """The incoming webhooks of all accounts."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def create(self, owner: str, algorithm: str, version: str) -> tuple[IncomingWebhook, str]:
        """Make a webhook; its token is returned only here. Invalid if the account has too many."""
        made, token = IncomingWebhook(str(uuid.uuid4()), owner, algorithm, version, time.time()), secrets.token_hex(24)
        with self._database.write() as rows:
            (count,) = rows.execute("SELECT count(*) FROM incoming_webhooks WHERE owner = ?", (owner,)).fetchone()
            if count >= MOST:
                raise Invalid(f"An account may have at most {MOST} incoming webhooks", ErrorCode.INPUT_VALIDATION_ERROR)
            rows.execute(
                f"INSERT INTO incoming_webhooks ({_COLUMNS}, digest) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)",
                (made.id, owner, algorithm, version, made.created_at, None, "", "", _digest(token)),
            )
        return made, token

    def of(self, owner: str) -> list[IncomingWebhook]:
        """The webhooks of an account, oldest first."""
        with self._database.read() as rows:
            return _read(rows, "owner = ? ORDER BY created_at, id", owner)

    def find(self, token: str) -> IncomingWebhook | None:
        """The webhook of a token; None if there is none."""
        with self._database.read() as rows:
            return next(iter(_read(rows, "digest = ?", _digest(token))), None)

    def delete(self, owner: str, identifier: str) -> None:
        """Forget a webhook of an account: its address is none any more. Raises Missing."""
        with self._database.write() as rows:
            query = "DELETE FROM incoming_webhooks WHERE owner = ? AND id = ?"
            if not rows.execute(query, (owner, identifier)).rowcount:
                raise Missing(f"No incoming webhook {identifier[:50]}", ErrorCode.INVALID_REQUEST)

    def forget_account(self, owner: str) -> None:
        """Forget the webhooks of an account."""
        with self._database.write() as rows:
            rows.execute("DELETE FROM incoming_webhooks WHERE owner = ?", (owner,))

    def ran(self, webhook: IncomingWebhook, request: str, problem: str) -> None:
        """Record a call, or why there was none."""
        with self._database.write(is_guarded=False) as rows:
            rows.execute(
                "UPDATE incoming_webhooks SET last_at = ?, last_request = ?, problem = ? WHERE id = ?",
                (time.time(), request, problem, webhook.id),
            )


def _digest(token: str) -> bytes:
    # A token has 192 random bits: nothing that salt or slow hashing could protect better.
    return hashlib.sha256(token.encode("utf-8", "surrogatepass")).digest()


def _read(rows: Rows, condition: str, *values: object) -> list[IncomingWebhook]:
    query = f"SELECT {_COLUMNS} FROM incoming_webhooks WHERE {condition}"
    return [IncomingWebhook(*row) for row in rows.execute(query, values).fetchall()]
