"""How often, and after how long, something that broke off is tried again."""

from __future__ import annotations

import time
from collections.abc import Callable

from algo_core.http.retry import pause_after


class RetryBudget:
    """A number of tries, with pauses between them that grow and are spread at random (full jitter).

    Pauses are in seconds. Progress renews it, so that a long transfer over a bad line ends, and one that gets nowhere
    does too.
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
        """Something got further: all tries are there again."""
        self._spent = 0
