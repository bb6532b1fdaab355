"""A limit on bytes per second that many transfers share."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable

from algo_data.engine.io.blocks import BLOCK

BURST_SECONDS = 0.1
"""Maximum credit in seconds: enough for a pause, too little for a visible peak."""

STEP_SECONDS = 0.2
"""Maximum sleep in seconds, so that an interruption is noticed."""

LEAST = 4096


class Throttle:
    """A token bucket of `rate` bytes per second."""

    def __init__(
        self,
        rate: int,
        *,
        clock: Callable[[], float] = time.monotonic,
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        self._rate = rate
        self._clock = clock
        self._sleep = sleep
        self._lock = threading.Lock()
        self._free_at = clock()
        self.block = max(LEAST, min(BLOCK, int(rate * BURST_SECONDS)))
        """Recommended block size in bytes, for short pauses."""

    def spend(self, count: int, check_stopped: Callable[[], None]) -> None:
        """Wait until `count` more bytes are within the limit; `check_stopped` is called repeatedly, and may raise."""
        with self._lock:
            now = self._clock()
            self._free_at = max(self._free_at, now - BURST_SECONDS) + count / self._rate
            until = self._free_at
        while (left := until - self._clock()) > 0:
            check_stopped()
            self._sleep(min(left, STEP_SECONDS))
