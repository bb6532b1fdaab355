"""Small requests by the thousand: each sent once, with others sent before its response is awaited.

For small files, most time goes into our own steps and waiting for the server. So a request is one piece of bytes, a
response is read in one go, and the next request is prepared while the server responds. Each connection carries one
request at a time, so that no response can be taken for another's. Nothing is retried or diagnosed here: failures are
left to `algo_core.http.client`.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, NamedTuple

from algo_core.errors import ConfigError, NetworkError
from algo_core.http.body import surplus
from algo_core.http.connections import Connection, ConnectionPool
from algo_core.http.direct import connection_lines, receive_head
from algo_core.http.errors import translated
from algo_core.http.headers import header_lines
from algo_core.http.response import NO_BODY
from algo_core.http.urls import is_target, origin_of

if TYPE_CHECKING:
    from algo_core.events import RequestEnded


class SmallResponse(NamedTuple):
    """A response with all of its body."""

    status: int
    headers: Mapping[str, str]
    content: bytes


class Pipeline:
    """Small requests to one host.

    `headers()` go with each, `timeout` is (connect, read) in seconds, `limit` the most bytes of a body that comes back.
    """

    def __init__(
        self,
        pool: Callable[[str], ConnectionPool],
        url: str,
        headers: Callable[[], Mapping[str, str]],
        timeout: tuple[float, float],
        limit: int,
        observe: Callable[[RequestEnded], object] | None = None,
    ) -> None:
        self._pool = pool(url)
        self._timeout = timeout
        self._limit = limit
        self._observe = observe
        if observe:
            from algo_core.events import RequestEnded

            self._event = RequestEnded  # an import for each of thousands would take longer than all the rest
        self._origin = origin_of(url)
        self._url = url
        self._headers = headers
        self._sent_headers: Mapping[str, str] = {}
        self._ends = b""

    def get(self, target: str, more: Mapping[str, str] | None = None) -> PendingResponse:
        """Ask for a path, with `more` headers. Raises NetworkError and its kinds."""
        pending = self._sent(b"GET " + _checked(target) + self._end(more) + b"\r\n")
        return self._observed(pending, "GET", target, 0) if self._observe else pending

    def put(self, target: str, content: bytes, more: Mapping[str, str] | None = None) -> PendingResponse:
        """Send the content of a path, with `more` headers. Raises NetworkError and its kinds."""
        head = b"PUT %b%bContent-Type: application/octet-stream\r\nContent-Length: %d\r\n\r\n"
        pending = self._sent(head % (_checked(target), self._end(more), len(content)) + content)
        return self._observed(pending, "PUT", target, len(content)) if self._observe else pending

    def _observed(self, pending: PendingResponse, method: str, target: str, sent: int) -> PendingResponse:
        origin, began, observe, event = self._origin, time.perf_counter(), self._observe, self._event
        assert observe

        def ended(response: SmallResponse | None) -> None:
            url = origin + target.partition("?")[0]
            status, received = (response.status, len(response.content)) if response else (None, None)
            observe(event(method, url, status, sent, received, time.perf_counter() - began, time.time()))

        pending.ended = ended
        return pending

    def _end(self, more: Mapping[str, str] | None) -> bytes:
        """How each request line and its headers end, made anew when the credential was renewed."""
        headers = self._headers()
        if headers is not self._sent_headers:
            self._ends = f" HTTP/1.1\r\n{connection_lines(self._url)}{header_lines(headers)}".encode("latin-1")
            self._sent_headers = headers
        return self._ends + header_lines(more).encode("latin-1") if more else self._ends

    def _sent(self, request: bytes) -> PendingResponse:
        connection = self._pool.take(*self._timeout)
        try:
            connection.sock.sendall(request)
        except BaseException as error:
            connection.close()
            if isinstance(error, OSError):
                raise translated(error, connection.address) from error
            raise
        return PendingResponse(connection, self._limit)


class PendingResponse:
    """A request that is on its way."""

    __slots__ = ("_connection", "_limit", "ended")

    def __init__(self, connection: Connection, limit: int) -> None:
        self._connection = connection
        self._limit = limit
        self.ended: Callable[[SmallResponse | None], None] | None = None
        """Told of the response, or that there is none."""

    def wait(self) -> SmallResponse | None:
        """Wait for the response; None if it is not plain: larger, compressed, of unknown length, or with a cookie.

        Raises:
            NetworkError and its kinds, PlatformError: if it is cut off, late or invalid.
        """
        connection, is_reusable = self._connection, False
        response: SmallResponse | None = None
        try:
            head, _ = receive_head(connection)
            if head is None:
                return None
            headers = head.headers
            length = 0 if head.status in NO_BODY else head.length
            if length is None or length > self._limit or "content-encoding" in headers or "set-cookie" in headers:
                return None
            content = head.rest
            if len(content) < length:
                content = self._whole(content, length)
            elif len(content) > length and not connection.is_fresh:
                raise surplus(connection)
            is_reusable = head.keeps_open and len(content) == length
            response = SmallResponse(head.status, headers, content[:length])
            return response
        finally:
            if self.ended:
                self.ended(response)
            if is_reusable:
                connection.release()
            else:
                connection.close()

    def _whole(self, content: bytes, length: int) -> bytes:
        parts, missing = [content], length - len(content)
        while missing > 0:
            try:
                parts.append(self._connection.sock.recv(missing))
            except OSError as error:
                raise translated(error, self._connection.address) from error
            if not parts[-1]:
                raise NetworkError(f"The connection to {self._connection.address} broke", "Try again")
            missing -= len(parts[-1])
        return b"".join(parts)

    def forget(self) -> None:
        """Discard the response."""
        self._connection.close()


def _checked(target: str) -> bytes:
    if not is_target(target):
        raise ConfigError(f"Not a path that can be asked for: {target!r:.200}")
    return target.encode("ascii")
