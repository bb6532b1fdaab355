"""Adapts the number of concurrent calls, and limits their rate."""

from __future__ import annotations

import os
import time
from collections.abc import Callable

from algo_run.call import MOST_AT_ONCE

FIRST = 4
SPARE_FILES = 24
"""Open files that are for other things than connections."""

INTERVAL = 0.1
"""Minimum time in seconds for measuring a rate."""

GAIN = 1.1
"""Minimum speed-up that justifies more concurrent calls."""

BURST = 0.5
"""Seconds in which refusals count as one: calls that were under way together are refused together."""

MISSES = 2
"""Measurements in a row without such a speed-up that end the adaptation: one may be a hiccup."""


def most_connections() -> int:
    """Connections that the platform and this process's limit of open files (`ulimit -n`) allow."""
    try:
        files = os.sysconf("SC_OPEN_MAX")
    except (AttributeError, ValueError, OSError):  # a system without such a limit
        return MOST_AT_ONCE
    return max(1, min(MOST_AT_ONCE, files - SPARE_FILES)) if files > 0 else MOST_AT_ONCE


class AdaptiveConcurrency:
    """Adapts the number of concurrent calls: doubled while that raises the rate.

    It is halved when the platform refuses calls, and one more is tried at a time from then on.
    """

    def __init__(self, fixed: int | None, clock: Callable[[], float] = time.monotonic) -> None:
        self._most = most_connections()
        self.wanted = min(fixed or FIRST, self._most)
        """The desired number of concurrent calls."""
        self._is_fixed = fixed is not None
        self._clock = clock
        self._since, self._done, self._rate = clock(), 0, 0.0
        self._has_settled = False
        self._misses = 0
        self._refused: float | None = None
        """When the platform refused calls, if it has."""

    def ended(self, done: int) -> None:
        """A call has ended; `done` is the total number of ended calls."""
        seconds = self._clock() - self._since
        if self._is_fixed or seconds < INTERVAL or done - self._done < self.wanted:
            return
        rate = (done - self._done) / seconds
        self._since, self._done = self._clock(), done
        if self._refused is not None:
            self.wanted = min(self._most, self.wanted + 1)
        if self._has_settled:
            return
        if rate > self._rate * GAIN:
            self._rate, self.wanted, self._misses = rate, min(self._most, self.wanted * 2), 0
        else:
            self._misses += 1
        self._has_settled = self._misses == MISSES or self.wanted == self._most

    def refused(self) -> None:
        """The platform refused a call (429)."""
        now = self._clock()
        if self._is_fixed or (self._refused is not None and now - self._refused < BURST):
            return
        self._since = self._refused = now
        self.wanted = max(1, self.wanted // 2)
        self._has_settled = True


class Rate:
    """Limits the calls that begin per second, evenly spaced; None is no limit."""

    def __init__(self, per_second: float | None, clock: Callable[[], float] = time.monotonic) -> None:
        self._gap = 1 / per_second if per_second else 0.0
        self._clock = clock
        self._next = 0.0

    def delay(self) -> float:
        """Seconds until a call may begin."""
        return max(0.0, self._next - self._clock()) if self._gap else 0.0

    def begun(self) -> None:
        """A call has begun."""
        if self._gap:
            self._next = max(self._clock(), self._next) + self._gap
