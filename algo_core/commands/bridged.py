"""The process that serves the storages of an isolated plugin to the `algo` that started it."""

from __future__ import annotations

import signal
import socket

from algo_core.bridge.launch import take
from algo_core.bridge.server import serve
from algo_core.context import App


def main(descriptor: str) -> None:
    """Serve until the other process has ended; Ctrl-C is for that one."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    app = App()
    take(app, has_storages=False)
    serve(app, socket.socket(fileno=int(descriptor)))
