"""How much of the files under way may be in memory at once, however many and however large they are."""

from __future__ import annotations

import threading

PATIENCE = 10.0
"""Seconds that something waits for room; then it goes on without, since what others hold may wait for somebody who
sends nothing."""


class Allowance:
    """So many bytes, which all files of a storage share."""

    def __init__(self, most: int) -> None:
        self._most = most
        self._taken = 0
        self._changed = threading.Condition()

    def take(self, count: int) -> None:
        """Wait until there is room. What is larger than everything has room when nobody else holds anything."""
        with self._changed:
            self._changed.wait_for(lambda: not self._taken or self._taken + count <= self._most, PATIENCE)
            self._taken += count

    def take_at_once(self, count: int) -> bool:
        """Take room if there is some; False if not."""
        with self._changed:
            if self._taken + count > self._most:
                return False
            self._taken += count
            return True

    def give_back(self, count: int) -> None:
        """What was held is gone."""
        with self._changed:
            self._taken -= count
            self._changed.notify_all()
