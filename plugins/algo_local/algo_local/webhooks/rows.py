"""The table of notifications: rows for the ends of calls and for insights, written when a call is accepted."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Sequence

    from algo_local.metadata.database import Rows

WAITING, DELIVERED, FAILED = "waiting", "delivered", "failed"
CALL, INSIGHTS = "call", "insights"

_COLUMNS = "request, account, url, link, with_output, state, attempts, due_at, problem, delivered_at, kind"
_ENDED = "requests.state NOT IN ('queued', 'running')"


class Webhook(NamedTuple):
    """One notification. Times are in seconds since the epoch."""

    request: str
    """The id of the call."""
    account: str
    url: str
    link: str
    """The address of the call's record; of insights, their topic."""
    with_output: bool
    state: str = WAITING
    attempts: int = 0
    due_at: float = 0.0
    problem: str = ""
    """Why the last attempt failed."""
    delivered_at: float | None = None
    kind: str = CALL
    """What is told: how the call ended, or its insights."""


def add(rows: Rows, webhook: Webhook) -> None:
    """Queue a notification, to send when its call has ended."""
    query = f"INSERT INTO request_webhooks ({_COLUMNS}) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?) ON CONFLICT DO NOTHING"
    rows.execute(query, webhook)


def find(rows: Rows, request: str) -> Webhook | None:
    """The notification about the end of a call."""
    query = f"SELECT {_COLUMNS} FROM request_webhooks WHERE request = ? AND kind = ?"
    found = rows.execute(query, (request, CALL)).fetchone()
    return _webhook(found) if found else None


def count_waiting(rows: Rows, account: str) -> int:
    """The number of an account's notifications that are neither delivered nor failed."""
    query = (
        f"SELECT count(*) FROM request_webhooks WHERE account = ? AND state = '{WAITING}'"  # as in the partial index
    )
    return int(rows.execute(query, (account,)).fetchone()[0])


def next_due(rows: Rows) -> float | None:
    """The time of the next attempt for a call that has ended."""
    query = (
        "SELECT min(due_at) FROM request_webhooks JOIN requests ON requests.id = request"
        f" WHERE request_webhooks.state = '{WAITING}' AND {_ENDED}"
    )
    found = rows.execute(query).fetchone()[0]
    return None if found is None else float(found)


def is_any_waiting(rows: Rows) -> bool:
    """Whether a notification is waiting for its call, or for an attempt."""
    return bool(rows.execute(f"SELECT 1 FROM request_webhooks WHERE state = '{WAITING}' LIMIT 1").fetchone())


def claim(rows: Rows, now: float, lease: float, limit: int) -> list[Webhook]:
    """Claim due notifications for an attempt; no other process claims them for `lease` seconds."""
    query = (
        f"SELECT {_qualified()} FROM request_webhooks JOIN requests ON requests.id = request"
        f" WHERE request_webhooks.state = '{WAITING}' AND due_at <= ? AND {_ENDED} ORDER BY due_at LIMIT ?"
    )
    found = [_webhook(row) for row in rows.execute(query, (now, limit)).fetchall()]
    rows.executemany(
        "UPDATE request_webhooks SET attempts = attempts + 1, due_at = ? WHERE request = ? AND kind = ?",
        [(now + lease, webhook.request, webhook.kind) for webhook in found],
    )
    return [webhook._replace(attempts=webhook.attempts + 1) for webhook in found]


def settle(rows: Rows, changed: Sequence[Webhook]) -> None:
    """Record the outcome of attempts."""
    rows.executemany(
        "UPDATE request_webhooks SET state = ?, due_at = ?, problem = ?, delivered_at = ?"
        " WHERE request = ? AND kind = ?",
        [(each.state, each.due_at, each.problem, each.delivered_at, each.request, each.kind) for each in changed],
    )


def _qualified() -> str:
    return ", ".join(f"request_webhooks.{name}" for name in _COLUMNS.split(", "))


def _webhook(row: tuple[object, ...]) -> Webhook:
    values = list(row)
    values[4] = bool(values[4])
    return Webhook(*values)  # type: ignore[arg-type]  # the columns are of these types
