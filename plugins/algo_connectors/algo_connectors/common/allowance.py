"""Limits the memory of concurrent transfers, independently of the number and size of files."""

from __future__ import annotations

import threading

MAX_WAIT_SECONDS = 10.0
"""Maximum wait in seconds; then the caller proceeds without room, because the holders may be blocked."""


class Allowance:
    """A number of bytes shared by all files of a storage."""

    def __init__(self, most: int) -> None:
        self._most = most
        self._taken = 0
        self._changed = threading.Condition()

    def take(self, count: int) -> None:
        """Wait until there is room. A request larger than the total gets room when nothing else is held."""
        with self._changed:
            self._changed.wait_for(lambda: not self._taken or self._taken + count <= self._most, MAX_WAIT_SECONDS)
            self._taken += count

    def take_at_once(self, count: int) -> bool:
        """Take room without waiting; False if there is none."""
        with self._changed:
            if self._taken + count > self._most:
                return False
            self._taken += count
            return True

    def give_back(self, count: int) -> None:
        """Return held bytes."""
        with self._changed:
            self._taken -= count
            self._changed.notify_all()
