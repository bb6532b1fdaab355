"""The protocol between the parent process and each of its children: single bytes over a socket pair."""

from __future__ import annotations

import contextlib
import json
import socket
from collections.abc import Callable, Iterator
from typing import NamedTuple

from algo_core.errors import AlgoError

LINK = b"L"
"""To a child: here is a socket to the engine, or to a front end."""
DRAIN = b"D"
"""To a front end: accept no further requests."""
SERVING = b"O"
"""To the engine: all processes are ready, and the address was printed."""
CUT = b"C"
"""To the engine: end all calls, then answer READY."""
STOP = b"S"
"""To a child: exit. A closed socket, after the parent's death, means the same."""
BEAT = b"B"
"""To a child: answer with the same byte, which shows that it does not hang."""
SILENT, HEARD = b"H", b"A"
"""To a front end: the engine has stopped answering heartbeats, or answers again."""
READY = b"R"
"""From a child: it is ready, or has carried out an order."""
FAILED = b"X"
"""From a child that cannot start: the error follows as JSON, until the end of the stream."""


class StartFailed(AlgoError):
    """A process of a served platform could not start."""


class Order(NamedTuple):
    """An order of the parent to a child."""

    name: bytes
    link: socket.socket | None


class Control:
    """The child's end of the socket pair."""

    def __init__(self, connected: socket.socket) -> None:
        self._socket = connected
        self.check: Callable[[], object] = lambda: None
        """Returns if the process does not hang; must not wait for other machines."""

    def orders(self) -> Iterator[Order]:
        """The orders of the parent, until STOP or the parent's death; heartbeats are answered."""
        while True:
            data, descriptors, _, _ = socket.recv_fds(self._socket, 1, 1)
            if not data or data == STOP:
                return
            if data == BEAT:
                self.check()
                self._send(BEAT)
                continue
            links = [socket.socket(fileno=descriptor) for descriptor in descriptors]
            yield Order(data, links[0] if links else None)

    def end(self) -> None:
        """End `orders`, as STOP does; safe from any thread."""
        with contextlib.suppress(OSError):
            self._socket.shutdown(socket.SHUT_RD)

    def ready(self) -> None:
        """Report that the process is ready, or has carried out an order."""
        self._send(READY)

    def _send(self, word: bytes) -> None:
        with contextlib.suppress(OSError):
            self._socket.send(word)

    def failed(self, error: AlgoError) -> None:
        """Report the error for which the process cannot start."""
        told = json.dumps([error.message, error.hint, int(error.exit_code)])
        with contextlib.suppress(OSError):
            self._socket.sendall(FAILED + told.encode())


def receive_failure(connected: socket.socket) -> AlgoError:
    """The error that a child sends after `FAILED`."""
    parts = []
    while data := connected.recv(1 << 16):
        parts.append(data)
    try:
        message, hint, code = json.loads(b"".join(parts))
    except ValueError:  # the child was killed while it sent
        return StartFailed("A process of the platform ended as it started")
    error = StartFailed(message, hint)
    error.exit_code = code
    return error
