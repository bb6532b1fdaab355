"""Exchanges through a requests session: on connections of its pools where they are plain, else by requests itself."""

from __future__ import annotations

import io
from collections.abc import Callable, Iterator, Mapping
from typing import TYPE_CHECKING, Any

from algo_core.http.api import FOLLOWED
from algo_core.http.errors import socket_errors
from algo_core.http.headers import is_encoded
from algo_core.http.lean import requests, urllib3
from algo_core.http.requests_transport import AlgoSession, Authorization, CaAdapter, network_errors
from algo_core.http.response import Reply

if TYPE_CHECKING:
    from algo_core.http.connections import Connection
    from algo_core.http.direct import Content

PLAIN_ADAPTERS = (requests.adapters.HTTPAdapter, CaAdapter)


class PooledSupply:
    """Takes connections from a pool of the session's, and gives them back to it; `address` is what they lead to."""

    def __init__(self, pool: urllib3.HTTPConnectionPool, address: str) -> None:
        self._pool = pool
        self._address = address

    def take(self, connect: float) -> tuple[Connection, bool]:
        """One that the pool has looked at, or a new one."""
        with socket_errors(self._address), network_errors(self._address):
            connection = self._pool._get_conn()
            assert isinstance(connection, urllib3.connection.HTTPConnection)
            is_new = connection.sock is None
            try:
                if is_new:
                    connection.timeout = connect
                    connection.connect()
            except BaseException:
                self.put_back(connection, is_reusable=False)
                raise
        return connection, is_new

    def limit(self, connection: Connection, seconds: float) -> None:
        """Set the time limit of its socket."""
        if connection.sock.gettimeout() != seconds:
            connection.sock.settimeout(seconds)

    def put_back(self, connection: Connection, *, is_reusable: bool) -> None:
        """Give it back, closed if it is of no more use."""
        if is_reusable:
            assert isinstance(connection, urllib3.connection.HTTPConnection)
            self._pool._put_conn(connection)
        else:
            connection.close()
            self._pool._put_conn(None)


def pooled_supply(session: AlgoSession, url: str) -> tuple[PooledSupply, Mapping[str, str]] | None:
    """Connections to where a URL leads, and what every request on them carries; None where only requests knows the way.

    That is: proxies, adapters, authentication, hooks and parameters that plugins have put in, cookies, client
    certificates.
    """
    if not url.startswith(("http://", "https://")) or session.params or any(session.hooks.values()):
        return None
    if len(session.cookies):
        return None
    adapter = session.get_adapter(url)
    if type(adapter) not in PLAIN_ADAPTERS or type(session.auth) is not Authorization:
        return None
    with network_errors(session.profile.address):
        settings = session.merge_environment_settings(url, {}, True, None, None)
        if requests.utils.select_proxy(url, settings["proxies"]) or settings["cert"]:
            return None
        prepared = session.prepare_request(requests.Request("GET", url, headers={"Accept-Encoding": "identity"}))
        assert isinstance(adapter, requests.adapters.HTTPAdapter)
        pool = adapter.get_connection_with_tls_context(prepared, settings["verify"], cert=None)
    if not isinstance(pool, urllib3.HTTPConnectionPool):
        return None
    headers = {k: v if isinstance(v, str) else v.decode("latin-1") for k, v in prepared.headers.items()}
    return PooledSupply(pool, session.profile.address), headers


def exchanged(
    session: AlgoSession,
    method: str,
    url: str,
    headers: Mapping[str, str],
    content: Content | None,
    timeout: tuple[float, float] | None,
    *,
    as_stored: bool,
) -> Reply:
    """One request by requests itself; what it sends again, it sends again."""
    with network_errors(session.profile.address):
        response = session.request(
            method,
            url,
            headers={"Accept-Encoding": "identity", **headers},
            data=_Body(content) if content is not None else None,
            stream=True,
            timeout=timeout,
            allow_redirects=method in FOLLOWED,
        )
    return PlainReply(response, session.profile.address, as_stored=as_stored)


class PlainReply(Reply):
    """An answer that came through requests."""

    def __init__(self, response: requests.Response, address: str, *, as_stored: bool = False) -> None:
        self._response = response
        self._address = address
        self.url = response.url
        self.status_code = response.status_code
        self.reason = response.reason or ""
        self.headers = response.headers
        self.redirected = bool(response.history)
        tries = getattr(response.raw, "retries", None)
        self.after_lost_answer = any(attempt.error for attempt in tries.history) if tries else False
        self.has_body = response.request.method != "HEAD"
        self.as_stored = as_stored
        self._unpack = is_encoded(response.headers) and not as_stored
        raw = response.raw
        self._read: Callable[..., bytes] = getattr(raw, "read1", raw.read)

    def readinto(self, buffer: Any, /) -> int:
        """The next bytes of the body; 0 at its end."""
        with network_errors(self._address):
            try:
                data = self._read(len(buffer), decode_content=self._unpack)
            except AttributeError:  # an answer that comes from no connection need not have read1
                self._read = self._response.raw.read
                data = self._read(len(buffer), decode_content=self._unpack)
        buffer[: len(data)] = data
        return len(data)

    def close(self) -> None:
        """Let go of the connection."""
        self._response.close()


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
