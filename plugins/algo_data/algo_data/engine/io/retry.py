"""Retries of transfers: their number and pauses."""

from __future__ import annotations

import time
from collections.abc import Callable

from algo_core.http.retry import pause_after


class RetryBudget:
    """A number of retries, with growing, randomized pauses (full jitter).

    Pauses are in seconds. Progress renews it, so that a long transfer over a bad line succeeds, and one without
    progress ends.
    """

    def __init__(self, tries: int, pause: Callable[[float], None] | None = None) -> None:
        self._tries = tries
        self._spent = 0
        self._pause = pause or time.sleep

    def spend(self, error: Exception) -> None:
        """Wait before the next try; raises `error` if there is none left."""
        if self._spent >= self._tries:
            raise error
        self._spent += 1
        self._pause(pause_after(self._spent))

    def renew(self) -> None:
        """There was progress: all retries are available again."""
        self._spent = 0
