"""Many requests to one host at a time, in one thread: each on a connection of its own, responses as they come.

With a thread for each, most processor time would go into handing over. Only the plain case happens here: a small
request, sent in one go, and a response of known length. The rest is handed out as work for a thread: what cannot be
sent from here to `HttpClient.send`, and a response of another kind, on its connection, to the direct transport. So no
request is sent twice, and errors are the same.
"""

from __future__ import annotations

import selectors
import socket
import time
from collections.abc import Callable, Mapping
from functools import partial
from typing import TYPE_CHECKING, Any, NamedTuple

from algo_core.errors import AlgoError
from algo_core.http.body import surplus
from algo_core.http.direct import RECEIVED, continued, first_lines
from algo_core.http.errors import late, silent, translated, would_block
from algo_core.http.head import HEAD_LIMIT, Head, check_beginning, endless, parse_head
from algo_core.http.headers import header_lines
from algo_core.http.response import NO_BODY, BytesResponse, Response
from algo_core.http.transport import BytesBody, Request

if TYPE_CHECKING:
    from algo_core.http.connections import Connection, ConnectionPool

AT_ONCE = 1 << 14
"""Bytes of a body that an idle connection takes in one go."""

LARGEST = 1 << 18
"""Bytes of a body that is received here; a larger one would keep the others waiting."""

CHECK_SECONDS = 1.0
"""Seconds between looks for responses that are late."""


class Ended(NamedTuple):
    """A request that has ended: `response()` returns or raises what `HttpClient.send` would have.

    With `may_wait` it still waits for the server, so that it is a thread's work.
    """

    token: Any
    response: Callable[[], Response]
    may_wait: bool


class Owner(NamedTuple):
    """The client's callbacks: the headers of each request, and the requests that it has to finish itself."""

    headers: Callable[[], Mapping[str, str]]
    is_direct: Callable[[str], bool]
    repeat: Callable[[Request], Response]
    """Sends a request as the client does, with its retries and credentials."""
    plain: Callable[[Response], Response]
    """The response, decompressed."""
    note: Callable[[Request, Response | None, float], object]
    """Told of each exchange, and the seconds that it took."""


class _Exchange:
    """A request on its connection; `data` is what of it has not been sent."""

    __slots__ = ("began", "connection", "data", "deadline", "head", "received", "request", "start", "token")

    def __init__(self, token: Any, request: Request, data: bytes, connection: Connection) -> None:
        self.token = token
        self.request = request
        self.data = data
        self.connection = connection
        self.received, self.start = b"", 0
        self.head: Head | None = None
        self.began = time.perf_counter()
        self.deadline = self.began + request.timeout[0]


