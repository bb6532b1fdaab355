"""Keeps the rest of a listing between two pages, so that each page need not list the whole directory."""

from __future__ import annotations

import threading
import time
from collections import OrderedDict
from dataclasses import dataclass
from typing import Generic, TypeVar

OPEN_LISTINGS = 64
"""Listings that are kept open for their next page."""

OPEN_ENTRIES = 1_000_000
"""Entries of all open listings together, about 100 MB, unless the newest alone has more."""

IDLE_SECONDS = 600.0
"""Seconds that a listing waits for its next page."""

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class _Open(Generic[T]):
    rest: T
    entries: int
    since: float


class OpenListings(Generic[T]):
    """The remaining entries of listings, by the key with which the next page is requested.

    `take` returns a rest only once. Rests are dropped after some time, or for newer ones; the caller then lists anew.
    """

    def __init__(self) -> None:
        self._open: OrderedDict[str, _Open[T]] = OrderedDict()
        self._entries = 0
        self._lock = threading.Lock()

    def take(self, key: str) -> T | None:
        """The rest of a listing; None if it is not kept (any more)."""
        with self._lock:
            self._drop_idle()
            found = self._open.pop(key, None)
            self._entries -= found.entries if found else 0
        return found.rest if found else None

    def keep(self, key: str, rest: T, entries: int = 0) -> None:
        """Keep the rest of a listing, which has `entries` entries in memory."""
        with self._lock:
            if replaced := self._open.pop(key, None):
                self._entries -= replaced.entries
            self._open[key] = _Open(rest, entries, time.monotonic())
            self._entries += entries
            while len(self._open) > OPEN_LISTINGS or (len(self._open) > 1 and self._entries > OPEN_ENTRIES):
                self._drop_oldest()
            self._drop_idle()

    def _drop_idle(self) -> None:
        limit = time.monotonic() - IDLE_SECONDS
        while self._open and next(iter(self._open.values())).since < limit:
            self._drop_oldest()

    def _drop_oldest(self) -> None:
        self._entries -= self._open.popitem(last=False)[1].entries
