"""Many small exchanges, fast, on the session's own connections.

requests spends more time on preparing and wrapping an exchange than a small file takes to arrive. So the session
prepares one request for each host (credential, cookies, CA, user agent), and `Exchanger` then speaks HTTP/1.1 itself
on connections that it takes from the pool of the session's adapter and gives back to it. Whatever is not plain goes the
ordinary way through requests: proxies, adapters and authentication that plugins have put in, cookies, redirects.
Both ways behave alike: the same errors, the same retries, the same `Reply`.
"""

from __future__ import annotations

import io
import time
from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Protocol
from urllib.parse import urlsplit

import urllib3
from urllib3.connection import HTTPConnection
from urllib3.connectionpool import HTTPConnectionPool

from algo_core.api import FOLLOWED
from algo_core.errors import AlgoError, NetworkError, TimedOut, TlsError
from algo_core.http import (
    REPEATABLE,
    RETRY_STATUSES,
    SOCKET_ERRORS,
    AlgoSession,
    Authorization,
    CaAdapter,
    network_errors,
    retry_policy,
    socket_errors,
    translated,
)
from algo_core.lean import requests
from algo_core.reply import DirectReply, Head, Lease, OddReply, PlainReply, Reply

if TYPE_CHECKING:
    from urllib3.util.retry import Retry

HEAD_LIMIT = 1 << 16
BLOCK = 1 << 20
"""Bytes that are sent at a time."""

PLAIN_ADAPTERS = (requests.adapters.HTTPAdapter, CaAdapter)
NO_BODY = frozenset({204, 304})
JOINED = 1 << 16
"""Bytes up to which a block is sent together with what comes before it."""


class Content(Protocol):
    """What a body is sent from: blocks of bytes, `size` in all, and again from the beginning after `rewind`."""

    size: int

    def __iter__(self) -> Iterator[bytes | memoryview]: ...

    def rewind(self) -> bool:
        """Go back to the beginning; False if that cannot be done."""


RECENT = 1.0
"""Seconds in which a connection that has just served is used again without asking first whether it is still there."""


class _Route:
    """How to reach a host directly: the pool, and the headers that every request to it carries.

    A connection that has served waits here for the next exchange, and goes back to the pool with the session's end or
    when it was not needed for a while: the pool looks at each one before it gives it away, which takes longer than a
    small exchange.
    """

    def __init__(self, pool: HTTPConnectionPool, headers: Mapping[str, str], host: str, address: str) -> None:
        self.pool = pool
        self.address = address
        lines = [f"Host: {host}", *(f"{name}: {value}" for name, value in headers.items())]
        self.common = ("\r\n".join(lines) + "\r\n").encode("latin-1")
        self._recent: list[tuple[float, HTTPConnection]] = []
        self._is_closed = False

    def take(self, connect: float, read: float, *, is_repeatable: bool) -> Lease:
        """A connection, for exchanges with these time limits in seconds. Raises NetworkError and its kinds.

        One that turns out to be closed costs a repetition; what may not be repeated gets one that was looked at.
        """
        try:
            since, connection = self._recent.pop()
        except IndexError:
            return self._from_pool(connect, read)
        if is_repeatable and time.monotonic() - since < RECENT:
            return Lease(self, connection, is_fresh=False)
        self.pool._put_conn(connection)
        return self._from_pool(connect, read)

    def _from_pool(self, connect: float, read: float) -> Lease:
        with socket_errors(self.address):
            connection = self.pool._get_conn()
            assert isinstance(connection, HTTPConnection)
            is_fresh = connection.sock is None
            try:
                if is_fresh:
                    connection.timeout = connect
                    connection.connect()
                connection.sock.settimeout(read)
            except BaseException:
                self.give_back(connection, is_reusable=False)
                raise
        return Lease(self, connection, is_fresh=is_fresh)

    def give_back(self, connection: HTTPConnection, *, is_reusable: bool) -> None:
        """Keep a connection for the next exchange, or close one on which an answer was not read to its end."""
        if not is_reusable:
            connection.close()
            self.pool._put_conn(None)
        elif self._is_closed:
            self.pool._put_conn(connection)
        else:
            self._recent.append((time.monotonic(), connection))

    def close(self) -> None:
        """Give the pool back what is here, and from now on at once what comes back."""
        self._is_closed = True
        while self._recent:
            self.pool._put_conn(self._recent.pop()[1])


