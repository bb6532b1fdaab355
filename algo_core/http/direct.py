"""Exchanges, fast: HTTP/1.1 spoken on connections, without what requests does for each.

Importing requests is half of what a short command takes, and preparing and wrapping an exchange takes it longer than a
small file needs to arrive. So what is plain goes another way: on connections of our own as long as nothing has needed
the session, and from then on on those of its own pools, with what the session prepared for the host once (credential,
cookies, CA, user agent). Whatever is not plain goes the ordinary way through requests: proxies, adapters and
authentication that plugins have put in, cookies, redirects. All ways behave alike: the same errors, the same retries,
the same `Reply`.
"""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, NamedTuple, Protocol
from urllib.parse import urlsplit

from algo_core.errors import NetworkError, TimedOut, TlsError
from algo_core.http.api import FOLLOWED
from algo_core.http.connections import Connection, Supply, own_supply
from algo_core.http.errors import translated
from algo_core.http.headers import request_headers
from algo_core.http.response import HEAD_LIMIT, NO_BODY, DirectReply, Head, Lease, OddReply, Reply
from algo_core.http.retry import REPEATABLE, RETRY_STATUSES, Tries
from algo_core.http.session import DeferredSession

if TYPE_CHECKING:
    from algo_core.http.pipeline import Lane

JOINED = 1 << 16
"""Bytes up to which a block is sent together with what comes before it."""


class Content(Protocol):
    """What a body is sent from: blocks of bytes, `size` in all, and again from the beginning after `rewind`."""

    size: int

    def __iter__(self) -> Iterator[bytes | memoryview]: ...

    def rewind(self) -> bool:
        """Go back to the beginning; False if that cannot be done."""


class Whole:
    """A small body: bytes in memory."""

    def __init__(self, data: bytes) -> None:
        self.size = len(data)
        self._data = data

    def __iter__(self) -> Iterator[bytes]:
        yield self._data

    def rewind(self) -> bool:
        """Nothing to do."""
        return True


RECENT = 1.0
"""Seconds in which a connection that has just served is used again without asking first whether it is still there."""


class Route:
    """How to reach a host directly: where connections come from, and the headers that every request to it carries.

    A connection that has served waits here for the next exchange, and goes back to where it came from with the end of
    the session or when it was not needed for a while: there each one is looked at before it is given away again, which
    takes longer than a small exchange.
    """

    def __init__(self, supply: Supply, headers: Mapping[str, str], host: str, address: str) -> None:
        self._supply = supply
        self.address = address
        lines = [f"Host: {host}", *(f"{name}: {value}" for name, value in headers.items())]
        self.common = ("\r\n".join(lines) + "\r\n").encode("latin-1")
        self._recent: list[tuple[float, Connection]] = []
        self._is_closed = False

    def take(self, connect: float, read: float, *, is_repeatable: bool) -> Lease:
        """A connection, for exchanges with these time limits in seconds. Raises NetworkError and its kinds.

        One that turns out to be closed costs a repetition; what may not be repeated gets one that was looked at.
        """
        try:
            since, connection = self._recent.pop()
        except IndexError:
            return self._from_supply(connect, read)
        if is_repeatable and time.monotonic() - since < RECENT:
            self._supply.limit(connection, read)
            return Lease(self, connection, is_fresh=False)
        self._supply.put_back(connection, is_reusable=True)
        return self._from_supply(connect, read)

    def _from_supply(self, connect: float, read: float) -> Lease:
        connection, is_fresh = self._supply.take(connect)
        self._supply.limit(connection, read)
        return Lease(self, connection, is_fresh=is_fresh)

    def give_back(self, connection: Connection, *, is_reusable: bool) -> None:
        """Keep a connection for the next exchange, or close one on which an answer was not read to its end."""
        if is_reusable and not self._is_closed:
            self._recent.append((time.monotonic(), connection))
        else:
            self._supply.put_back(connection, is_reusable=is_reusable)

    def close(self) -> None:
        """Give back what is here, and from now on at once what comes back."""
        self._is_closed = True
        while self._recent:
            self._supply.put_back(self._recent.pop()[1], is_reusable=True)


