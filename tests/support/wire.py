"""Raw connections to a served platform, and responses as bytes."""

from __future__ import annotations

import socket
from collections.abc import Iterable
from dataclasses import dataclass, field

PATIENCE = 60.0
"""Seconds that a test waits for what must come."""


@dataclass
class Answer:
    """A response as it came over the wire."""

    status: int
    headers: dict[str, str] = field(default_factory=dict)
    """By names in lower case."""
    body: bytes = b""

    @property
    def ends(self) -> bool:
        """Whether the connection ends with it."""
        return self.headers.get("connection") == "close"


def connect(address: str) -> socket.socket:
    """A connection to `http://HOST:PORT`."""
    host, port = address.partition("://")[2].split(":")
    return socket.create_connection((host, int(port)), timeout=PATIENCE)


def exchange(address: str, raw: bytes) -> bytes:
    """Send bytes and an end, and return all that comes until the platform closes the connection."""
    received = bytearray()
    with connect(address) as connection:
        try:
            connection.sendall(raw)
            connection.shutdown(socket.SHUT_WR)
        except OSError:  # it had enough
            pass
        try:
            while data := connection.recv(1 << 16):
                received += data
        except ConnectionResetError:
            pass
    return bytes(received)


def answers(received: bytes, methods: Iterable[str] = ()) -> list[Answer]:
    """The responses in what was received, to requests of these methods in order; `100 Continue` left out.

    ValueError if there is anything else in it.
    """
    found: list[Answer] = []
    asked = iter(methods)
    while received:
        head, end, rest = received.partition(b"\r\n\r\n")
        first, *lines = head.decode("latin-1").split("\r\n")
        version, status, _ = first.split(" ", 2)
        if version != "HTTP/1.1" or not end:
            raise ValueError(received)
        received = rest
        if status == "100":
            continue
        answer = Answer(int(status), {name.lower(): value for name, value in (line.split(": ", 1) for line in lines)})
        if next(asked, "GET") != "HEAD" and answer.status != 204:
            length = int(answer.headers["content-length"])
            answer.body, received = received[:length], received[length:]
            if len(answer.body) < length:
                raise ValueError(received)
        found.append(answer)
    return found
