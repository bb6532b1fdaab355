"""Responses that are not plain (HTTP/1.0, no length, ...), read by the standard library's parser.

requests uses the same parser. It accepts almost anything as a response, so its input is checked here, for both.
"""

from __future__ import annotations

import http.client
import io
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from algo_core.errors import AlgoError, NetworkError, PlatformError
from algo_core.http.connections import Connection
from algo_core.http.errors import TLS_ALERT
from algo_core.http.head import HEAD_LIMIT, chunk_size, endless, no_http
from algo_core.http.headers import Headers, is_length
from algo_core.http.response import Response
from algo_core.http.transport import Request


class Malformed(http.client.HTTPException):
    """The response is malformed, or the end of its body is ambiguous."""


class CheckedResponse(http.client.HTTPResponse):
    """The standard library's response, strict about lines and lengths, and with a limit to its heads."""

    fp: Any  # the stubs know of another kind of file

    def __init__(self, sock: Any, *arguments: Any, **options: Any) -> None:
        super().__init__(sock, *arguments, **options)
        self.fp = _Lines(self.fp.detach())

    def begin(self) -> None:
        """Read the head; whatever interim ones come before it."""
        super().begin()
        while 102 <= self.status < 200:
            self.headers = self.msg = None  # type: ignore[assignment]  # as before the first head
            super().begin()
        self._check()

    def _check(self) -> None:
        assert self.msg is not None
        lengths = {part.strip() for text in self.msg.get_all("Content-Length", []) for part in text.split(",")}
        codings = self.msg.get_all("Transfer-Encoding", [])
        if self.msg.defects:
            raise Malformed("a line of its head is no header")
        if len(codings) > 1 or (codings and not self.chunked):
            raise Malformed(f"its Transfer-Encoding is {', '.join(codings)!r:.80}")
        if len(lengths) > 1:
            raise Malformed("its headers contradict each other: Content-Length is " + " and ".join(sorted(lengths)))
        if not all(map(is_length, lengths)):
            raise Malformed(f"its Content-Length is {lengths.pop()!r:.80}")
        if lengths and not codings and self.length is None:
            self.length = int(lengths.pop())  # of two that are the same in one line

    def _read_next_chunk_size(self) -> int:
        # Called by the standard library; its own takes signs and underscores for parts of a number.
        self.fp.left = HEAD_LIMIT
        return chunk_size(self.fp.readline().rstrip(b"\r\n"))


class _Lines(io.BufferedReader):
    """A stream that gives well-formed lines, and not without end: `left` is how many bytes they may still have."""

    left = HEAD_LIMIT

    def readline(self, size: int | None = -1, /) -> bytes:
        line = super().readline(self.left + 1)
        self.left -= len(line)
        if self.left < 0:
            raise http.client.LineTooLong("head")
        if line.startswith(TLS_ALERT):
            raise http.client.BadStatusLine(line.decode("latin-1"))
        if line and (not line.endswith(b"\r\n") or b"\r" in line[:-2] or b"\0" in line):
            raise Malformed("a line of its head does not end in CR LF")
        return line


def translated(error: http.client.HTTPException, address: str) -> AlgoError:
    """The error to raise for an error of the standard library's parser: PlatformError or NetworkError."""
    if isinstance(error, Malformed):
        return PlatformError(f"{address} sent a malformed response: {error}")
    if isinstance(error, http.client.LineTooLong):
        return endless(address)
    if isinstance(error, http.client.BadStatusLine) and not isinstance(error, ConnectionError):
        return no_http(address, str(error.args[0]).encode("latin-1", "replace"))
    return NetworkError(f"The connection to {address} broke: {error!r}", "Try again")


class StandardResponse(Response):
    """The response to a request on a connection, of which some was received already."""

    def __init__(self, request: Request, connection: Connection, received: bytes) -> None:
        self._connection: Connection | None = connection
        self._address = connection.address
        stream = io.BufferedReader(_Replayed(received, connection.sock))
        self._response = CheckedResponse(_Socket(stream), method=request.method)
        self.url = request.url
        with self._errors(connection):
            self._response.begin()
        self.status = self._response.status
        self.reason = self._response.reason
        self.headers = Headers.of((self._response.msg or {}).items())

    def readinto(self, buffer: Any, /) -> int:
        """The next bytes of the body; 0 at its end."""
        if self._connection is None:
            return 0
        with self._errors(self._connection):
            data = self._response.read1(len(buffer))  # `readinto` would lose what came of a broken chunk
        buffer[: len(data)] = data
        return len(data)

    @contextmanager
    def _errors(self, connection: Connection) -> Iterator[None]:
        try:
            with connection.errors():
                yield
        except http.client.HTTPException as error:
            raise translated(error, self._address) from error

    def close(self) -> None:
        """Close the connection: it cannot be reused safely."""
        connection, self._connection = self._connection, None
        if connection:
            connection.close()


class _Replayed(io.RawIOBase):
    """Bytes that were read already, then the connection."""

    def __init__(self, early: bytes, sock: Any) -> None:
        self._early = early
        self._sock = sock

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any, /) -> int:
        """The next bytes."""
        if self._early:
            part, self._early = self._early[: len(buffer)], self._early[len(buffer) :]
            buffer[: len(part)] = part
            return len(part)
        return int(self._sock.recv_into(buffer))


class _Socket:
    """What the standard library takes for a socket."""

    def __init__(self, file: io.BufferedReader[_Replayed]) -> None:
        self._file = file

    def makefile(self, mode: str) -> io.BufferedReader[_Replayed]:
        """The stream."""
        return self._file
