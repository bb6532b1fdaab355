"""The direct transport: narrow, strict HTTP/1.1 on its own connections, at a fraction of the cost of requests.

It sends only checked requests and accepts one plain grammar of responses (`algo_core.http.head`). Any other response
goes to the standard library's parser, which requests uses as well, on the same connection (`algo_core.http.standard`):
no request is sent twice.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from algo_core.errors import ConfigError, NetworkError, TimedOut, TlsError
from algo_core.http.body import ChunkedResponse, SizedResponse
from algo_core.http.connections import Connection, ConnectionPool
from algo_core.http.errors import silent, translated
from algo_core.http.head import HEAD_LIMIT, Head, check_beginning, endless, parse_head
from algo_core.http.headers import header_lines
from algo_core.http.response import NO_BODY, Response
from algo_core.http.transport import Request, RequestBody
from algo_core.http.urls import PORTS, is_target, origin_of, target_of

if TYPE_CHECKING:
    import ssl

RECEIVED = 1 << 14
"""Bytes that are received at a time before a body: most responses are smaller, and room for more has to be made."""

JOINED = 1 << 16
"""Bytes up to which a block is sent together with what comes before it."""


class DirectTransport:
    """Sends requests to hosts that are reached without a proxy; `context` makes the context for those behind TLS."""

    def __init__(self, context: Callable[[], ssl.SSLContext]) -> None:
        self._context = context
        self._pools: dict[str, ConnectionPool] = {}

    def send(self, request: Request) -> Response:
        """Send a request once and return its response.

        Raises:
            ConfigError: if a part of it cannot be sent; the message names it. Nothing was sent.
            NetworkError and its kinds, PlatformError, AlgoError: as `algo_core.http.transport.Transport` says.
        """
        pool = self.pool(request.url)
        head = request_head(request)
        connection = pool.take(*request.timeout)
        with _closed_by_errors(connection):
            return _response(connection, request, _send(connection, head, request.body))

    def pool(self, url: str) -> ConnectionPool:
        """The pool of connections to a URL's host.

        Raises:
            ConfigError: if the certificates to trust cannot be read.
        """
        origin = origin_of(url)
        if origin not in self._pools:
            parts = urlsplit(url)
            context = self._context if parts.scheme == "https" else None
            port = parts.port or PORTS[parts.scheme]
            self._pools[origin] = ConnectionPool(parts.hostname or "", port, context, origin)
        return self._pools[origin]

    def close(self) -> None:
        """Close the connections."""
        while self._pools:
            self._pools.popitem()[1].close()


def continued(connection: Connection, request: Request, unsent: bytes, received: bytes) -> Response:
    """The response to a request that was begun on a connection: `unsent` is left of it, `received` has come already.

    Raises:
        NetworkError and its kinds, PlatformError: as `DirectTransport.send` does.
    """
    with _closed_by_errors(connection):
        connection.limit(request.timeout[1])
        return _response(connection, request, _send(connection, unsent, None) if unsent else None, received)


@contextmanager
def _closed_by_errors(connection: Connection) -> Iterator[None]:
    try:
        yield
    except BaseException as error:
        connection.close()
        if isinstance(error, NetworkError) and not isinstance(error, TimedOut):
            error.was_stale = not connection.is_fresh
        raise


def request_head(request: Request) -> bytes:
    """The head of a request.

    Raises:
        ConfigError: if a part of it cannot be sent.
    """
    length = f"Content-Length: {request.body.size}\r\n" if request.body is not None else ""
    return f"{first_lines(request.method, request.url, request.headers)}{length}\r\n".encode("latin-1")


def first_lines(method: str, url: str, headers: Mapping[str, str]) -> str:
    """The request line and headers. ConfigError if a part of them cannot be sent."""
    target = target_of(url)
    if not method.isalpha() or not method.isascii() or not is_target(target):
        raise ConfigError(f"Not a request that can be sent: {method} {url!r:.200}")
    return f"{method} {target} HTTP/1.1\r\n{connection_lines(url)}{header_lines(headers)}"


def connection_lines(url: str) -> str:
    """The connection headers for a URL's host."""
    return f"Host: {origin_of(url).rpartition('//')[2].rpartition('@')[2]}\r\nConnection: keep-alive\r\n"


def _send(connection: Connection, head: bytes, body: RequestBody | None) -> NetworkError | None:
    """Send a request. Returns the error if the server stopped reading; its response, or a TLS alert, may say why."""
    pending = head
    try:
        for block in body or ():
            with connection.errors():
                if pending and len(block) < JOINED:
                    connection.sock.sendall(pending + block)
                else:
                    connection.sock.sendall(pending)
                    connection.sock.sendall(block)
            pending = b""
        if pending:
            with connection.errors():
                connection.sock.sendall(pending)
    except TimedOut:
        raise
    except NetworkError as error:
        return error
    return None


def receive_head(connection: Connection, received: bytes = b"") -> tuple[Head | None, bytes]:
    """The head of the next response, or None if it is not plain, and the bytes received, `received` included.

    Raises:
        NetworkError and its kinds, PlatformError: if there is none.
    """
    interim = 0
    while True:
        end = received.find(b"\r\n\r\n")
        if interim + (end if end >= 0 else len(received)) > HEAD_LIMIT:
            raise endless(connection.address)
        if end >= 0:
            head = parse_head(received, end)
            if head is None or head.status >= 200 or head.status in NO_BODY:
                return head, received
            interim += end
            received = head.rest
            continue
        check_beginning(received, connection.address)
        try:
            part = connection.sock.recv(RECEIVED)
        except OSError as error:
            raise translated(error, connection.address) from error
        if not part:
            raise silent(connection.address, in_clear=not connection.is_encrypted)
        received += part


def _response(
    connection: Connection, request: Request, refused: NetworkError | None, received: bytes = b""
) -> Response:
    """The response, as soon as its headers have arrived."""
    try:
        head, received = receive_head(connection, received)
    except TlsError:
        raise  # a server that wants a certificate says so after the handshake, and may close before the request is sent
    except NetworkError as error:
        raise (refused or error) from error
    if head:
        head.keeps_open = head.keeps_open and refused is None
        length = 0 if request.method == "HEAD" or head.status in NO_BODY else head.length
        if length is not None:
            return SizedResponse(request.url, head, connection, length)
        if head.is_chunked:
            return ChunkedResponse(request.url, head, connection)
    from algo_core.http.standard import StandardResponse

    return StandardResponse(request, connection, received)
