"""The printed output of an algorithm: kept up to a limit, without the line that reports the end of loading."""

from __future__ import annotations

from collections.abc import Callable

from algo_local.execution.protocol import INIT_MARKER

MAX_OUTPUT = 1 << 20
"""Bytes of printed output kept for each call; the rest is read and dropped, so that printing never blocks."""

_LONGEST_LINE = 1 << 16


class CapturedOutput:
    """Printed output up to a limit, and the number of dropped bytes."""

    def __init__(self) -> None:
        self._kept = bytearray()
        self._dropped = 0
        self._held = b""
        self.listener: Callable[[bytes], None] | None = None
        """Told of what is kept, as it comes."""
        self.is_ready = False
        """Whether the end of loading was reported (API section 8.4, item 3)."""

    def add(self, data: bytes) -> None:
        """Add printed output."""
        self._keep(data if self.is_ready else self._without_marker(data))

    def so_far(self, limit: int) -> bytes | None:
        """The output kept so far; None if it has more than `limit` bytes."""
        return bytes(self._kept) if len(self._kept) <= limit and not self._dropped else None

    def take(self) -> str:
        """Return the output as text, and clear it."""
        self._keep(self._held)
        text = self._kept.decode("utf-8", "replace")
        if self._dropped:
            text += f"\n[{self._dropped} more bytes of output dropped]\n"
        self._kept, self._dropped, self._held = bytearray(), 0, b""
        return text

    def _keep(self, data: bytes) -> None:
        room = MAX_OUTPUT - len(self._kept)
        if self.listener and data[:room]:
            self.listener(data[:room])
        self._kept += data[:room]
        self._dropped += max(0, len(data) - room)

    def _without_marker(self, data: bytes) -> bytes:
        """Hold back the last, unfinished line while loading; drop the line that says that loading is done."""
        data = self._held + data
        at = data.find(INIT_MARKER)
        if at < 0 or (end := data.find(b"\n", at)) < 0:
            # Hold back no more of an unfinished line than may be the beginning of the marker.
            keep = max(data.rfind(b"\n") + 1, len(data) - _LONGEST_LINE)
            self._held = data[keep:]
            return data[:keep]
        self.is_ready, self._held = True, b""
        return data[: data.rfind(b"\n", 0, at) + 1] + data[end + 1 :]
