"""A limit on bytes per second that many transfers share."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable

from algo_data.engine.io.blocks import BLOCK

BURST_SECONDS = 0.1
"""What may have been saved up: enough to bridge a pause, too little to be seen as a peak."""

STEP_SECONDS = 0.2
"""The longest sleep at a time, so that an interruption is heard."""

LEAST = 4096


class Throttle:
    """A bucket that fills with `rate` bytes per second; whoever has moved bytes takes them out and waits for them."""

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
        """Bytes that should be moved at a time, so that the pauses between them are short."""

    def spend(self, count: int, check_stopped: Callable[[], None]) -> None:
        """Wait until `count` bytes more are within the limit; `check_stopped` is called now and then, and may raise."""
        with self._lock:
            now = self._clock()
            self._free_at = max(self._free_at, now - BURST_SECONDS) + count / self._rate
            until = self._free_at
        while (left := until - self._clock()) > 0:
            check_stopped()
            self._sleep(min(left, STEP_SECONDS))
