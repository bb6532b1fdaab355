"""One line for each request of the served platform, as text or as JSON."""

from __future__ import annotations

import json
import re
import threading
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timezone

from algo_local.serving.log import takes_more

_SECRET = re.compile(r"^((?:https?://[^/]*)?/+v1/+(?:webhooks|invites|admin/+invites)/+)[^/?]+", re.IGNORECASE)
"""Paths that are secrets themselves, from what they begin with on."""

TARGET_CHARACTERS = 500
"""Longest target that a line shows in full."""


@dataclass(frozen=True, slots=True)
class LoggedRequest:
    """A request and its result."""

    client: str
    """Its address."""
    method: str
    """With `target`, "-" if the request could not be read."""
    target: str
    status: int
    size: int
    """Bytes of the response's body."""
    seconds: float
    """From its whole head to the last byte of its response."""


class RequestLog:
    """Writes a line for each request that is answered; may be called from any thread.

    Writing never blocks: lines that the reader does not take are counted and omitted.
    """

    def __init__(self, write: Callable[[str], None], style: str) -> None:
        """`style` is `text` or `json`."""
        self._write = write
        self._line = _as_json if style == "json" else _as_text
        self._lock = threading.Lock()
        self._left_out = 0

    def __call__(self, answered: LoggedRequest) -> None:
        """Write the line of a request."""
        line = self._line(answered, datetime.now(timezone.utc).isoformat(timespec="milliseconds"))
        with self._lock:
            if not takes_more():
                self._left_out += 1
                return
            if self._left_out:
                line = f"{self._left_out_line()}\n{line}"
                self._left_out = 0
            self._write(line)

    def _left_out_line(self) -> str:
        if self._line is _as_json:
            return json.dumps({"left_out": self._left_out})
        return f"({self._left_out} requests were left out)"


def _as_text(answered: LoggedRequest, time: str) -> str:
    return (
        f"{time} {answered.client} {answered.method} {_shortened(answered.target)} {answered.status} {answered.size}"
        f" {answered.seconds:.6f}"
    )


def _as_json(answered: LoggedRequest, time: str) -> str:
    members = {
        "time": time,
        "client": answered.client,
        "method": answered.method,
        "target": _shortened(answered.target),
        "status": answered.status,
        "bytes": answered.size,
        "seconds": round(answered.seconds, 6),
    }
    return json.dumps(members, separators=(",", ":"))


def _shortened(target: str) -> str:
    target = _SECRET.sub(r"\1...", target)
    return target if len(target) <= TARGET_CHARACTERS else f"{target[:TARGET_CHARACTERS]}..."