class Exchanger:
    """Sends requests for a session, by its time limits and as often as it tries again."""

    def __init__(self, session: AlgoSession, address: str) -> None:
        self._session = session
        self._address = address
        self._routes: dict[str, _Route | None] = {}
        session.closing.callback(self.close)

    def send(
        self, method: str, url: str, *, headers: Mapping[str, str] | None = None, content: Content | None = None
    ) -> Reply:
        """Send one request; its answer, whatever its status.

        Connection errors, 429 and 5xx are tried again for methods that may be repeated, as long as the content can be
        read again, with the pauses of `algo_core.http.Backoff`, or those that the platform asks for.

        Raises:
            NetworkError and its kinds: when there is no answer in the end.
            AlgoError: what the content raises while it is read.
        """
        route = self._route(url)
        if route is None:
            return self._plain(method, url, headers or {}, content)
        retry: Retry | None = None
        is_lost = False
        while True:
            reply: Reply | None = None
            problem: AlgoError | None = None
            try:
                reply = self._direct(route, method, url, headers or {}, content)
            except TlsError:
                raise
            except NetworkError as error:
                problem, is_lost = error, True
            if reply:
                reply.after_lost_answer = reply.after_lost_answer or is_lost
            if reply and 300 <= reply.status_code < 400 and "Location" in reply.headers and method in FOLLOWED:
                reply.close()
                self._leave_route(url)
                return self._plain(method, url, headers or {}, content)
            if reply is not None and reply.status_code not in RETRY_STATUSES:
                return reply
            retry = retry or retry_policy(self._session.retries)
            again = method in REPEATABLE and retry.total and (content is None or content.rewind())
            if not again:
                if problem:
                    raise problem
                assert reply
                return reply
            retry = _spent(retry, method, reply)

    def _direct(
        self, route: _Route, method: str, url: str, headers: Mapping[str, str], content: Content | None
    ) -> Reply:
        started = time.perf_counter()
        status: int | None = None
        is_lost = False
        try:
            while True:
                lease = route.take(*self._session.timeout, is_repeatable=method in REPEATABLE)
                try:
                    head = self._exchange(lease, route, method, url, headers, content)
                    break
                except BaseException as error:
                    lease.give_back(is_reusable=False)
                    stale = isinstance(error, NetworkError) and not isinstance(error, TimedOut) and not lease.is_fresh
                    if not (stale and method in REPEATABLE and (content is None or content.rewind())):
                        raise
                    is_lost = True
            status = head.status
            if "set-cookie" in head.headers:
                self._leave_route(url)  # the session keeps cookies; it only sees what requests sees
            has_body = method != "HEAD" and head.status not in NO_BODY
            if has_body and (head.is_chunked or head.length is None or "content-encoding" in head.headers):
                reply: Reply = self._odd(url, head, lease, method)
            else:
                reply = DirectReply(url, head, lease, has_body)
            reply.after_lost_answer = is_lost
            return reply
        finally:
            if self._session.on_exchange:
                self._session.on_exchange(method, url, status, time.perf_counter() - started)

    def _odd(self, url: str, head: Head, lease: Lease, method: str) -> Reply:
        try:
            return OddReply(url, head, lease, method)
        except BaseException:
            lease.give_back(is_reusable=False)
            raise

    def _exchange(
        self, lease: Lease, route: _Route, method: str, url: str, headers: Mapping[str, str], content: Content | None
    ) -> Head:
        sock = lease.sock
        lines = [f"{name}: {value}" for name, value in headers.items()]
        if content is not None:
            lines.append(f"Content-Length: {content.size}")
        own = ("\r\n".join(lines) + "\r\n\r\n").encode("latin-1") if lines else b"\r\n"
        opening = f"{method} {_target(url)} HTTP/1.1\r\n".encode("latin-1") + route.common + own
        refused: NetworkError | None = None
        if content is None:
            try:
                sock.sendall(opening)
            except SOCKET_ERRORS as error:
                raise translated(error, route.address) from error
        else:
            refused = self._send_content(lease, opening, content)
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
            except SOCKET_ERRORS as error:
                raise translated(error, lease.address) from error
            if not part:
                raise NetworkError(f"{lease.address} closed the connection without an answer", "Try again")
            received += part

    def _plain(self, method: str, url: str, headers: Mapping[str, str], content: Content | None) -> Reply:
        with network_errors(self._address):
            response = self._session.request(
                method,
                url,
                headers={"Accept-Encoding": "identity", **headers},
                data=_Body(content) if content is not None else None,
                stream=True,
                allow_redirects=method in FOLLOWED,
            )
        return PlainReply(response, self._address)

    def _route(self, url: str) -> _Route | None:
        origin = _origin(url)
        if origin not in self._routes:
            self._routes[origin] = self._find_route(url)
        return self._routes[origin]

    def _leave_route(self, url: str) -> None:
        route, self._routes[_origin(url)] = self._routes[_origin(url)], None
        if route:
            route.close()

    def is_direct(self, url: str) -> bool:
        """Whether requests to where a URL leads go directly."""
        return self._route(url) is not None

    def close(self) -> None:
        """Give the connections back to the session."""
        for route in self._routes.values():
            if route:
                route.close()

    def _find_route(self, url: str) -> _Route | None:
        """The direct way to a host, or None where only requests knows the way."""
        session = self._session
        if not url.startswith(("http://", "https://")) or any(session.hooks.values()) or len(session.cookies):
            return None
        adapter = session.get_adapter(url)
        if type(adapter) not in PLAIN_ADAPTERS or type(session.auth) is not Authorization:
            return None
        settings = session.merge_environment_settings(url, {}, True, None, None)
        if requests.utils.select_proxy(url, settings["proxies"]) or settings["cert"]:
            return None
        prepared = session.prepare_request(requests.Request("GET", url, headers={"Accept-Encoding": "identity"}))
        assert isinstance(adapter, requests.adapters.HTTPAdapter)
        pool = adapter.get_connection_with_tls_context(prepared, settings["verify"], cert=None)
        if not isinstance(pool, HTTPConnectionPool):
            return None
        headers = {k: v if isinstance(v, str) else v.decode("latin-1") for k, v in prepared.headers.items()}
        parts = urlsplit(url)
        return _Route(pool, headers, parts.netloc.rpartition("@")[2], self._address)


