"""Sends delayed messages about started calls: long calls are reported soon, short ones together with their end."""

from __future__ import annotations

import threading
import time
from collections import deque

from algo_local.execution.relay.wire import Channel

LATE_SECONDS = 0.02
"""Seconds after which a running call is reported as started."""

_QUIET = 50
"""Turns without a call after which the thread sleeps until the next call."""


class Notices:
    """Sends messages that channels hold back. A busy server need not wake its thread for each call."""

    def __init__(self) -> None:
        self._waiting: deque[tuple[float, Channel]] = deque()
        self._busy = threading.Event()
        self._lock = threading.Lock()
        self._thread: threading.Thread | None = None
        self._is_closed = False

    def add(self, channel: Channel) -> None:
        """Have the message that a channel holds back sent after `LATE_SECONDS`."""
        self._waiting.append((time.monotonic() + LATE_SECONDS, channel))
        if not self._busy.is_set():
            self._wake()

    def close(self) -> None:
        """Send no further messages."""
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
                if not self._waiting:  # a call added before `clear` did not wake this thread
                    self._busy.wait()
                quiet = 0
                self._busy.set()
