"""Connections to one host, made by ourselves: for sessions of which nothing but plain exchanges is asked."""

from __future__ import annotations

import os
import select
import socket
import struct
import sys
from typing import TYPE_CHECKING, Any, Protocol
from urllib.parse import urlsplit

from algo_core.http.errors import socket_errors
from algo_core.http.tls import tls_context

if TYPE_CHECKING:
    import ssl

    from algo_core.http.session import DeferredSession

_TIMEVAL = struct.Struct("@ll")

PORTS = {"http": 80, "https": 443}
PROXY_VARIABLES = frozenset({"http_proxy", "https_proxy", "all_proxy"})
OWN_PROXIES = frozenset({"darwin", "win32", "cygwin"})
"""Systems that know of proxies beside those of the environment."""


class Connection(Protocol):
    """A connection, encrypted where it has to be."""

    sock: Any

    def close(self) -> None:
        """End it."""


class Supply(Protocol):
    """Where connections to a host come from, and go back to."""

    def take(self, connect: float) -> tuple[Connection, bool]:
        """A connection that works as far as one can see, and whether it is new; `connect` is in seconds.

        Raises:
            NetworkError and its kinds: if none can be made.
        """

    def limit(self, connection: Connection, seconds: float) -> None:
        """Have it be silent for so long at the most."""

    def put_back(self, connection: Connection, *, is_reusable: bool) -> None:
        """Keep it for later, or close it."""


class OwnConnection:
    """A socket."""

    __slots__ = ("limit", "sock")

    def __init__(self, sock: socket.socket) -> None:
        self.sock = sock
        self.limit: float | None = None

    def close(self) -> None:
        """End it."""
        self.sock.close()

    def is_quiet(self) -> bool:
        """Whether nothing has come since the last answer, not even the other side's end."""
        poll = select.poll()
        poll.register(self.sock, select.POLLIN)
        return not poll.poll(0)


class OwnSupply:
    """Makes connections itself; `address` is what they lead to, as a person knows it."""

    def __init__(self, host: str, port: int, context: ssl.SSLContext | None, address: str) -> None:
        self._host = host
        self._port = port
        self._context = context
        self._address = address
        self._idle: list[OwnConnection] = []

    def take(self, connect: float) -> tuple[Connection, bool]:
        """One that waits here, or a new one."""
        while True:
            try:
                connection = self._idle.pop()
            except IndexError:
                return self._made(connect), True
            if connection.is_quiet():
                return connection, False
            connection.close()

    def _made(self, connect: float) -> OwnConnection:
        with socket_errors(self._address):
            # A name as bytes needs no IDNA, which would have to be imported.
            host: Any = self._host.encode("ascii")
            sock = socket.create_connection((host, self._port), connect)
            try:
                sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
                if self._context:
                    sock = self._context.wrap_socket(sock, server_hostname=self._host)
            except BaseException:
                sock.close()
                raise
        return OwnConnection(sock)

    def limit(self, connection: Connection, seconds: float) -> None:
        """Leave it to the system to look at the clock: Python would ask before each step whether it can be done."""
        assert isinstance(connection, OwnConnection)
        if connection.limit == seconds:
            return
        connection.limit = seconds
        if self._context:
            connection.sock.settimeout(seconds)  # TLS has its own ways to wait
            return
        connection.sock.settimeout(None)
        span = _TIMEVAL.pack(int(seconds), max(1, int(seconds % 1 * 1e6)))
        connection.sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVTIMEO, span)
        connection.sock.setsockopt(socket.SOL_SOCKET, socket.SO_SNDTIMEO, span)

    def put_back(self, connection: Connection, *, is_reusable: bool) -> None:
        """Keep it, or close it."""
        if is_reusable and isinstance(connection, OwnConnection):
            self._idle.append(connection)
        else:
            connection.close()

    def close(self) -> None:
        """Close those that wait here."""
        while self._idle:
            self._idle.pop().close()


def own_supply(session: DeferredSession, url: str) -> OwnSupply | None:
    """Connections of our own to where a URL leads; None where it is for requests to say how to get there.

    That is where the session was opened, because a plugin has changed it or something needed it; where proxies may be;
    and for names that are not ASCII.

    Raises:
        ConfigError: if the CAs that the environment names cannot be read.
    """
    parts = urlsplit(url)
    host = parts.hostname or ""
    if session.is_open or parts.scheme not in PORTS or not host or not host.isascii() or _may_have_proxy():
        return None
    context = tls_context(session.profile.ca_cert) if parts.scheme == "https" else None
    supply = OwnSupply(host, parts.port or PORTS[parts.scheme], context, session.profile.address)
    session.closing.callback(supply.close)
    return supply


def _may_have_proxy() -> bool:
    if sys.platform in OWN_PROXIES:
        return True
    return any(value and name.lower() in PROXY_VARIABLES for name, value in os.environ.items())