class Exchanger:
    """Sends requests for a session, by its time limits and as often as it tries again."""

    def __init__(self, session: DeferredSession, address: str) -> None:
        self._session = session
        self._address = address
        self._routes: dict[str, Route | None] = {}
        session.closing.callback(self.close)

    def send(
        self,
        method: str,
        url: str,
        *,
        headers: Mapping[str, str] | None = None,
        content: Content | None = None,
        timeout: tuple[float, float] | None = None,
        as_stored: bool = False,
    ) -> Reply:
        """Send one request; its answer, whatever its status.

        Connection errors, 429 and 5xx are tried again for methods that may be repeated, as long as the content can be
        read again, with the pauses of `algo_core.http.retry`, or those that the platform asks for; a connection that
        could not be made is tried again for every method. `timeout` (connect and read, in seconds) takes the place of
        the session's. With `as_stored` a compressed body is left so.

        Raises:
            NetworkError and its kinds: when there is no answer in the end.
            ConfigError: if the credential, or a CA that the environment names, cannot be used.
            AlgoError: what the content raises while it is read.
        """
        request = _Request(method, url, headers or {}, content, timeout or self._session.timeout, as_stored)
        route = self._route(url)
        if route is None:
            return self._plain(request)
        tries: Tries | None = None
        is_lost = False
        while True:
            reply: Reply | None = None
            problem: NetworkError | None = None
            try:
                reply = self._direct(route, request)
            except TlsError:
                raise
            except NetworkError as error:
                problem, is_lost = error, is_lost or not error.nothing_sent
            if reply:
                reply.after_lost_answer = reply.after_lost_answer or is_lost
            if reply and 300 <= reply.status_code < 400 and "Location" in reply.headers and method in FOLLOWED:
                reply.close()
                self._leave_route(url)
                return self._plain(request)
            if reply is not None and reply.status_code not in RETRY_STATUSES:
                return reply
            tries = tries or Tries(self._session.retries)
            may_repeat = method in REPEATABLE or (problem is not None and problem.nothing_sent)
            if not (may_repeat and tries.left > 0 and request.rewind()):
                if problem:
                    raise problem
                assert reply
                return reply
            if reply:
                reply.close()
            tries.spend(reply.headers if reply else None)

    def _direct(self, route: Route, request: _Request) -> Reply:
        started = time.perf_counter()
        status: int | None = None
        is_lost = False
        try:
            while True:
                try:
                    lease = route.take(*request.timeout, is_repeatable=request.is_repeatable)
                except NetworkError as error:
                    error.nothing_sent = True
                    raise
                try:
                    head = self._exchange(lease, route, request)
                    break
                except BaseException as error:
                    lease.give_back(is_reusable=False)
                    stale = isinstance(error, NetworkError) and not isinstance(error, TimedOut) and not lease.is_fresh
                    if not (stale and request.is_repeatable and request.rewind()):
                        raise
                    is_lost = True
            status = head.status
            reply = self._reply(request, head, lease)
            reply.after_lost_answer = is_lost
            return reply
        finally:
            if self._session.on_exchange:
                self._session.on_exchange(request.method, request.url, status, time.perf_counter() - started)

    def _reply(self, request: _Request, head: Head, lease: Lease) -> Reply:
        if "set-cookie" in head.headers:
            self._leave_route(request.url)  # the session keeps cookies; it only sees what requests sees
        has_body = request.method != "HEAD" and head.status not in NO_BODY
        if has_body and (head.is_chunked or head.length is None or "content-encoding" in head.headers):
            return self._odd(request, head, lease)
        return DirectReply(request.url, head, lease, has_body)

    def _odd(self, request: _Request, head: Head, lease: Lease) -> Reply:
        try:
            return OddReply(request.url, head, lease, request.method, as_stored=request.as_stored)
        except BaseException:
            lease.give_back(is_reusable=False)
            raise

    def _exchange(self, lease: Lease, route: Route, request: _Request) -> Head:
        return self._answer(lease, self._ask(lease, route, request))

    def _ask(self, lease: Lease, route: Route, request: _Request) -> NetworkError | None:
        """Send a request; the error with which the other side stopped listening, which may have said why."""
        content = request.content
        lines = [f"{name}: {value}" for name, value in request.headers.items()]
        if content is not None:
            lines.append(f"Content-Length: {content.size}")
        own = ("\r\n".join(lines) + "\r\n\r\n").encode("latin-1") if lines else b"\r\n"
        opening = f"{request.method} {_target(request.url)} HTTP/1.1\r\n".encode("latin-1") + route.common + own
        if content is not None:
            return self._send_content(lease, opening, content)
        try:
            lease.sock.sendall(opening)
        except OSError as error:
            raise translated(error, route.address) from error
        return None

    def _answer(self, lease: Lease, refused: NetworkError | None) -> Head:
        try:
            head = self._head(lease)
        except NetworkError as error:
            raise (refused or error) from error
        if refused:
            head.keeps_open = False
        return head

    def _send_content(self, lease: Lease, opening: bytes, content: Content) -> NetworkError | None:
        """Send head and body; the error with which the other side stopped listening, which may have said why."""
        pending = opening
        try:
            for block in content:
                with lease.errors():
                    if pending and len(block) < JOINED:
                        lease.sock.sendall(pending + block)
                    else:
                        lease.sock.sendall(pending)
                        lease.sock.sendall(block)
                pending = b""
            if pending:
                with lease.errors():
                    lease.sock.sendall(pending)
        except TimedOut:
            raise
        except NetworkError as error:
            return error
        return None

    def _head(self, lease: Lease) -> Head:
        received = b""
        while True:
            end = received.find(b"\r\n\r\n")
            if end >= 0:
                head = Head(received, end)
                if head.status >= 200:
                    return head
                received = head.rest
                continue
            if len(received) > HEAD_LIMIT:
                raise NetworkError(f"{lease.address} sends headers without end")
            try:
                part = lease.sock.recv(HEAD_LIMIT)
            except OSError as error:
                raise translated(error, lease.address) from error
            if not part:
                raise NetworkError(f"{lease.address} closed the connection without an answer", "Try again")
            received += part

    def _plain(self, request: _Request) -> Reply:
        from algo_core.http.pooled import exchanged

        session, timeout = self._session.opened(), request.timeout
        return exchanged(
            session, request.method, request.url, request.headers, request.content, timeout, as_stored=request.as_stored
        )

    def _route(self, url: str) -> Route | None:
        origin = _origin(url)
        if origin not in self._routes:
            self._routes[origin] = self._find_route(url)
        return self._routes[origin]

    def _leave_route(self, url: str) -> None:
        route, self._routes[_origin(url)] = self._routes[_origin(url)], None
        if route:
            route.close()

    def lane(self, url: str, limit: int) -> Lane | None:
        """For small exchanges with where a URL leads, each tried once; None if they do not go directly."""
        from algo_core.http.pipeline import Lane

        route = self._route(url)
        return Lane(route, self._session.timeout, limit) if route else None

    def is_direct(self, url: str) -> bool:
        """Whether requests to where a URL leads go directly."""
        return self._route(url) is not None

    def close(self) -> None:
        """Give back the connections."""
        for route in self._routes.values():
            if route:
                route.close()

    def _find_route(self, url: str) -> Route | None:
        """The direct way to a host, or None where only requests knows the way."""
        host = urlsplit(url).netloc.rpartition("@")[2]
        if own := own_supply(self._session, url):
            return Route(own, request_headers(self._session.profile), host, self._address)
        from algo_core.http.pooled import pooled_supply

        found = pooled_supply(self._session.opened(), url)
        return Route(*found, host, self._address) if found else None


class _Request(NamedTuple):
    """What is sent, and how."""

    method: str
    url: str
    headers: Mapping[str, str]
    content: Content | None
    timeout: tuple[float, float]
    as_stored: bool

    @property
    def is_repeatable(self) -> bool:
        return self.method in REPEATABLE

    def rewind(self) -> bool:
        """Whether it can be sent once more."""
        return self.content is None or self.content.rewind()


def _origin(url: str) -> str:
    """Scheme, host and port."""
    return "/".join(url.split("/", 3)[:3])


def _target(url: str) -> str:
    """Path and query, which is what a request line names."""
    return "/" + url.split("/", 3)[3].partition("#")[0] if url.count("/") >= 3 else "/"
