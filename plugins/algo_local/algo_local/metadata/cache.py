"""Rows that are read for nearly every request, kept until something in the database changes."""

from __future__ import annotations

import threading
from collections.abc import Callable, Hashable
from typing import TYPE_CHECKING, Any, TypeVar

if TYPE_CHECKING:
    from algo_local.metadata.database import Database

MOST = 4096
"""Values that are kept."""

T = TypeVar("T")


class RowCache:
    """Values made from rows. A commit, by any process, drops them all: none is ever older than the question for it."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self.pin = threading.local()
        # Replaced as a whole: a thread that is slow to store a value stores it where nobody looks any more.
        self._kept: tuple[tuple[int, int], dict[Hashable, Any]] = ((0, 0), {})

    def pinned(self) -> _Pinned:
        """A block whose values are as of its beginning: it asks for the database's state once. It must not write."""
        return _Pinned(self)

    def get(self, key: Hashable, load: Callable[[], T]) -> T:
        """The value for a key, loaded unless nothing was committed since it was. Raises what `load` raises."""
        # Asked for before the value is loaded: what is committed meanwhile drops it.
        state = getattr(self.pin, "state", None) or self._database.state()
        kept, values = self._kept
        if kept != state or len(values) >= MOST:
            values = {}
            self._kept = (state, values)
        if key in values:
            found: T = values[key]
            return found
        made = values[key] = load()
        return made

    def state(self) -> tuple[int, int]:
        """See `Database.state`."""
        return self._database.state()


class _Pinned:
    __slots__ = ("_cache",)

    def __init__(self, cache: RowCache) -> None:
        self._cache = cache

    def __enter__(self) -> None:
        self._cache.pin.state = self._cache.state()

    def __exit__(self, *_: object) -> None:
        self._cache.pin.state = None
