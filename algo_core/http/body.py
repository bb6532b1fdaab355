"""Responses of the direct transport: their bodies are read from the connection itself."""

from __future__ import annotations

from typing import Any

from algo_core.errors import NetworkError, PlatformError
from algo_core.http.connections import Connection
from algo_core.http.head import HEAD_LIMIT, Head, chunk_size, endless
from algo_core.http.response import Response

LINES = 1 << 14
"""Bytes received at a time where a line is expected."""


class _DirectResponse(Response):
    def __init__(self, url: str, head: Head, connection: Connection) -> None:
        self.url = url
        self.status = head.status
        self.reason = head.reason
        self.headers = head.headers
        self._keep = head.keeps_open
        self._connection: Connection | None = connection
        self._early = head.rest
        self._at = 0  # what of it has been used
        self._left = 0

    def _take(self, view: memoryview) -> int:
        """Some bytes: first those received early, then those from the connection."""
        if self._at < len(self._early):
            part = self._early[self._at : self._at + len(view)]
            view[: len(part)] = part
            self._at += len(part)
            return len(part)
        connection = self._connection
        assert connection
        try:
            return int(connection.sock.recv_into(view))
        except OSError:
            with connection.errors():
                raise

    def _done(self) -> None:
        """Return the connection to the pool; close it if bytes follow the body."""
        connection, self._connection = self._connection, None
        if connection and self._keep and self._at == len(self._early):
            connection.release()
        elif connection:
            connection.close()

    def close(self) -> None:
        """Release the connection."""
        connection, self._connection = self._connection, None
        if connection:
            connection.close()


class SizedResponse(_DirectResponse):
    """A response whose body has a known length.

    Raises:
        NetworkError: if more came at once than that, on a connection that had served before: it may be a surplus
            response to an earlier request, and this request's own behind it.
    """

    def __init__(self, url: str, head: Head, connection: Connection, length: int) -> None:
        super().__init__(url, head, connection)
        self._left = length
        if len(head.rest) > length and not connection.is_fresh:
            raise surplus(connection)
        if not length:
            self._done()

    def readinto(self, buffer: Any, /) -> int:
        """The next bytes of the body; 0 at its end."""
        if not self._left or self._connection is None:
            return 0
        count = self._take(memoryview(buffer)[: self._left])
        self._left -= count
        if not count:
            self.close()
        elif not self._left:
            self._done()
        return count

    def read(self, limit: int) -> bytes:
        """The whole body, read once: what came with the headers is often all of it."""
        size = self._left
        if not size or size > min(limit, len(self._early) - self._at):
            return super().read(limit)
        self._content = self._early[self._at : self._at + size]
        self._at, self._left = self._at + size, 0
        self._done()
        return self._content


class ChunkedResponse(_DirectResponse):
    """A response whose body comes in chunks, of which only sizes and content mean anything (RFC 9112 section 7.1)."""

    def __init__(self, url: str, head: Head, connection: Connection) -> None:
        super().__init__(url, head, connection)
        self._is_first = True

    def readinto(self, buffer: Any, /) -> int:
        """The next bytes of the body; 0 at its end.

        Raises:
            NetworkError: if it is cut off.
            PlatformError: if it is malformed.
        """
        if self._connection is None or not len(buffer):
            return 0
        try:
            if not self._left and not self._next_chunk():
                return 0
            count = self._take(memoryview(buffer)[: self._left])
            if not count:
                raise self._broken()
        except BaseException:
            self.close()
            raise
        self._left -= count
        return count

    def _next_chunk(self) -> bool:
        """Come to the next chunk; False at the end."""
        if not self._is_first and self._line():
            raise PlatformError(f"{self.place} sent a malformed response: a chunk does not end where it should")
        self._is_first = False
        try:
            self._left = chunk_size(self._line())
        except ValueError as error:
            raise PlatformError(f"{self.place} sent a malformed response: {error}") from None
        if self._left:
            return True
        trailers = 0
        while line := self._line():
            trailers += len(line)
            if trailers > HEAD_LIMIT:
                raise endless(self.place)
        self._done()
        return False

    def _line(self) -> bytes:
        """A line without its end, which is CR LF."""
        while (end := self._early.find(b"\n", self._at)) < 0:
            held = self._early[self._at :]
            if len(held) > HEAD_LIMIT:
                raise endless(self.place)
            self._early, self._at = b"", 0
            buffer = memoryview(bytearray(LINES))
            count = self._take(buffer)
            if not count:
                raise self._broken()
            self._early = held + buffer[:count]
        line, self._at = self._early[self._at : end], end + 1
        if not line.endswith(b"\r") or b"\r" in line[:-1] or b"\0" in line:
            raise PlatformError(f"{self.place} sent a malformed response: a line does not end in CR LF")
        return line[:-1]

    def _broken(self) -> NetworkError:
        return NetworkError(f"The connection to {self.place} broke", "Try again")


def surplus(connection: Connection) -> NetworkError:
    """The error for more bytes than a response has, where they may mean that it answers another request."""
    return NetworkError(f"{connection.address} sent more than one response to a request", "Try again")
