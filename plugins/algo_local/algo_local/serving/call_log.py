"""One line for each call of an algorithm on the served platform, as text or as JSON."""

from __future__ import annotations

import json
from collections.abc import Callable
from datetime import datetime, timezone
from typing import TYPE_CHECKING

from algo_local.serving.log import takes_more

if TYPE_CHECKING:
    from algo_local.records.record import Record


class CallLog:
    """Writes a line for each call that has ended; may be called from any thread. Writing never blocks."""

    def __init__(self, write: Callable[[str], None], style: str) -> None:
        """`style` is `text` or `json`."""
        self._write = write
        self._line = _as_json if style == "json" else _as_text

    def __call__(self, record: Record) -> None:
        """Write the line of a call, or drop it if that would block."""
        if takes_more():
            self._write(self._line(record))


def _time(record: Record) -> str:
    ended = record.finished_at or record.created_at
    return datetime.fromtimestamp(ended, timezone.utc).isoformat(timespec="milliseconds")


def _as_text(record: Record) -> str:
    algorithm = f"{record.owner}/{record.name}/{record.version}"
    return f"{_time(record)} {record.id} {record.account} {algorithm} {record.state} {record.duration or 0.0:.6f}"


def _as_json(record: Record) -> str:
    members = {
        "time": _time(record),
        "request_id": record.id,
        "account": record.account,
        "algorithm": f"{record.owner}/{record.name}",
        "version": record.version,
        "state": record.state,
        "waited": None if record.started_at is None else round(record.started_at - record.created_at, 6),
        "seconds": round(record.duration or 0.0, 6),
        "worker": record.worker,
        "parent": record.parent or None,
    }
    return json.dumps(members, separators=(",", ":"))