class _Body:
    """What requests needs of a body."""

    def __init__(self, content: Content) -> None:
        self._content = content
        self._position = 0

    def __iter__(self) -> Iterator[bytes]:
        for block in self._content:
            self._position += len(block)
            yield bytes(block)

    def __len__(self) -> int:
        return self._content.size

    def tell(self) -> int:
        return self._position

    def seek(self, position: int, whence: int = io.SEEK_SET) -> int:
        if position or whence != io.SEEK_SET or (self._position and not self._content.rewind()):
            raise OSError("what was sent cannot be read again")
        self._position = 0
        return 0


def _spent(retry: Retry, method: str, reply: Reply | None) -> Retry:
    """Wait before the next try, as long as the platform asks or as the backoff says; what is left of the tries."""
    response = urllib3.HTTPResponse(status=reply.status_code, headers=dict(reply.headers)) if reply else None
    if reply:
        reply.close()
        retry = retry.increment(method, response=response)
    else:
        retry = retry.increment(method, error=urllib3.exceptions.ProtocolError("broke"))
    retry.sleep(response)
    return retry


def _origin(url: str) -> str:
    """Scheme, host and port."""
    return "/".join(url.split("/", 3)[:3])


def _target(url: str) -> str:
    """Path and query, which is what a request line names."""
    return "/" + url.split("/", 3)[3].partition("#")[0] if url.count("/") >= 3 else "/"
