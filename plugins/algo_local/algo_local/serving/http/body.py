"""The bodies of requests, of known length or in chunks, read block by block."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Protocol

from algo_local.serving.http.connection_limits import CHUNK_LINE_BYTES, FIELDS, HEAD_BYTES, LINE_BYTES
from algo_local.serving.http.head import BadRequest, parse_fields
from algo_local.serving.http.receive_buffer import ReceiveBuffer

_BLOCK = 64 << 10
_HEX = frozenset("0123456789abcdefABCDEF")


class Body(Protocol):
    """The body of a request, as read by the application."""

    @property
    def finished(self) -> bool:
        """Whether all of it has been read."""

    def read(self, size: int, /) -> bytes:
        """Between 1 and `size` bytes; empty at the end of the body.

        Raises:
            ValueError: if the client disconnects, or violates the coding.
            OSError: if the connection fails, or the client sends nothing for too long (TimeoutError).
        """

    def readinto(self, buffer: memoryview, /) -> int:
        """As `read`, into a buffer; returns the number of bytes."""


class SizedBody:
    """A body of known length. It ends early, without an error, if the client disconnects."""

    def __init__(self, incoming: ReceiveBuffer, length: int, announce: Callable[[], None] | None) -> None:
        """`announce` is called before the first read that has to wait for the client."""
        self._incoming = incoming
        self._left = length
        self._announce = announce

    @property
    def finished(self) -> bool:
        """Whether all of it has been read."""
        return not self._left

    def read(self, size: int, /) -> bytes:
        """At most `size` bytes."""
        wanted = min(size, self._left)
        if not wanted:
            return b""
        self._begin()
        data = self._incoming.take(wanted)
        self._left -= len(data)
        return data

    def readinto(self, buffer: memoryview, /) -> int:
        """As `read`, into a buffer."""
        wanted = min(len(buffer), self._left)
        if not wanted:
            return 0
        self._begin()
        count = self._incoming.take_into(buffer[:wanted])
        self._left -= count
        return count

    def _begin(self) -> None:
        if self._announce:
            announce, self._announce = self._announce, None
            if self._incoming.is_empty:
                announce()


class ChunkedBody:
    """A body in chunks, each of any size (RFC 9112 section 7.1). Trailers are checked and dropped."""

    def __init__(self, incoming: ReceiveBuffer, announce: Callable[[], None] | None) -> None:
        """`announce` is called before the first read that has to wait for the client."""
        self._incoming = incoming
        self._left = 0
        self._begun = False
        self._broken = False
        self._announce = announce
        self.finished = False

    def read(self, size: int, /) -> bytes:
        """At most `size` bytes."""
        if not self._advance() or not size:
            return b""
        data = self._incoming.take(min(size, self._left))
        self._received(len(data))
        return data

    def readinto(self, buffer: memoryview, /) -> int:
        """As `read`, into a buffer."""
        if not self._advance() or not buffer:
            return 0
        count = self._incoming.take_into(buffer[: self._left])
        self._received(count)
        return count

    def _advance(self) -> bool:
        """Advance to the next byte of content; False at the end."""
        if self._broken:
            raise ValueError("it was broken before")
        if self._announce:
            announce, self._announce = self._announce, None
            if self._incoming.is_empty:
                announce()
        if self._left or self.finished:
            return not self.finished
        self._broken = True  # unless the next lines are well-formed
        try:
            self._next_chunk()
        except BadRequest as error:
            raise ValueError(error.reason) from None
        self._broken = False
        return not self.finished

    def _received(self, count: int) -> None:
        if not count:
            self._broken = True
            raise ValueError("it ended in the middle of a chunk")
        self._left -= count

    def _next_chunk(self) -> None:
        if self._begun and self._incoming.line(0):
            raise ValueError("a chunk does not end where it should")
        self._begun = True
        line = self._incoming.line(CHUNK_LINE_BYTES)
        length, _, extensions = line.partition(";")
        if not length or len(length) > 15 or not _HEX.issuperset(length) or _has_control(extensions):
            raise ValueError("a chunk has no length")
        self._left = int(length, 16)
        if not self._left:
            self._trailers()
            self.finished = True

    def _trailers(self) -> None:
        lines: list[str] = []
        size = 0
        while line := self._incoming.line(LINE_BYTES):
            lines.append(line)
            size += len(line)
            if len(lines) > FIELDS or size > HEAD_BYTES:
                raise ValueError("its trailers are too large")
        parse_fields(lines)


def _has_control(text: str) -> bool:
    return any((character < " " and character != "\t") or character == "\x7f" for character in text)


def drain(body: Body, limit: int, seconds: float) -> None:
    """Discard the rest of a body, if at most `limit` bytes arrive in time."""
    ends = time.monotonic() + seconds
    try:
        while not body.finished and limit > 0 and time.monotonic() < ends:
            block = body.read(min(limit, _BLOCK))
            if not block:
                return
            limit -= len(block)
    except (ValueError, OSError):
        return
