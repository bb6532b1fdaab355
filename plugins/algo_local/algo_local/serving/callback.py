"""The address at which running algorithms call the platform back, on loopback.

An algorithm that makes no calls costs no server: only a socket listens until the first connection comes.
"""

from __future__ import annotations

import contextlib
import os
import select
import socket
import threading
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from algo_local.serving.server import Server


class InternalEndpoint:
    """Listens on a free port of the loopback interface; serves `application` there from the first connection on."""

    def __init__(self, application: Callable[..., Any]) -> None:
        self._application = application
        self._listener = socket.create_server(("127.0.0.1", 0), backlog=128)
        self._listener.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self._stopping, self._stop = os.pipe()
        self._server: Server | None = None
        # Threads that this one starts are daemons as well: none of them keeps the process from ending.
        self._thread = threading.Thread(target=self._serve_when_called, name="algo-internal", daemon=True)
        self._thread.start()

    @property
    def address(self) -> str:
        """The address without `/v1`, as clients want it."""
        host, port = self._listener.getsockname()
        return f"http://{host}:{port}"

    def close(self) -> None:
        """Stop listening and serving."""
        os.write(self._stop, b".")
        self._thread.join()
        if self._server:
            self._server.stop()
        self._listener.close()
        for end in (self._stopping, self._stop):
            with contextlib.suppress(OSError):
                os.close(end)

    def _serve_when_called(self) -> None:
        ready, _, _ = select.select([self._listener.fileno(), self._stopping], [], [])
        if self._stopping in ready:
            return
        from algo_local.serving.server import Server

        self._server = Server(self._application, self._listener)
        self._server.run()
