"""Tells front ends that calls have started: of those that take long soon after, of others together with their end."""

from __future__ import annotations

import threading
import time
from collections import deque

from algo_local.execution.relay.wire import Channel

LATE_SECONDS = 0.02
"""After this time, a call takes long."""

_QUIET = 50
"""Turns without a call after which the thread sleeps until there is one."""


class Notices:
    """Sends what channels hold back. While calls come, no call wakes its thread."""

    def __init__(self) -> None:
        self._waiting: deque[tuple[float, Channel]] = deque()
        self._busy = threading.Event()
        self._lock = threading.Lock()
        self._thread: threading.Thread | None = None
        self._is_closed = False

    def add(self, channel: Channel) -> None:
        """A channel holds something back."""
        self._waiting.append((time.monotonic() + LATE_SECONDS, channel))
        if not self._busy.is_set():
            self._wake()

    def close(self) -> None:
        """Send nothing any more."""
        self._is_closed = True
        self._busy.set()

    def _wake(self) -> None:
        with self._lock:
            self._busy.set()
            if self._thread is None and not self._is_closed:
                self._thread = threading.Thread(target=self._run, name="algo-notices", daemon=True)
                self._thread.start()

    def _run(self) -> None:
        quiet = 0
        while not self._is_closed:
            time.sleep(LATE_SECONDS)
            quiet = 0 if self._waiting else quiet + 1
            while self._waiting and self._waiting[0][0] <= time.monotonic():
                self._waiting.popleft()[1].let_go()
            if quiet >= _QUIET:
                self._busy.clear()
                if not self._waiting:  # what came before that has not seen it
                    self._busy.wait()
                quiet = 0
                self._busy.set()
