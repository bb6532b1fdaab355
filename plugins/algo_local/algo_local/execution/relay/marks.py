"""One byte of shared memory for each call of a front end: set by the engine when a worker takes the call.

The mark survives the death of the engine. A front end then knows which calls no worker had taken, so that the next
engine can run them, without a message (and a thread to wake) in the middle of each call.
"""

from __future__ import annotations

import mmap

MARKS = 1024
"""Concurrent calls of a front end with a mark; the start of further calls is reported by a message."""


class Marks:
    """The marks of all front ends; created before the processes are forked."""

    def __init__(self, front_ends: int) -> None:
        self._bytes = mmap.mmap(-1, front_ends * MARKS)

    def share(self, number: int) -> MarksOfFrontEnd:
        """The marks of a front end that starts, all free."""
        return MarksOfFrontEnd(self._bytes, number * MARKS)

    def set(self, place: int) -> None:
        """Mark a call as taken by a worker."""
        self._bytes[place] = 1


class MarksOfFrontEnd:
    """Allots a mark to each call of a front end, by its position. Methods may be called from any thread."""

    def __init__(self, marks: mmap.mmap, first: int) -> None:
        self._bytes = marks
        self._free = list(range(first, first + MARKS))

    def take(self) -> int | None:
        """Allot a mark, cleared; None if none is free."""
        try:
            place = self._free.pop()
        except IndexError:
            return None
        self._bytes[place] = 0
        return place

    def is_set(self, place: int) -> bool:
        """Whether a worker has taken the call."""
        return self._bytes[place] != 0

    def give_back(self, place: int) -> None:
        """Free the mark of an ended call."""
        self._free.append(place)
