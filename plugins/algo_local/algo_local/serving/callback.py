"""The callback endpoint: the loopback address at which running algorithms call the platform.

The server starts with the first connection; until then only a socket listens.
"""

from __future__ import annotations

import contextlib
import os
import selectors
import socket
import threading
from collections.abc import Callable
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from algo_local.serving.http.connection import RequestHandler
    from algo_local.serving.http.server import Server

CALLBACK_SHARE = 3
"""The callback's share of the process's descriptors: one in three."""

OTHERS_SHARE = 32
"""The share of each process with an isolated network."""


class CallbackEndpoint:
    """Listens on a free port of the loopback interface; serves `application` there from the first connection on.

    A process with an isolated network brings its own `listener`.
    """

    def __init__(self, application: RequestHandler, listener: socket.socket | None = None) -> None:
        self._application = application
        self._share = OTHERS_SHARE if listener else CALLBACK_SHARE
        self._listener = listener or socket.create_server(("127.0.0.1", 0), backlog=128)
        self._stopping, self._stop = os.pipe()
        self._server: Server | None = None
        # A daemon thread, as are the threads that it starts: none of them keeps the process from ending.
        self._thread = threading.Thread(target=self._serve_when_called, name="algo-callback", daemon=True)
        self._thread.start()

    @property
    def address(self) -> str:
        """The address without `/v1`, as clients' settings expect it."""
        host, port = self._listener.getsockname()
        return f"http://{host}:{port}"

    def serve_also(self, listener: socket.socket) -> Callable[[], None]:
        """Also serve the application on another socket; returns a function that ends that."""
        return CallbackEndpoint(self._application, listener).close

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
        with selectors.DefaultSelector() as waiting:
            waiting.register(self._listener, selectors.EVENT_READ)
            waiting.register(self._stopping, selectors.EVENT_READ)
            if self._stopping in [key.fd for key, _ in waiting.select()]:
                return
        from algo_local.serving.http.connection_limits import limits_for_process
        from algo_local.serving.http.server import Server

        self._server = Server(self._application, self._listener, limits=limits_for_process(share=self._share))
        self._server.run()
