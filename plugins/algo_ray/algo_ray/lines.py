"""Lines: the sockets over which calls travel between the platform and the actors that serve them.

Ray starts an actor, places it, and tells of its death; it would take a call through eight threads and two encodings.
An actor therefore connects to the platform's machine, each end proves that it knows the worker's key, which came by
Ray, and calls take that socket. With `RAY_USE_TLS`, it is encrypted by the certificates that Ray itself uses.
"""

from __future__ import annotations

import contextlib
import hmac
import json
import os
import secrets
import socket
from collections.abc import Mapping
from typing import TYPE_CHECKING

from algo_local.execution.relay.wire import Channel

if TYPE_CHECKING:
    import ssl

KEY_BYTES = 32
PROVE_SECONDS = 10.0
"""How long the other end may take to connect, to prove itself, and to agree on encryption."""

_STRANGER_SECONDS = 1.0
"""The same for one that has connected to the platform, where an actor may wait behind a stranger."""

_UNREACHABLE_SECONDS = 20
"""After which a machine that says nothing any more counts as gone."""

_PLATFORM, _ACTOR = b"algo-ray platform", b"algo-ray actor"
_CERTIFICATES = ("RAY_TLS_SERVER_CERT", "RAY_TLS_SERVER_KEY", "RAY_TLS_CA_CERT")


class Line(Channel):
    """One end of a line. Its methods raise `algo_local.execution.relay.wire.Gone` when the other end is gone.

    Values travel as JSON: the other end is on another machine.
    """

    encoded = staticmethod(lambda value: json.dumps(value, separators=(",", ":")).encode())
    decoded = staticmethod(json.loads)

    def has_begun(self) -> bool:
        """Whether a part of a message was read with the one before, which polling does not show."""
        pending = getattr(self.socket, "pending", None)  # of an encrypted one
        return bool(self._held) or bool(pending and pending())


def prove(connected: socket.socket, key: bytes, *, is_platform: bool) -> bool:
    """Exchange proofs that both ends know a key, without telling it; whether the other end does.

    Raises:
        OSError: if the other end is gone, or takes too long.
    """
    ours, theirs = (_PLATFORM, _ACTOR) if is_platform else (_ACTOR, _PLATFORM)
    connected.settimeout(_STRANGER_SECONDS if is_platform else PROVE_SECONDS)
    challenge = secrets.token_bytes(KEY_BYTES)
    connected.sendall(challenge)
    asked = _exactly(connected, KEY_BYTES)
    connected.sendall(hmac.digest(key, ours + asked, "sha256"))
    answer = _exactly(connected, KEY_BYTES)
    connected.settimeout(None)
    return hmac.compare_digest(answer, hmac.digest(key, theirs + challenge, "sha256"))


def _exactly(connected: socket.socket, count: int) -> bytes:
    found = b""
    while len(found) < count:
        data = connected.recv(count - len(found))
        if not data:
            raise ConnectionResetError("the other end closed the connection")
        found += data
    return found


def line_over(connected: socket.socket, environ: Mapping[str, str] = os.environ, *, is_platform: bool) -> Line:
    """A line over a socket on which both ends have proved themselves.

    Raises:
        OSError: if the ends do not agree on encryption, or a certificate cannot be read.
    """
    hasten(connected)
    context = encryption(environ, is_platform=is_platform)
    if context is None:
        return Line(connected)
    connected.settimeout(PROVE_SECONDS)
    encrypted = context.wrap_socket(connected, server_side=is_platform)
    encrypted.settimeout(None)
    return Line(encrypted)


def encryption(environ: Mapping[str, str], *, is_platform: bool) -> ssl.SSLContext | None:
    """What encrypts lines, if Ray's traffic is encrypted: both ends show a certificate of Ray's authority.

    Raises:
        OSError: if a certificate is missing or cannot be read.
    """
    if environ.get("RAY_USE_TLS", "0").lower() not in ("1", "true"):
        return None
    import ssl

    for name in _CERTIFICATES:
        if not environ.get(name):
            raise OSError(f"RAY_USE_TLS is set, and {name} is not")
    certificate, key, authority = (environ[name] for name in _CERTIFICATES)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER if is_platform else ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = False  # who is at the other end was proved by the key
    context.verify_mode = ssl.CERT_REQUIRED
    context.load_cert_chain(certificate, key)
    context.load_verify_locations(authority)
    return context


def hasten(connected: socket.socket) -> None:
    """Send small messages at once, and learn of a machine that is gone."""
    connected.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
    wanted = {"TCP_NODELAY": 1, "TCP_KEEPIDLE": 10, "TCP_KEEPINTVL": 5, "TCP_KEEPCNT": 2}
    wanted["TCP_USER_TIMEOUT"] = _UNREACHABLE_SECONDS * 1000
    for name, value in wanted.items():
        with contextlib.suppress(AttributeError, OSError):  # not every system has each
            connected.setsockopt(socket.IPPROTO_TCP, getattr(socket, name), value)


def is_loopback(address: str) -> bool:
    """Whether an address of this machine in a cluster is reached by no other machine."""
    return address.startswith("127.") or address in ("::1", "localhost")


def family_of(address: str) -> socket.AddressFamily:
    """The kind of an address: IPv4 or IPv6."""
    return socket.AF_INET6 if ":" in address else socket.AF_INET
