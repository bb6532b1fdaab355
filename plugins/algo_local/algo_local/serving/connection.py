"""A connection while it is busy: one thread reads its requests, has them answered, and stays as long as more come."""

from __future__ import annotations

import enum
import select
import socket
import traceback
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

from algo_local.serving.body import Body, ChunkedBody, SizedBody, drain
from algo_local.serving.head import BadRequest, Head
from algo_local.serving.incoming import Incoming
from algo_local.serving.limits import Limits
from algo_local.serving.outgoing import response_head, send, send_response

STAY_SECONDS = 0.05
"""How long a thread waits for a connection's next request before the connection counts as idle."""

UNREAD_BYTES = 1 << 20
"""How much of a body that the application left is read for the sake of the connection's next request."""

UNREAD_SECONDS = 0.25
"""How long that may take."""

_CONTINUE = b"HTTP/1.1 100 Continue\r\n\r\n"
_END = "Connection: close\r\n"
_FAILED = "500 Internal Server Error"


class Fate(enum.Enum):
    """What is to become of a connection that a thread is done with."""

    IDLE = enum.auto()
    """The client may send another request."""
    LINGER = enum.auto()
    """It has had its last response, but may not have seen it yet: what it still sends is to be read first."""
    CLOSE = enum.auto()


@dataclass(slots=True)
class Service:
    """What the connections of a server have in common."""

    application: Callable[..., Iterable[bytes]]
    limits: Limits
    report: Callable[[str], None]
    """Told what should never happen."""
    draining: bool = False
    """Whether each connection ends with its present request."""


class Connection:
    """A client's connection, with the bytes that were received ahead."""

    __slots__ = ("__weakref__", "incoming", "is_shaking", "lingered", "peer", "secure", "since", "socket")

    def __init__(self, connected: socket.socket, peer: str, *, secure: bool) -> None:
        self.socket = connected
        self.peer = peer
        """The client's address, for the log."""
        self.secure = secure
        self.is_shaking = secure
        """Whether the TLS handshake is still under way."""
        self.incoming = Incoming(connected)
        self.since = 0.0
        """When it came into its present state, on the monotonic clock."""
        self.lingered = 0
        """Bytes that were read after its last response."""

    def shake(self) -> None:
        """Take a TLS handshake as far as it goes; raises what the socket does if it has to wait."""
        if self.is_shaking:
            self.socket.do_handshake()  # type: ignore[attr-defined]  # it is one of TLS
            self.is_shaking = False

    def serve(self, head: Head, service: Service) -> Fate:
        """Answer a request, and those that follow without a pause."""
        self.socket.settimeout(service.limits.transfer)
        try:
            following: Head | None = head
            while following:
                fate = _answer(self, following, service)
                if fate is not Fate.IDLE:
                    return fate
                following = self._next_head()
        except BadRequest as error:
            send(self.socket, refusal(error))
            return Fate.LINGER
        return Fate.IDLE

    def _next_head(self) -> Head | None:
        """The next request's head; None if there is no whole one within `STAY_SECONDS`."""
        head = self.incoming.head()
        if head or not self._arrives():
            return head
        if not self.incoming.receive():
            raise EOFError
        return self.incoming.head()

    def _arrives(self) -> bool:
        if self.secure and self.socket.pending():  # type: ignore[attr-defined]  # a TLS socket has decrypted some more
            return True
        ready = select.poll()
        ready.register(self.socket, select.POLLIN)
        return bool(ready.poll(STAY_SECONDS * 1000))


def refusal(error: BadRequest) -> bytes:
    """The response to a request that does not reach the application; the connection ends with it."""
    from algo_local.web.app import error_response
    from algo_local.web.http import ApiError

    more = {"Retry-After": "1"} if error.status == 503 else {}
    started: list[Any] = []
    response = error_response(ApiError(error.status, error.reason, 2015 if error.status == 400 else None, more))
    body = response.start(lambda *answer: started.extend(answer), without_body=False)
    status, headers = started
    return response_head(status, headers, _END) + b"".join(body)


def _answer(connection: Connection, head: Head, service: Service) -> Fate:
    """Have the application answer a request, and send what it says."""
    exchange = _Exchange(connection, head)
    status, headers, content = exchange.call(service)
    try:
        keeps = head.keep_alive and not service.draining and _has_length(status, headers) and exchange.clear()
        option = "" if keeps else _END
        send_response(connection.socket, response_head(status, headers, option), content, secure=connection.secure)
    finally:
        if close := getattr(content, "close", None):
            close()
    if keeps:
        return Fate.IDLE
    return Fate.CLOSE if exchange.body.finished and connection.incoming.is_empty else Fate.LINGER


class _Exchange:
    """One request on its way through the application."""

    def __init__(self, connection: Connection, head: Head) -> None:
        self._connection = connection
        self._head = head
        self._must_announce = head.expects_continue
        announce = self._announce if head.expects_continue else None
        self.body: Body = (
            ChunkedBody(connection.incoming, announce)
            if head.length is None
            else SizedBody(connection.incoming, head.length, announce)
        )

    def call(self, service: Service) -> tuple[str, Sequence[tuple[str, str]], Iterable[bytes]]:
        """Status, headers and body of the application's response."""
        started: list[Any] = []

        def start_response(status: str, headers: list[tuple[str, str]], exc_info: Any = None) -> None:
            started[:] = status, headers

        try:
            content = service.application(self._environ(), start_response)
            status, headers = started
        except Exception:
            service.report(traceback.format_exc())
            return _FAILED, [("Content-Length", "0")], []
        return status, headers, content

    def clear(self) -> bool:
        """Get what the application left of the body out of the next request's way; whether that was possible."""
        if self.body.finished:
            return True
        if self._must_announce and self._connection.incoming.is_empty:
            return False  # whether the client will send the body now is up to it
        connected = self._connection.socket
        patience = connected.gettimeout()
        connected.settimeout(UNREAD_SECONDS)
        try:
            drain(self.body, UNREAD_BYTES, UNREAD_SECONDS)
        finally:
            connected.settimeout(patience)
        return self.body.finished

    def _announce(self) -> None:
        self._must_announce = False
        send(self._connection.socket, _CONTINUE)

    def _environ(self) -> dict[str, Any]:
        head = self._head
        environ: dict[str, Any] = {
            "REQUEST_METHOD": head.method,
            "REQUEST_URI": head.target,
            "SERVER_PROTOCOL": head.version,
            "REMOTE_ADDR": self._connection.peer,
            "wsgi.url_scheme": "https" if self._connection.secure else "http",
            "wsgi.input": self.body,
            "wsgi.input_terminated": head.length is None,
        }
        for name, value in head.fields.items():
            if key := _variable(name):
                environ[key] = value
        return environ


@lru_cache(maxsize=256)
def _variable(name: str) -> str:
    """The name of a field among WSGI's variables; none if it has an underscore, and could pass for another there."""
    if "_" in name:
        return ""
    key = name.upper().replace("-", "_")
    return key if key in {"CONTENT_TYPE", "CONTENT_LENGTH"} else f"HTTP_{key}"


def _has_length(status: str, headers: Sequence[tuple[str, str]]) -> bool:
    """Whether the client can tell where the response ends."""
    return status.startswith(("204", "304")) or any(name == "Content-Length" for name, _ in headers)