class Multiplexer:
    """Requests of a client to one host. For one thread, except `wake`."""

    def __init__(self, pool: ConnectionPool, owner: Owner) -> None:
        self._pool = pool
        self._owner = owner
        self._start: tuple[str, str, Mapping[str, str], bytes] = ("", "", {}, b"")
        self._idle: dict[int, Connection] = {}
        self._exchanges: dict[int, _Exchange] = {}
        self._ended: list[Ended] = []
        self._checked = time.perf_counter()
        self._selector = selectors.DefaultSelector()
        self._woken, self._waker = socket.socketpair()
        self._woken.setblocking(False)
        self._waker.setblocking(False)
        self._selector.register(self._woken.fileno(), selectors.EVENT_READ)

    def begin(self, token: Any, request: Request) -> bool:
        """Send a request; False if `HttpClient.send` has to send it.

        Raises:
            ConfigError: if the credential or a header cannot be sent.
        """
        body = request.body
        if not isinstance(body, BytesBody) or body.size > AT_ONCE or not self._owner.is_direct(request.url):
            return False
        shared = self._owner.headers()
        if not shared.keys().isdisjoint(request.headers):  # one takes the other's place
            return False
        lines = f"{header_lines(request.headers)}Content-Length: {body.size}\r\n\r\n"
        data = self._beginning(request, shared) + lines.encode("latin-1") + body.data
        if connection := self._idle_connection():
            exchange = self._exchanges[connection.sock.fileno()] = _Exchange(token, request, data, connection)
            self._send(exchange)
            return True
        try:
            connection = self._pool.begin()
        except OSError:  # the client finds other addresses, or says what is wrong
            return False
        if connection is None:
            return False
        self._exchanges[connection.sock.fileno()] = _Exchange(token, request, data, connection)
        self._selector.register(connection.sock.fileno(), selectors.EVENT_WRITE)
        return True

    def wait(self, seconds: float) -> list[Ended]:
        """The requests that end next; none after so many seconds, or if woken."""
        if not self._ended:
            for key, _ in self._selector.select(min(seconds, CHECK_SECONDS)):
                self._on_event(key.fd)
            if time.perf_counter() - self._checked > CHECK_SECONDS:
                self._end_late()
        ended, self._ended = self._ended, []
        return ended

    def wake(self) -> None:
        """Have `wait` return; for any thread."""
        try:
            self._waker.send(b"\0")
        except OSError:  # it is full of them, or closed
            return

    def close(self) -> None:
        """Close all connections."""
        for exchange in self._exchanges.values():
            exchange.connection.close()
        for connection in self._idle.values():
            connection.close()
        self._selector.close()
        self._woken.close()
        self._waker.close()

    # Requests

    def _beginning(self, request: Request, shared: Mapping[str, str]) -> bytes:
        """The request line and the shared headers, made anew for another URL or credential."""
        method, url, headers, lines = self._start
        if headers is not shared or url != request.url or method != request.method:
            lines = first_lines(request.method, request.url, shared).encode("latin-1")
            self._start = (request.method, request.url, shared, lines)
        return lines

    def _idle_connection(self) -> Connection | None:
        while self._idle:
            _, mine = self._idle.popitem()
            if mine.is_quiet():
                mine.is_fresh = False
                return mine
            self._discard(mine)
        connection = self._pool.idle()
        if connection:
            connection.do_not_wait()
            self._selector.register(connection.sock.fileno(), selectors.EVENT_READ)
        return connection

    def _send(self, exchange: _Exchange) -> None:
        connection, data = exchange.connection, exchange.data
        exchange.deadline = time.perf_counter() + exchange.request.timeout[1]
        try:
            sent = connection.sock.send(data)
        except OSError as error:
            if not would_block(error):
                self._fail(exchange, translated(error, connection.address))
                return
            sent = 0
        exchange.data = data[sent:]
        if exchange.data:
            self._hand_out(exchange)

    # Events

    def _on_event(self, descriptor: int) -> None:
        if exchange := self._exchanges.get(descriptor):
            self._receive(exchange) if not exchange.data else self._connected(exchange)
        elif connection := self._idle.pop(descriptor, None):  # the server ended it, or sent what nobody asked for
            self._discard(connection)
        else:
            self._woken.recv(1 << 12)

    def _connected(self, exchange: _Exchange) -> None:
        descriptor = exchange.connection.sock.fileno()
        if exchange.connection.sock.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR):
            self._leave(exchange)
            return
        self._selector.modify(descriptor, selectors.EVENT_READ)
        self._send(exchange)

    def _receive(self, exchange: _Exchange) -> None:
        connection = exchange.connection
        try:
            part = connection.sock.recv(RECEIVED)
            if not part:
                raise silent(connection.address, in_clear=not connection.is_encrypted)
            exchange.received = exchange.received + part if exchange.received else part
            self._take(exchange)
        except OSError as error:
            if not would_block(error):
                self._fail(exchange, translated(error, connection.address))
        except AlgoError as error:
            self._fail(exchange, error)
        else:
            if connection.has_more and exchange is self._exchanges.get(connection.sock.fileno()):
                self._receive(exchange)  # no event tells of what is decrypted already

    def _take(self, exchange: _Exchange) -> None:
        """End the exchange if its response is whole, or of a kind that is not received here."""
        received, connection = exchange.received, exchange.connection
        head = exchange.head
        if head is None:
            end = received.find(b"\r\n\r\n")
            if (end if end >= 0 else len(received)) > HEAD_LIMIT:
                raise endless(connection.address)
            if end < 0:
                check_beginning(received, connection.address)
                return
            head = exchange.head = parse_head(received, end)
            exchange.start = end + 4
        length = _length(exchange.request, head)
        if head is None or length is None or length > LARGEST:
            self._hand_out(exchange)
            return
        size = len(received) - exchange.start
        if size < length:
            exchange.deadline = time.perf_counter() + exchange.request.timeout[1]
            return
        if size > length and not connection.is_fresh:
            raise surplus(connection)
        del self._exchanges[connection.sock.fileno()]
        if head.keeps_open and size == length:
            self._idle[connection.sock.fileno()] = connection
        else:
            self._discard(connection)
        content = received[exchange.start : exchange.start + length]
        self._answered(exchange, BytesResponse(exchange.request.url, head.status, head.headers, content, head.reason))

    def _end_late(self) -> None:
        now = self._checked = time.perf_counter()
        for exchange in [each for each in self._exchanges.values() if each.deadline < now]:
            if exchange.data:
                self._leave(exchange)
            else:
                self._fail(exchange, late(exchange.connection.address))

    # Ends

    def _answered(self, exchange: _Exchange, response: Response) -> None:
        request = exchange.request
        self._owner.note(request, response, time.perf_counter() - exchange.began)
        if response.status == 401:  # nothing was done; the client may have, or get, another credential
            self._ended.append(Ended(exchange.token, partial(self._owner.repeat, request), may_wait=True))
        else:
            self._ended.append(Ended(exchange.token, partial(self._owner.plain, response), may_wait=False))

    def _leave(self, exchange: _Exchange) -> None:
        """Return an unsent request to the client, which tries all addresses and reports the error."""
        self._remove(exchange).close()
        self._ended.append(Ended(exchange.token, partial(self._owner.repeat, exchange.request), may_wait=True))

    def _fail(self, exchange: _Exchange, error: AlgoError) -> None:
        self._remove(exchange).close()
        self._owner.note(exchange.request, None, time.perf_counter() - exchange.began)
        self._ended.append(Ended(exchange.token, partial(_raise, error), may_wait=False))

    def _hand_out(self, exchange: _Exchange) -> None:
        """Let a thread finish an exchange; it waits for the connection."""
        self._remove(exchange)
        self._ended.append(Ended(exchange.token, partial(self._continued, exchange), may_wait=True))

    def _continued(self, exchange: _Exchange) -> Response:
        request, response = exchange.request, None
        try:
            response = continued(exchange.connection, request, exchange.data, exchange.received)
        finally:
            self._owner.note(request, response, time.perf_counter() - exchange.began)
        if response.status == 401:
            response.close()
            return self._owner.repeat(request)
        return self._owner.plain(response)

    def _remove(self, exchange: _Exchange) -> Connection:
        descriptor = exchange.connection.sock.fileno()
        del self._exchanges[descriptor]
        self._selector.unregister(descriptor)
        return exchange.connection

    def _discard(self, connection: Connection) -> None:
        self._selector.unregister(connection.sock.fileno())
        connection.close()


def _length(request: Request, head: Head | None) -> int | None:
    """The length of a body; None if there are further heads to come, or its end is found otherwise."""
    if head is None or (head.status < 200 and head.status not in NO_BODY):
        return None
    return 0 if request.method == "HEAD" or head.status in NO_BODY else head.length


def _raise(error: AlgoError) -> Response:
    raise error
