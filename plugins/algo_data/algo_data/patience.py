"""How often, and after how long, something that broke off is tried again."""

from __future__ import annotations

import random
import time
from collections.abc import Callable

FIRST_PAUSE = 0.25
LONGEST_PAUSE = 20.0


class Patience:
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
        self._pause(random.uniform(0, min(LONGEST_PAUSE, FIRST_PAUSE * 2**self._spent)))
        self._spent += 1

    def renew(self) -> None:
        """Something got further: all tries are there again."""
        self._spent = 0
