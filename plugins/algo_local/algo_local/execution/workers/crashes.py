"""Builds whose processes crash before their first call: retried with growing delays."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Hashable

from algo_local.execution.payload import Failure

TOLERATED = 5
"""Failures in a row after which there is a pause before the next try."""

FIRST_PAUSE, LONGEST_PAUSE = 1.0, 60.0
"""Seconds; each pause is twice as long as the one before."""

REMEMBERED = 1000


class Crashes:
    """The failed starts of each build, and when the next one is allowed. Callers must hold a lock."""

    def __init__(self) -> None:
        self._failed: OrderedDict[Hashable, tuple[int, float, Failure]] = OrderedDict()

    def failed(self, key: Hashable, failure: Failure, now: float) -> None:
        """Note that a process could not be started, or failed while it loaded."""
        count = self._failed.pop(key, (0, 0.0, failure))[0] + 1
        pause = 0.0 if count < TOLERATED else min(LONGEST_PAUSE, FIRST_PAUSE * 2 ** min(count - TOLERATED, 10))
        self._failed[key] = (count, now + pause, failure)
        if len(self._failed) > REMEMBERED:
            self._failed.popitem(last=False)

    def forget(self, key: Hashable) -> None:
        """Forget a build's failures: a process has loaded it."""
        self._failed.pop(key, None)

    def failure(self, key: Hashable, now: float) -> Failure | None:
        """The failure of the last start, if the delay before the next one is not over."""
        count, until, failure = self._failed.get(key, (0, 0.0, None))
        return failure if count >= TOLERATED and now < until else None
