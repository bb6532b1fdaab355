"""A client that costs little: requests as bytes, answers into one buffer."""

from __future__ import annotations

import re
import select
import socket
import time
from collections.abc import Sequence

TOLERANCE = 24
"""Bytes by which answers differ, as by the digits of a duration; a part of one of 4 KiB lacks more."""

_LENGTH = re.compile(rb"\r\ncontent-length: *(\d+)", re.IGNORECASE)


class Connection:
    """A connection to a server on loopback, kept alive. Every answer must be one of success."""

    def __init__(self, port: int, fields: dict[str, str]) -> None:
        self.socket = socket.create_connection(("127.0.0.1", port), 120)
        self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self._fields = "".join(f"{name}: {value}\r\n" for name, value in fields.items())
        self._buffer = memoryview(bytearray(1 << 20))

    def request(self, method: str, path: str, body: bytes | None = None, content_type: str = "") -> bytes:
        """The bytes of a request."""
        fields = f"Host: localhost\r\n{self._fields}"
        if body is not None:
            fields += f"Content-Length: {len(body)}\r\nContent-Type: {content_type or 'application/octet-stream'}\r\n"
        return f"{method} {path} HTTP/1.1\r\n{fields}\r\n".encode() + (body or b"")

    def send(self, method: str, path: str, body: bytes | None = None, content_type: str = "") -> bytes:
        """Send a request; the body of its answer."""
        return self.exchange(self.request(method, path, body, content_type))

    def exchange(self, request: bytes, *, keep: bool = True) -> bytes:
        """Send the bytes of a request; the body of its answer, or nothing without `keep`.

        Raises:
            RuntimeError: if it is no success.
        """
        self.begin(request)
        return self.end(keep=keep)

    def begin(self, request: bytes) -> None:
        """Send the bytes of a request, without waiting for the answer."""
        self.socket.sendall(request)

    def end(self, *, keep: bool = True) -> bytes:
        """The body of the answer to what was sent, as `exchange` gives it."""
        received = b""
        while b"\r\n\r\n" not in received:
            received += self._receive(1 << 16)
        head, _, begin = received.partition(b"\r\n\r\n")
        if head[9:10] != b"2":
            raise RuntimeError(head.decode("latin-1") + begin.decode("latin-1"))
        length = _LENGTH.search(head)
        left = (int(length[1]) if length else 0) - len(begin)
        parts = [begin]
        while left:
            count = self.socket.recv_into(self._buffer, min(left, len(self._buffer)))
            if not count:
                raise EOFError
            left -= count
            if keep:
                parts.append(bytes(self._buffer[:count]))
        return b"".join(parts) if keep else b""

    def fileno(self) -> int:
        """The descriptor of the connection."""
        return self.socket.fileno()

    def close(self) -> None:
        """End the connection."""
        self.socket.close()

    def _receive(self, size: int) -> bytes:
        data = self.socket.recv(size)
        if not data:
            raise EOFError
        return data


def throughput(connections: Sequence[Connection], requests: Sequence[bytes], seconds: float) -> float:
    """Requests per second of connections that each send their request again and again; the answers are of one size.

    One thread waits for all of them, and looks at no more than the size: 15 microseconds of processor time a request.
    """
    waiting = select.epoll()
    buffer = bytearray(1 << 20)
    known = {}
    for connection, request in zip(connections, requests, strict=True):
        client = connection.socket
        client.sendall(request)
        time.sleep(0.1)
        known[client.fileno()] = client, request, client.recv_into(buffer)
        if buffer[9:10] != b"2":
            raise RuntimeError(buffer[:300].decode("latin-1"))
        waiting.register(client.fileno(), select.EPOLLIN)
    received = dict.fromkeys(known, 0)
    done, busy, began = 0, len(known), time.perf_counter()
    for client, request, _ in known.values():
        client.send(request)
    while busy:
        for descriptor, _ in waiting.poll():
            client, request, size = known[descriptor]
            received[descriptor] += client.recv_into(buffer)
            if received[descriptor] < size - TOLERANCE:
                continue
            received[descriptor] = 0
            done += 1
            if time.perf_counter() < began + seconds:
                client.send(request)
            else:
                busy -= 1
    return done / (time.perf_counter() - began)
