"""Messages between the platform and its driver process, over a socket that the two alone hold."""

from __future__ import annotations

import contextlib
import pickle
import select
import socket
import struct
import threading
from typing import Any

_LENGTH = struct.Struct("!Q")
_JOINED = 1 << 16
"""Bytes of a message up to which it is sent in one piece with its length."""


class Channel:
    """One end of a socket; any thread may send, one at a time receives. Messages are tuples that begin with a word."""

    def __init__(self, connection: socket.socket) -> None:
        self.connection = connection
        self._sending = threading.Lock()
        self._readable = select.poll()
        self._readable.register(connection, select.POLLIN)

    def send(self, *message: Any) -> None:
        """Send a message. OSError if the other end is gone."""
        content = pickle.dumps(message, protocol=pickle.HIGHEST_PROTOCOL)
        with self._sending:
            if len(content) <= _JOINED:
                self.connection.sendall(_LENGTH.pack(len(content)) + content)
            else:
                self.connection.sendall(_LENGTH.pack(len(content)))
                self.connection.sendall(content)

    def receive(self, timeout: float | None = None) -> tuple[Any, ...] | None:
        """The next message; None when the other end is gone. TimeoutError if none begins within `timeout` seconds."""
        if timeout is not None and not self.has_message(timeout):
            raise TimeoutError
        try:
            head = self._exactly(_LENGTH.size)
            content = self._exactly(_LENGTH.unpack(head)[0]) if head else b""
        except OSError:
            return None
        if not content:
            return None
        message: tuple[Any, ...] = pickle.loads(content)
        return message

    def has_message(self, timeout: float = 0.0) -> bool:
        """Whether there is something to receive within `timeout` seconds, be it the end."""
        return bool(self._readable.poll(max(0.0, timeout) * 1000))

    def _exactly(self, count: int) -> bytes:
        if count <= _JOINED:
            first = self.connection.recv(count)
            if len(first) == count or not first:
                return first
        else:
            first = b""
        found = bytearray(count)
        found[: len(first)] = first
        view, at = memoryview(found), len(first)
        while at < count:
            received = self.connection.recv_into(view[at:])
            if not received:
                return b""
            at += received
        return bytes(found)

    def end(self) -> None:
        """Tell both ends that this is over; safe from any thread, more than once."""
        with contextlib.suppress(OSError):
            self.connection.shutdown(socket.SHUT_RDWR)

    def close(self) -> None:
        """The same, for the thread that receives, and for good."""
        self.end()
        self.connection.close()
