"""Reads heads, lines and bodies of requests from a connection, through one buffer no larger than a head."""

from __future__ import annotations

import socket

from algo_local.serving.http.connection_limits import HEAD_BYTES
from algo_local.serving.http.head import BadRequest, Head, check_beginning, parse_head
from algo_local.serving.http.socket_timeouts import PAUSES, wait_to_receive

RECEIVE_BYTES = 64 << 10
"""Bytes received at a time into the buffer."""

BODY_BYTES = 256 << 10
"""Bytes received at a time for the application."""

KNOWN_BYTES = 2 << 10
"""Largest fields of a request that are kept to recognize them in the next one, where they are mostly the same."""

_END = b"\r\n\r\n"


class ReceiveBuffer:
    """The receiving side of a connection.

    Its methods raise OSError if the connection fails. Those that read a body wait for the client, and raise
    TimeoutError if it sends nothing for `timeout` seconds; `receive` raises what the socket does if nothing has arrived
    yet.
    """

    __slots__ = ("_at", "_held", "_known", "_scanned", "socket", "timeout")

    def __init__(self, connected: socket.socket) -> None:
        self.socket = connected
        self.timeout = 0.0
        self._held = b""
        self._at = 0
        self._scanned = 0
        self._known: Head | None = None

    @property
    def is_empty(self) -> bool:
        """Whether all received bytes were consumed."""
        return self._at == len(self._held)

    def receive(self) -> bool:
        """Receive some bytes; False at the end of the client's data."""
        data = self.socket.recv(RECEIVE_BYTES)
        self._held = data if self.is_empty else self._held[self._at :] + data
        self._at = 0
        return bool(data)

    def head(self) -> Head | None:
        """The next request's head; None if more has to be received first.

        Raises:
            BadRequest: if the bytes are no request's head, or exceed the limits.
        """
        held, at = self._held, self._at
        if at == len(held):
            self._held, self._at = b"", 0  # an idle connection holds no memory
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
            if not self._receive_with_timeout():
                raise BadRequest(400, "it broke off")

    def take(self, size: int) -> bytes:
        """Between 1 and `size` bytes, without waiting for all of them; empty at the end of the client's data."""
        if self.is_empty:
            while True:
                try:
                    return self.socket.recv(min(size, BODY_BYTES))
                except PAUSES:
                    wait_to_receive(self.socket, self.timeout)
        data = self._held[self._at : self._at + size]
        self._at += len(data)
        return data

    def take_into(self, buffer: memoryview) -> int:
        """As `take`, into a buffer; returns the number of bytes."""
        if self.is_empty:
            while True:
                try:
                    return self.socket.recv_into(buffer)
                except PAUSES:
                    wait_to_receive(self.socket, self.timeout)
        data = self._held[self._at : self._at + len(buffer)]
        buffer[: len(data)] = data
        self._at += len(data)
        return len(data)

    def _receive_with_timeout(self) -> bool:
        while True:
            try:
                return self.receive()
            except PAUSES:
                wait_to_receive(self.socket, self.timeout)
