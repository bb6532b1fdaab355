"""Connections to one host, kept for reuse and checked before each request."""

from __future__ import annotations

import errno
import os
import select
import socket
import struct
from collections.abc import Callable
from contextlib import AbstractContextManager
from typing import TYPE_CHECKING, Any

from algo_core.errors import NetworkError
from algo_core.http.errors import is_cut_off, socket_errors, tls_ended

if TYPE_CHECKING:
    import ssl

_TIMEVAL = struct.Struct("@ll")


class Connection:
    """A connection that serves one request at a time; `sock` is its socket, in TLS where that is used."""

    __slots__ = ("_limit", "_poll", "_pool", "is_fresh", "sock")

    def __init__(self, pool: ConnectionPool, sock: Any) -> None:
        self._pool = pool
        self._limit: float | None = None
        self._poll = select.poll()
        self._poll.register(sock, select.POLLIN)
        self.sock = sock
        self.is_fresh = True
        """Whether it serves its first request, so that it cannot have been closed while idle."""

    @property
    def address(self) -> str:
        """The address of the server."""
        return self._pool.address

    @property
    def is_encrypted(self) -> bool:
        """Whether it uses TLS."""
        return self._pool.is_encrypted

    def errors(self) -> AbstractContextManager[None]:
        """Translates errors of the connection into this project's errors."""
        return socket_errors(self._pool.address)

    def is_quiet(self) -> bool:
        """Whether nothing arrived since the last response: neither surplus bytes nor the end."""
        return not self._poll.poll(0) and not (self._pool.is_encrypted and self.sock.pending())

    def limit(self, seconds: float) -> None:
        """Set the socket's idle timeout; left to the system, since Python would poll before each step."""
        if self._limit == seconds:
            return
        self._limit = seconds
        if self._pool.is_encrypted:
            self.sock.settimeout(seconds)  # TLS has its own ways to wait
            return
        self.sock.settimeout(None)
        span = _TIMEVAL.pack(int(seconds), max(1, int(seconds % 1 * 1e6)))
        self.sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVTIMEO, span)
        self.sock.setsockopt(socket.SOL_SOCKET, socket.SO_SNDTIMEO, span)

    def do_not_wait(self) -> None:
        """Have the socket raise what `would_block` recognizes instead of waiting, until `limit` is called."""
        self._limit = None
        self.sock.setblocking(False)

    @property
    def has_more(self) -> bool:
        """Whether bytes have been decrypted that were not received yet: no event tells of them."""
        return self._pool.is_encrypted and self.sock.pending() > 0

    def release(self) -> None:
        """Return it to the pool: its response was read to the end."""
        self._pool.put(self)

    def close(self) -> None:  # noqa: D102
        self.sock.close()


class ConnectionPool:
    """Connections to one host.

    `context` makes the TLS context of those that are encrypted, and is None for others; `address` is where they lead,
    for messages.
    """

    def __init__(self, host: str, port: int, context: Callable[[], ssl.SSLContext] | None, address: str) -> None:
        self.address = address
        self.is_encrypted = context is not None
        self._host = host
        self._port = port
        self._context = context() if context else None
        self._idle: list[Connection] = []
        self._peer: tuple[int, Any] | None = None
        """Family and address of the last connection."""
        self._is_closed = False

    def take(self, connect: float, read: float) -> Connection:
        """An idle, quiet connection or a new one, with these time limits in seconds.

        Raises:
            NetworkError and its kinds: if no connection can be made; nothing was sent.
        """
        connection = self.idle() or self._made(connect)
        connection.limit(read)
        return connection

    def idle(self) -> Connection | None:
        """An idle, quiet connection, if there is one."""
        while True:
            try:
                connection = self._idle.pop()
            except IndexError:
                return None
            if connection.is_quiet():
                connection.is_fresh = False
                return connection
            connection.close()

    def begin(self) -> Connection | None:
        """A new connection to where the last one leads, which does not wait; it is made once it can be written to.

        None if there was none, or TLS is to be agreed on. Raises OSError.
        """
        if self._peer is None or self._context:
            return None
        family, address = self._peer
        sock = socket.socket(family, socket.SOCK_STREAM)
        connection = Connection(self, sock)
        try:
            connection.do_not_wait()
            sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            error = sock.connect_ex(address)
            if error not in (0, errno.EINPROGRESS):
                raise OSError(error, os.strerror(error))
        except BaseException:
            sock.close()
            raise
        return connection

    def _made(self, connect: float) -> Connection:
        try:
            with socket_errors(self.address):
                # A name as bytes needs no IDNA, which would have to be imported.
                host: Any = self._host.encode("ascii")
                sock = socket.create_connection((host, self._port), connect)
                try:
                    self._peer = sock.family, sock.getpeername()
                    sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
                    if self._context:
                        sock = self._encrypted(sock, self._context)
                except BaseException:
                    sock.close()
                    raise
        except NetworkError as error:
            error.nothing_sent = True
            raise
        return Connection(self, sock)

    def _encrypted(self, sock: socket.socket, context: ssl.SSLContext) -> socket.socket:
        try:
            return context.wrap_socket(sock, server_hostname=self._host)
        except OSError as error:
            if is_cut_off(error) or isinstance(error, ConnectionError):
                raise tls_ended(self.address) from error
            raise

    def put(self, connection: Connection) -> None:
        """Keep a connection, unless the pool was closed in the meantime."""
        if self._is_closed:
            connection.close()
        else:
            self._idle.append(connection)

    def close(self) -> None:
        """Close idle connections, and each one that is returned from now on."""
        self._is_closed = True
        while self._idle:
            self._idle.pop().close()
