"""Marks of calls that workers have taken, in memory that front ends and the engine share.

A mark is there whatever becomes of the engine that has made it. So a front end need not be told, and woken, in the
midst of each call, to know of a dead engine which of its calls can be given to the next one.
"""

from __future__ import annotations

import mmap

MARKS = 1024
"""Calls at once of a front end that have a mark; others are told of as they start."""


class Marks:
    """Those of all front ends; made before they and the engine are."""

    def __init__(self, front_ends: int) -> None:
        self._bytes = mmap.mmap(-1, front_ends * MARKS)

    def share(self, number: int) -> MarksOfFrontEnd:
        """Those of one front end, all of which are free."""
        return MarksOfFrontEnd(self._bytes, number * MARKS)

    def set(self, place: int) -> None:
        """A worker takes the call with this mark."""
        self._bytes[place] = 1


class MarksOfFrontEnd:
    """Gives each call a mark of its own, by its place. Its methods may be called from any thread."""

    def __init__(self, marks: mmap.mmap, first: int) -> None:
        self._bytes = marks
        self._free = list(range(first, first + MARKS))

    def take(self) -> int | None:
        """A mark that is not set; None if there is no free one."""
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
        """The call has ended."""
        self._free.append(place)
