"""Adapts the number of connections, and the batch size of small files, by measuring the rate."""

from __future__ import annotations

import time
from collections.abc import Callable

INTERVAL = 0.05
"""Minimum time in seconds for measuring a rate."""

LONG_INTERVAL = 1.0
"""Time in seconds after which a rate is used, however few the events."""

BUSY = 0.7
"""Processor load from which on more connections do not help."""

IDLE = 0.15
"""Processor load below which larger steps are taken."""

GAIN = 1.15
"""Minimum speed-up that justifies more connections."""

COOLDOWN = 8
"""Intervals to wait after an unsuccessful increase."""


BATCH = 0.008
"""Target duration of a batch in seconds: long compared with the hand-over, short for waiting for the last one."""

MOST_TOGETHER = 64


class AdaptiveConcurrency:
    """Increases the number of connections while that raises the rate and the processor is not busy."""

    def __init__(
        self,
        *,
        most: int,
        start: int = 1,
        clock: Callable[[], float] = time.monotonic,
        cpu: Callable[[], float] = time.process_time,
    ) -> None:
        self._most = most
        self._clock = clock
        self._cpu = cpu
        self._wanted = min(start, most)
        self._before = self._wanted
        self._rate_before = 0.0
        self._rest = 0
        self._since, self._used, self._done, self._events = clock(), cpu(), 0.0, 0

    def wanted(self, done: float, active: int, events: int | None = None) -> int:
        """The desired number of connections.

        `done` is the total amount moved, in any unit; `active` is the number of connections; `events` counts completed
        steps: a rate means little before each connection has completed one.
        """
        now = self._clock()
        seconds = now - self._since
        if seconds < INTERVAL:
            return self._wanted
        if events is not None and events - self._events < 2 * active and seconds < LONG_INTERVAL:
            return self._wanted
        used = self._cpu()
        rate, busy = (done - self._done) / seconds, (used - self._used) / seconds
        self._since, self._used, self._done, self._events = now, used, done, events or 0
        if active >= self._wanted:
            self._decide(rate, busy, active)
        return self._wanted

    def _decide(self, rate: float, busy: float, active: int) -> None:
        if self._wanted > self._before and rate < self._rate_before * GAIN:
            self._wanted = self._before
            self._rest = COOLDOWN
        elif self._rest:
            self._rest -= 1
        elif busy < BUSY and self._wanted < self._most:
            # Those that did not pay may still be there: what was measured is what all of them brought.
            self._before, self._rate_before = self._wanted, rate
            self._wanted = min(self._most, max(active, self._wanted) * (4 if busy < IDLE else 2))


class BatchSize:
    """The number of small files in a batch, so that a batch takes about `BATCH` seconds.

    Never fewer than `least`, which are processed concurrently anyway. Used as a context manager around each batch.
    """

    def __init__(self, least: int = 1, clock: Callable[[], float] = time.monotonic) -> None:
        self._least = least
        self._clock = clock
        self._began = 0.0
        self.size = max(4, least)
        """The number of files."""

    def __enter__(self) -> None:
        self._began = self._clock()

    def __exit__(self, *exception: object) -> None:
        seconds = self._clock() - self._began
        if seconds > BATCH:
            self.size = max(self._least, self.size // 2)
        elif seconds < BATCH / 2:
            self.size = min(MOST_TOGETHER, self.size * 2)
