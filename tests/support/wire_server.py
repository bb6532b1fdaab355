"""A server that answers with bytes of the tests' choice."""

from __future__ import annotations

import contextlib
import socket
import ssl
import threading
from collections.abc import Callable

Wire = bytes | Callable[[socket.socket], object]
"""What is sent in response to a request: bytes, or what a function sends."""


class WireServer:
    """Answers the n-th request of all connections with the n-th of `wires`, and then with the last one.

    With `closes` each response is the last on its connection. `requests` is what was received, a request each;
    `connections` how many were made.
    """

    def __init__(self, *wires: Wire, closes: bool = True, tls: ssl.SSLContext | None = None) -> None:
        self.wires = list(wires)
        self.requests: list[bytes] = []
        self.connections = 0
        self._closes = closes
        self._tls = tls
        self._open: list[socket.socket] = []
        self._listener = socket.create_server(("127.0.0.1", 0), backlog=64)
        threading.Thread(target=self._accept, daemon=True).start()

    @property
    def address(self) -> str:
        port = self._listener.getsockname()[1]
        return f"https://localhost:{port}" if self._tls else f"http://127.0.0.1:{port}"

    def close(self) -> None:
        for sock in (self._listener, *self._open):
            with contextlib.suppress(OSError):
                sock.shutdown(socket.SHUT_RDWR)
            sock.close()

    def _accept(self) -> None:
        with contextlib.suppress(OSError):
            while True:
                sock, _ = self._listener.accept()
                self.connections += 1
                self._open.append(sock)
                threading.Thread(target=self._serve, args=(sock,), daemon=True).start()

    def _serve(self, sock: socket.socket) -> None:
        with contextlib.suppress(OSError):
            sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            if self._tls:
                sock = self._tls.wrap_socket(sock, server_side=True)
                self._open.append(sock)
            while request := _request(sock):
                self.requests.append(request)
                wire = self.wires.pop(0) if len(self.wires) > 1 else self.wires[0]
                if callable(wire):
                    wire(sock)
                else:
                    sock.sendall(wire)
                if self._closes:
                    sock.shutdown(socket.SHUT_WR)
                    while sock.recv(1 << 16):  # else what is still unread would have the system reset the connection
                        pass
                    break
        sock.close()


def _request(sock: socket.socket) -> bytes:
    """One request, its body included; nothing at the end."""
    received = b""
    while b"\r\n\r\n" not in received:
        part = sock.recv(1 << 16)
        if not part:
            return b""
        received += part
    head, _, body = received.partition(b"\r\n\r\n")
    lengths = [line.split(b":")[1] for line in head.split(b"\r\n") if line.lower().startswith(b"content-length:")]
    while lengths and len(body) < int(lengths[0]):
        body += sock.recv(1 << 16)
    return head + b"\r\n\r\n" + body
