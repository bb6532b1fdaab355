"""How many connections pay, and how much is handed over together: found out by trying; only the link itself knows."""

from __future__ import annotations

import time
from collections.abc import Callable

INTERVAL = 0.05
"""Seconds that a rate is measured for, at the least."""

LONG_INTERVAL = 1.0
"""Seconds after which a rate is taken for one, however little has happened."""

BUSY = 0.7
"""Share of one processor from which on more connections would only wait for it."""

IDLE = 0.15
"""Share below which it is worth while to take larger steps."""

GAIN = 1.15
"""How many times faster it must have become for more connections to have paid."""

PATIENCE = 8
"""Intervals to wait before something that did not pay is tried again."""


BATCH = 0.008
"""Seconds that a batch is meant to take: long beside handing it over, short for whoever waits for the last one."""

MOST_TOGETHER = 64


class AdaptiveConcurrency:
    """Grows the number of connections while that brings more and the processor has time for them."""

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
        """How many connections there should be.

        `done` is how much has been moved in all, in whatever unit; `active` is how many connections there are;
        `events` counts what has come to an end: a rate says little before each connection has had its turn.
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
            self._rest = PATIENCE
        elif self._rest:
            self._rest -= 1
        elif busy < BUSY and self._wanted < self._most:
            # Those that did not pay may still be there: what was measured is what all of them brought.
            self._before, self._rate_before = self._wanted, rate
            self._wanted = min(self._most, max(active, self._wanted) * (4 if busy < IDLE else 2))


class Batch:
    """How many small files are handed over together: so many that it takes about `BATCH` seconds.

    Never fewer than `least`, which are under way at the same time anyhow. Used as a context manager around each handing
    over.
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
