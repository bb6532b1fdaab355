"""A line of a given length and width: answers arrive later, and each connection carries so many bytes a second.

Knows nothing of HTTP, so that it costs little: the benchmarks measure through it as well.
"""

from __future__ import annotations

import contextlib
import os
import socket
import threading
import time

PIPE = 1 << 20
"""Bytes that are moved at a time: what a pipe of the system holds at most."""


class Link:
    """Listens on a free port of loopback and passes everything on to `target` (host, port).

    `delay` is in seconds, from when the last of a question has passed to when the first of its answer arrives; `rate`
    in bytes a second, of answers, for each connection.
    """

    def __init__(self, target: tuple[str, int], *, delay: float = 0.0, rate: float | None = None) -> None:
        self.connections = 0
        self._target = target
        self._delay = delay
        self._rate = rate
        self._listener = socket.create_server(("127.0.0.1", 0), backlog=256)
        self.port: int = self._listener.getsockname()[1]
        threading.Thread(target=self._accept, daemon=True).start()

    def close(self) -> None:
        """Take no more connections; those that there are end with their ends."""
        with contextlib.suppress(OSError):
            self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()

    def __enter__(self) -> Link:
        return self

    def __exit__(self, *exception: object) -> None:
        self.close()

    def _accept(self) -> None:
        while True:
            try:
                near, _ = self._listener.accept()
            except OSError:
                return
            self.connections += 1
            try:
                far = socket.create_connection(self._target)
            except OSError:
                near.close()
                continue
            for end in (near, far):
                end.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            asked = _Clock(self._delay)
            for function, source, sink in ((self._ask, near, far), (self._answer, far, near)):
                threading.Thread(target=self._run, args=(function, source, sink, asked), daemon=True).start()

    def _run(self, function: object, source: socket.socket, sink: socket.socket, asked: _Clock) -> None:
        assert callable(function)
        with contextlib.suppress(OSError):
            function(source, sink, asked)
        with contextlib.suppress(OSError):
            sink.shutdown(socket.SHUT_WR)
        asked.ended(source, sink)

    def _ask(self, source: socket.socket, sink: socket.socket, asked: _Clock) -> None:
        with _Pipe() as pipe:
            while pipe.move(source, sink):
                asked.restart()

    def _answer(self, source: socket.socket, sink: socket.socket, asked: _Clock) -> None:
        allowed_at = time.monotonic()
        with _Pipe() as pipe:
            while count := pipe.fill(source):
                asked.wait()
                pipe.empty(sink, count)
                if self._rate:
                    now = time.monotonic()
                    allowed_at = max(allowed_at, now - 0.02) + count / self._rate
                    if allowed_at > now:
                        time.sleep(allowed_at - now)


class _Clock:
    """When what was asked last may be answered; and which ends of a connection have ended."""

    def __init__(self, delay: float) -> None:
        self._delay = delay
        self._ready = 0.0
        self._ended = 0
        self._lock = threading.Lock()

    def restart(self) -> None:
        self._ready = time.monotonic() + self._delay

    def wait(self) -> None:
        left = self._ready - time.monotonic()
        if left > 0:
            time.sleep(left)

    def ended(self, *ends: socket.socket) -> None:
        with self._lock:
            self._ended += 1
            if self._ended == 2:
                for end in ends:
                    end.close()


class _Pipe:
    """Moves bytes between sockets without looking at them."""

    def __enter__(self) -> _Pipe:
        self._reading, self._writing = os.pipe()
        return self

    def __exit__(self, *exception: object) -> None:
        os.close(self._reading)
        os.close(self._writing)

    def fill(self, source: socket.socket) -> int:
        return os.splice(source.fileno(), self._writing, PIPE)

    def empty(self, sink: socket.socket, count: int) -> None:
        while count:
            count -= os.splice(self._reading, sink.fileno(), count)

    def move(self, source: socket.socket, sink: socket.socket) -> int:
        count = self.fill(source)
        self.empty(sink, count)
        return count
