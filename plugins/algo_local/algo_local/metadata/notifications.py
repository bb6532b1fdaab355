"""Notifications of accounts about versions of their algorithms (API section 7)."""

from __future__ import annotations

import json
import time
import uuid
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from algo_local.metadata.database import Database

PUBLISHED = "version_published"
UNPUBLISHED = "version_unpublished"
DELETED = "algorithm_deleted"
TYPES = (PUBLISHED, UNPUBLISHED, DELETED)

KEPT_SECONDS = 90 * 24 * 3600.0
"""How long a notification is kept."""


@dataclass(frozen=True, slots=True)
class Notification:
    """A notification."""

    type: str
    context: Mapping[str, Any]
    created_at: float
    """Seconds since the epoch."""


class Notifications:
    """The notifications of all accounts."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def tell(self, accounts: Iterable[str], kind: str, context: Mapping[str, Any]) -> None:
        """Notify accounts, and delete old notifications."""
        now = time.time()
        with self._database.write() as rows:
            rows.execute("DELETE FROM notifications WHERE created_at < ?", (now - KEPT_SECONDS,))
            rows.executemany(
                "INSERT INTO notifications VALUES (?, ?, ?, ?, ?)",
                [(str(uuid.uuid4()), account, kind, json.dumps(dict(context)), now) for account in accounts],
            )

    def of(self, account: str, kinds: Collection[str], since: float, limit: int) -> list[Notification]:
        """The notifications of these kinds that an account has got since a time, newest first."""
        query = (
            "SELECT type, context, created_at FROM notifications WHERE account = ? AND created_at >= ?"
            f" AND type IN ({', '.join('?' * len(kinds))}) ORDER BY created_at DESC LIMIT ?"
        )
        with self._database.read() as rows:
            found = rows.execute(query, (account, since, *kinds, limit)).fetchall()
        return [Notification(kind, json.loads(context), created_at) for kind, context, created_at in found]
