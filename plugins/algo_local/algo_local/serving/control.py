"""What the parent of a served platform's processes and each of them say to each other: single bytes, with a socket."""

from __future__ import annotations

import contextlib
import json
import socket
from collections.abc import Callable, Iterator
from typing import NamedTuple

from algo_core.errors import AlgoError

LINK = b"L"
"""To a process: a socket to the engine, or to a front end."""
DRAIN = b"D"
"""To a front end: take no more requests."""
SERVING = b"O"
"""To the engine: all processes are ready, and the address has been told."""
CUT = b"C"
"""To the engine: end all calls; it answers when that is done."""
STOP = b"S"
"""To a process: end. So does the end of the parent."""
BEAT = b"B"
"""To a process: answer with the same, which shows that it does not hang."""
SILENT, HEARD = b"H", b"A"
"""To a front end: the engine does not answer for now, or does again."""
READY = b"R"
"""From a process: it does what it is for, or what it was told."""
FAILED = b"X"
"""From a process that cannot start: why, as JSON until it ends."""


class StartFailed(AlgoError):
    """A process of a served platform could not start."""


class Order(NamedTuple):
    """What a process is told."""

    name: bytes
    link: socket.socket | None


class Control:
    """The process's end."""

    def __init__(self, connected: socket.socket) -> None:
        self._socket = connected
        self.check: Callable[[], object] = lambda: None
        """Returns once all that the process depends on has been passed; it must not wait for other machines."""

    def orders(self) -> Iterator[Order]:
        """What the parent says, until it says that the process is to end, or is gone."""
        while True:
            data, descriptors, _, _ = socket.recv_fds(self._socket, 1, 1)
            if not data or data == STOP:
                return
            if data == BEAT:
                self.check()
                self._say(BEAT)
                continue
            links = [socket.socket(fileno=descriptor) for descriptor in descriptors]
            yield Order(data, links[0] if links else None)

    def ready(self) -> None:
        """Say that it is ready, or has done what it was told."""
        self._say(READY)

    def _say(self, word: bytes) -> None:
        with contextlib.suppress(OSError):
            self._socket.send(word)

    def failed(self, error: AlgoError) -> None:
        """Say why it cannot start."""
        told = json.dumps([error.message, error.hint, int(error.exit_code)])
        with contextlib.suppress(OSError):
            self._socket.sendall(FAILED + told.encode())


def receive_failure(connected: socket.socket) -> AlgoError:
    """The error that a process tells of after `FAILED`."""
    parts = []
    while data := connected.recv(1 << 16):
        parts.append(data)
    try:
        message, hint, code = json.loads(b"".join(parts))
    except ValueError:  # it was killed meanwhile
        return StartFailed("A process of the platform ended as it started")
    error = StartFailed(message, hint)
    error.exit_code = code
    return error
