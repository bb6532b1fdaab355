"""Passes connections on to the platform: from other machines, and from algorithms whose network is isolated."""

from __future__ import annotations

import contextlib
import socket
import threading

_BLOCK = 1 << 16
_CONNECT_SECONDS = 10.0


class Relay:
    """Accepts connections on a socket and joins each with one to `target`, until it is closed."""

    def __init__(self, listener: socket.socket, target: tuple[str, int]) -> None:
        self._listener = listener
        self._target = target
        threading.Thread(target=self._accept, name="algo-relay", daemon=True).start()

    @property
    def address(self) -> str:
        """The address at which it listens, without `/v1`."""
        host, port = self._listener.getsockname()[:2]
        return f"http://{f'[{host}]' if ':' in host else host}:{port}"

    def close(self) -> None:
        """Accept no more connections; may be repeated."""
        with contextlib.suppress(OSError):
            self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()

    def _accept(self) -> None:
        while True:
            try:
                client, _ = self._listener.accept()
            except OSError:
                return
            try:
                platform = socket.create_connection(self._target, _CONNECT_SECONDS)
            except OSError:
                client.close()
                continue
            platform.settimeout(None)
            client.settimeout(None)
            for source, sink in ((client, platform), (platform, client)):
                threading.Thread(target=_copy, args=(source, sink), name="algo-relay", daemon=True).start()


def _copy(source: socket.socket, sink: socket.socket) -> None:
    """Copy until the end of one direction, which is then told; the last of the two closes both."""
    try:
        while data := source.recv(_BLOCK):
            sink.sendall(data)
        sink.shutdown(socket.SHUT_WR)
    except OSError:
        for end in (source, sink):
            with contextlib.suppress(OSError):
                end.shutdown(socket.SHUT_RDWR)
