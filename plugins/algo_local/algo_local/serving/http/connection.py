"""A client's connection: its thread reads requests, passes them to the application, and sends the responses."""

from __future__ import annotations

import enum
import socket
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol

from algo_local.serving.http.body import Body, ChunkedBody, SizedBody, drain
from algo_local.serving.http.connection_limits import ConnectionLimits
from algo_local.serving.http.head import BadRequest, Head
from algo_local.serving.http.receive_buffer import ReceiveBuffer
from algo_local.serving.http.sending import response_bytes, send, send_file
from algo_local.serving.http.socket_timeouts import PAUSES, STAY_SECONDS, limit_waiting
from algo_local.serving.request_log import LoggedRequest
from algo_local.web.app import error_response
from algo_local.web.http import ApiError, FileBody, Request, Response

UNREAD_BYTES = 1 << 20
"""Bytes of an unread body that are read so that the connection can be reused."""

UNREAD_SECONDS = 0.25
"""Time limit in seconds for reading an unread body."""

_CONTINUE = b"HTTP/1.1 100 Continue\r\n\r\n"


class Fate(enum.Enum):
    """What becomes of a connection when its thread has finished."""

    IDLE = enum.auto()
    """The client may send another request."""
    LINGER = enum.auto()
    """The last response was sent, but the client may not have read it: its remaining data is read first."""
    CLOSE = enum.auto()


class RequestHandler(Protocol):
    """The interface of an application for the server."""

    def answer(self, request: Request, /) -> Response:
        """The response to a request, whatever goes wrong."""


@dataclass(slots=True)
class Service:
    """The shared state of a server's connections."""

    application: RequestHandler
    limits: ConnectionLimits
    log: Callable[[LoggedRequest], None] | None = None
    """Called for each answered request."""
    draining: bool = False
    """Whether the server is about to stop."""
    leaving: bool = False
    """Whether the server ends when its connections have."""
    crowded: bool = False
    """Whether new connections wait for room."""

    @property
    def ends_connections(self) -> bool:
        """Whether each connection ends with its current request; its client is told so."""
        return self.draining or self.leaving or self.crowded


class Connection:
    """A client's connection, with bytes received beyond the current request."""

    __slots__ = ("__weakref__", "incoming", "is_shaking", "lingered", "peer", "secure", "socket")

    def __init__(self, connected: socket.socket, peer: str, *, secure: bool) -> None:
        self.socket = connected
        self.peer = peer
        """The client's address, for the log."""
        self.secure = secure
        self.is_shaking = secure
        """Whether the TLS handshake is still under way."""
        self.incoming = ReceiveBuffer(connected)
        if not secure:
            limit_waiting(connected)
        self.lingered = 0
        """Bytes read after its last response."""

    def shake(self) -> None:
        """Continue the TLS handshake; raises the socket's error if it has to wait."""
        if self.is_shaking:
            self.socket.do_handshake()  # type: ignore[attr-defined]  # it is one of TLS
            self.is_shaking = False

    def serve(self, head: Head, service: Service) -> Fate:
        """Answer a request, and the following ones that arrive within `STAY_SECONDS`."""
        # A plain socket's timeouts are the kernel's, see `socket_timeouts.py`.
        self.socket.settimeout(STAY_SECONDS if self.secure else None)
        self.incoming.timeout = service.limits.transfer
        try:
            following: Head | None = head
            while following:
                fate = _answer(self, following, service)
                if fate is not Fate.IDLE:
                    return fate
                following = self._next_head()
        except BadRequest as error:
            send(self.socket, refusal(error, self, service), service.limits.transfer)
            return Fate.LINGER
        return Fate.IDLE

    def _next_head(self) -> Head | None:
        """The next request's head; None if there is no whole one within `STAY_SECONDS`."""
        if head := self.incoming.head():
            return head
        try:
            if not self.incoming.receive():
                raise EOFError
        except PAUSES:
            return None
        return self.incoming.head()


def refusal(error: BadRequest, connection: Connection, service: Service) -> bytes:
    """The response to a request that does not reach the application; the connection ends with it."""
    code = 2015 if error.status == 400 else None
    more = {"Retry-After": "1"} if error.status == 503 else {}
    response = error_response(ApiError(error.status, error.reason, code, more))
    if service.log:
        service.log(LoggedRequest(connection.peer, "-", "-", error.status, _size(response.body), 0.0))
    return response_bytes(response, ends=True)


def _answer(connection: Connection, head: Head, service: Service) -> Fate:
    """Pass a request to the application, and send its response."""
    began = time.monotonic() if service.log else 0.0
    exchange = _Exchange(connection, head)
    response = service.application.answer(Request(head.method, head.target, head.fields, exchange.body, head.length))
    body = response.body
    size = _size(body)
    try:
        keeps = head.keep_alive and not service.ends_connections and exchange.clear()
        content = response_bytes(response, ends=not keeps)
        if isinstance(body, FileBody):
            send_file(connection.socket, content, body, service.limits.transfer, secure=connection.secure)
        else:
            send(connection.socket, content, service.limits.transfer)
    finally:
        if isinstance(body, FileBody):
            size -= body.left
            body.close()
        if service.log:
            seconds = time.monotonic() - began
            service.log(LoggedRequest(connection.peer, head.method, head.target, response.status, size, seconds))
    if keeps:
        return Fate.IDLE
    return Fate.CLOSE if exchange.body.finished and connection.incoming.is_empty else Fate.LINGER


def _size(body: bytes | FileBody) -> int:
    return body.left if isinstance(body, FileBody) else len(body)


class _Exchange:
    """The body of a request, from `100 Continue` to the discarded rest."""

    def __init__(self, connection: Connection, head: Head) -> None:
        self._connection = connection
        self._must_announce = head.expects_continue
        announce = self._announce if head.expects_continue else None
        self.body: Body = (
            ChunkedBody(connection.incoming, announce)
            if head.length is None
            else SizedBody(connection.incoming, head.length, announce)
        )

    def clear(self) -> bool:
        """Discard the unread rest of the body before the next request; False if that is not possible."""
        if self.body.finished:
            return True
        if self._must_announce and self._connection.incoming.is_empty:
            return False  # the client may or may not send the body now
        incoming = self._connection.incoming
        timeout, incoming.timeout = incoming.timeout, UNREAD_SECONDS
        drain(self.body, UNREAD_BYTES, UNREAD_SECONDS)
        incoming.timeout = timeout
        return self.body.finished

    def _announce(self) -> None:
        self._must_announce = False
        send(self._connection.socket, _CONTINUE, self._connection.incoming.timeout)
