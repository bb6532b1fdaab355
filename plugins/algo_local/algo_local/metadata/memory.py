"""A cache of query results, valid until the database changes; see `Database.remembered`."""

from __future__ import annotations

import threading
from collections.abc import Callable, Hashable
from typing import Any, TypeVar

WORTH_REMEMBERING = 32
"""Questions after which answers are remembered."""

REMEMBERED = 2000
"""Answers that are remembered until the database is changed."""

_T = TypeVar("_T")


class Memory:
    """Answers of a database, each as long as its version stays the same; see `Database.remembered`."""

    def __init__(self, version: Callable[[], Hashable]) -> None:
        """`version` queries a value from the database that differs after every committed change."""
        self._ask_version = version
        self._lock = threading.Lock()
        self._version: Hashable = None
        self._found: dict[Hashable, Any] = {}
        self._asked = 0
        self._pins = threading.local()

    def remembered(self, what: tuple[Hashable, ...], ask: Callable[[], _T]) -> _T:
        """See `Database.remembered`."""
        self._asked += 1
        if self._asked < WORTH_REMEMBERING:  # a short command gains nothing from the cache
            return ask()
        found = getattr(self._pins, "found", None)
        if found is None:
            found = self._valid()
        if what not in found:
            answer = ask()
            if len(found) >= REMEMBERED:
                self.clear()
            found[what] = answer
            return answer
        known: _T = found[what]
        return known

    def pinned(self) -> Pinned:
        """See `Database.pinned`."""
        return Pinned(self)

    def pin(self) -> None:
        """Have this thread use the current answers until `unpin`."""
        if self._asked >= WORTH_REMEMBERING:
            self._pins.found = self._valid()

    def unpin(self) -> None:
        """Have this thread use new answers again."""
        self._pins.found = None

    def clear(self) -> None:
        """Forget all answers."""
        with self._lock:
            self._version, self._found = None, {}

    def _valid(self) -> dict[Hashable, Any]:
        """The answers since the last change; more may be added, as long as they are no older than this call.

        Threads may bring versions in another order than they were asked for. Then answers are forgotten too early, and
        the older version names some that are newer than it, which does no harm.
        """
        version = self._ask_version()
        with self._lock:
            if version != self._version:
                self._version, self._found = version, {}
            return self._found


class Pinned:
    """See `Database.pinned`; each request has one, so that this is cheaper than a generator."""

    __slots__ = ("_memory",)

    def __init__(self, memory: Memory) -> None:
        self._memory = memory

    def __enter__(self) -> None:
        self._memory.pin()

    def __exit__(self, *_: object) -> None:
        self._memory.unpin()
