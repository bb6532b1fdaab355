"""Which of the front ends that share a listening socket accepts: the one that has the fewest connections.

All are woken by each connection, and without this the quickest would take them all. Each writes its own count into
memory that all of them see, so that nothing has to be locked, and no death leaves anything behind that matters.

A socket for each front end (`SO_REUSEPORT`) is less even, 8 to 14 of 20 connections instead of 10, and with a front end
die those that it has not accepted yet: 9 of 20 in a measurement, none with a common socket.
"""

from __future__ import annotations

import mmap
import time

LEAVE_SECONDS = 0.003
"""Seconds for which a connection is left to those that have fewer."""

LEFT_SECONDS = 0.25
"""Nobody takes it in this time, as one that hangs: then whoever is there does."""

_GONE = 0xFFFFFFFF
_SIZE = 4


class Balance:
    """The counts of all front ends; made before they are."""

    def __init__(self, front_ends: int) -> None:
        self._counts = memoryview(mmap.mmap(-1, front_ends * _SIZE)).cast("I")
        for number in range(front_ends):
            self.forget(number)

    def share(self, number: int) -> Share:
        """The view of one of the front ends, which has no connection yet."""
        return Share(self._counts, number)

    def forget(self, number: int) -> None:
        """Count a front end no longer, until it is started again."""
        self._counts[number] = _GONE


class Share:
    """One of the front ends."""

    def __init__(self, counts: memoryview, number: int) -> None:
        self._counts = counts
        self._number = number
        self._left_since: float | None = None
        self.note(0)

    def note(self, count: int) -> None:
        """Tell the others how many connections it has."""
        self._counts[self._number] = count

    def accepts(self) -> bool:
        """Whether it is the one to accept a connection that waits."""
        fewest = min(self._counts)
        if self._counts[self._number] <= fewest:
            self._left_since = None
            return True
        now = time.monotonic()
        if self._left_since is None or now - self._left_since > 4 * LEFT_SECONDS:
            self._left_since = now
        return now - self._left_since >= LEFT_SECONDS
