"""`algo local serve`: the served platform, from the first connection to a clean end."""

from __future__ import annotations

import signal
import threading
from collections.abc import Callable
from pathlib import Path

from algo_local.platform import Platform
from algo_local.serving.server import Server, listen
from algo_local.web.app import Application


def serve_until_signal(
    platform: Platform,
    host: str,
    port: int,
    *,
    tls: tuple[Path, Path | None] | None,
    say: Callable[[str], None],
) -> None:
    """Serve until SIGINT or SIGTERM, then end all running algorithms and return.

    `say` is told the address once connections are accepted. Must be called in the main thread.

    Raises:
        UsageError: if the address cannot be listened on.
        ConfigError: if the certificate cannot be used, or the platform's state.
    """
    ended = threading.Event()
    listener = listen(host, port)
    try:
        account = platform.account  # a state that cannot be used is found before anybody connects
        server = Server(Application(platform, on_failure=say), listener, tls=tls, on_failure=say)
    except BaseException:
        listener.close()
        raise
    previous = {number: signal.signal(number, lambda *_: ended.set()) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        server.run()
        say(f"Serving on {_address(listener.getsockname(), host, secure=bool(tls))}")
        if account and not platform.metadata.keys():
            say("There are no keys yet; make one with: algo local key new OWNER")
        ended.wait()
    finally:
        for number, handler in previous.items():
            signal.signal(number, handler)
        # Calls under way are ended first, since the server waits for those who wait for them.
        platform.executor.close()
        server.stop()
        platform.close()


def _address(bound: tuple[str, int], host: str, *, secure: bool) -> str:
    name = f"[{host}]" if ":" in host else host
    return f"{'https' if secure else 'http'}://{name}:{bound[1]}"
