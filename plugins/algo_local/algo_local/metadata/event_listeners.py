"""Listeners to queues: which algorithm a message is for (platform features, section 4)."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from algo_local.error_codes import ErrorCode
from algo_local.refusals import Missing

if TYPE_CHECKING:
    from algo_local.metadata.database import Database, Rows
    from algo_local.metadata.vault import Vault


@dataclass(frozen=True, slots=True)
class EventListener:
    """A listener without its credentials."""

    id: int
    owner: str
    attributes: Mapping[str, Any]
    """By the names that the API gives them."""


class EventListeners:
    """The listeners of all accounts."""

    def __init__(self, database: Database, vault: Vault) -> None:
        self._database = database
        self._vault = vault

    def create(self, owner: str, attributes: Mapping[str, Any], credentials: str) -> EventListener:
        """Make a listener for an account."""
        values = (owner, json.dumps(dict(attributes)), self._vault.encrypt(credentials))
        with self._database.write() as rows:
            query = "INSERT INTO event_listeners (owner, attributes, credentials) VALUES (?, ?, ?) RETURNING id"
            return EventListener(rows.execute(query, values).fetchone()[0], owner, attributes)

    def of(self, owner: str) -> list[EventListener]:
        """The listeners of an account, oldest first."""
        with self._database.read() as rows:
            return _rows(rows, "owner = ? ORDER BY id", owner)

    def get(self, owner: str, identifier: str) -> EventListener:
        """A listener of an account. Raises Missing."""
        number = int(identifier) if identifier.isdecimal() and identifier.isascii() and len(identifier) < 19 else -1
        with self._database.read() as rows:
            found = _rows(rows, "owner = ? AND id = ?", owner, number)
        if not found:
            raise Missing(f"No event listener {identifier[:50]}", ErrorCode.INVALID_REQUEST)
        return found[0]

    def edit(
        self, listener: EventListener, attributes: Mapping[str, Any], credentials: str | None = None
    ) -> EventListener:
        """Change a listener; credentials that are left out stay."""
        encrypted = None if credentials is None else self._vault.encrypt(credentials)
        with self._database.write() as rows:
            rows.execute(
                "UPDATE event_listeners SET attributes = ?, credentials = coalesce(?, credentials) WHERE id = ?",
                (json.dumps(dict(attributes)), encrypted, listener.id),
            )
        return EventListener(listener.id, listener.owner, attributes)

    def delete(self, listener: EventListener) -> None:
        """Forget a listener."""
        with self._database.write() as rows:
            rows.execute("DELETE FROM event_listeners WHERE id = ?", (listener.id,))


def _rows(rows: Rows, condition: str, *values: object) -> list[EventListener]:
    query = f"SELECT id, owner, attributes FROM event_listeners WHERE {condition}"
    return [EventListener(id, owner, json.loads(text)) for id, owner, text in rows.execute(query, values).fetchall()]
