"""The receiving side of a connection: heads, lines and bodies, from one buffer that is never larger than a head."""

from __future__ import annotations

import socket

from algo_local.serving.head import BadRequest, Head, check_beginning, parse_head
from algo_local.serving.limits import HEAD_BYTES
from algo_local.serving.patience import PAUSES, wait_to_receive

RECEIVE_BYTES = 64 << 10
"""Bytes received at a time into the buffer."""

BODY_BYTES = 256 << 10
"""Bytes received at a time for the application."""

KNOWN_BYTES = 2 << 10
"""Largest fields of a request that are kept to recognize them in the next one, where they are mostly the same."""

_END = b"\r\n\r\n"


class Incoming:
    """The receiving side of a connection.

    Its methods raise OSError if the connection fails. Those that read a body wait for the client, and raise
    TimeoutError if it sends nothing for `patience` seconds; `receive` raises what the socket does if it has to wait.
    """

    __slots__ = ("_at", "_held", "_known", "_scanned", "patience", "socket")

    def __init__(self, connected: socket.socket) -> None:
        self.socket = connected
        self.patience = 0.0
        self._held = b""
        self._at = 0
        self._scanned = 0
        self._known: Head | None = None

    @property
    def is_empty(self) -> bool:
        """Whether everything that was received is consumed."""
        return self._at == len(self._held)

    def receive(self) -> bool:
        """Receive some bytes; False at the end of what the client sends."""
        data = self.socket.recv(RECEIVE_BYTES)
        self._held = data if self.is_empty else self._held[self._at :] + data
        self._at = 0
        return bool(data)

    def head(self) -> Head | None:
        """The next request's head; None if more has to be received first.

        Raises:
            BadRequest: if there is something else, or more than there may be.
        """
        held, at = self._held, self._at
        if at == len(held):
            self._held, self._at = b"", 0  # a connection that waits keeps nothing
            return None
        if held.startswith(b"\r\n", at):  # some clients end a body with one too many (RFC 9112 section 2.2)
            at += 2
        end = held.find(_END, at, at + HEAD_BYTES + len(_END))
        if end >= 0:
            self._at, self._scanned = end + len(_END), 0
            head = parse_head(held[at:end], self._known)
            self._known = head if len(head.section) <= KNOWN_BYTES else None
            return head
        self._held, self._at = held[self._at :], 0
        check_beginning(self._held, self._scanned)
        self._scanned = len(self._held)
        return None

    def line(self, limit: int) -> str:
        """A line of at most `limit` bytes, without its end. BadRequest if it is longer, or ends otherwise."""
        while True:
            held, at = self._held, self._at
            end = held.find(b"\n", at, at + limit + 2)
            if end >= 0:
                line = held[at : end - 1]
                if end == at or held[end - 1] != 0x0D or b"\r" in line:
                    raise BadRequest(400, "a line does not end where it should")
                self._at = end + 1
                return line.decode("latin-1")
            if len(held) - at >= limit + 2:
                raise BadRequest(400, "a line is too long")
            if not self._receive_patiently():
                raise BadRequest(400, "it broke off")

    def take(self, size: int) -> bytes:
        """At most `size` bytes, as many as there are; none at the end of what the client sends."""
        if self.is_empty:
            while True:
                try:
                    return self.socket.recv(min(size, BODY_BYTES))
                except PAUSES:
                    wait_to_receive(self.socket, self.patience)
        data = self._held[self._at : self._at + size]
        self._at += len(data)
        return data

    def take_into(self, buffer: memoryview) -> int:
        """The same into a buffer; the number of bytes."""
        if self.is_empty:
            while True:
                try:
                    return self.socket.recv_into(buffer)
                except PAUSES:
                    wait_to_receive(self.socket, self.patience)
        data = self._held[self._at : self._at + len(buffer)]
        buffer[: len(data)] = data
        self._at += len(data)
        return len(data)

    def _receive_patiently(self) -> bool:
        while True:
            try:
                return self.receive()
            except PAUSES:
                wait_to_receive(self.socket, self.patience)
