"""Limits the concurrent calls of each account (API section 3.9)."""

from __future__ import annotations

import threading
from collections import Counter
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager
from typing import TYPE_CHECKING

from algo_local.refusals import TooManyCalls

if TYPE_CHECKING:
    from algo_local.metadata.postgresql.places import Places

CONCURRENT = 80
"""Maximum number of concurrent calls per account; calls by algorithms do not count."""


class ConcurrencyLimit:
    """Counts the current calls of each account."""

    def __init__(self) -> None:
        self._running: Counter[str] = Counter()
        self._lock = threading.Lock()

    def counted(self, account: str) -> AbstractContextManager[None]:
        """Count one more call within the block. Raises TooManyCalls on entry at the limit."""
        return _Counted(self, account)

    def begin(self, account: str) -> None:
        """Count one more call. TooManyCalls at the limit."""
        with self._lock:
            running = self._running.get(account, 0)
            if running >= CONCURRENT:
                raise _too_many()
            self._running[account] = running + 1

    def end(self, account: str) -> None:
        """Count one call fewer."""
        with self._lock:
            self._running[account] -= 1
            if self._running[account] <= 0:
                self._running.pop(account)

    def close(self) -> None:
        """Stop counting."""
        with self._lock:
            self._running.clear()


class _Counted:
    """See `ConcurrencyLimit.counted`. A class, since a generator would cost more in each call."""

    __slots__ = ("_account", "_limit")

    def __init__(self, limit: ConcurrencyLimit, account: str) -> None:
        self._limit = limit
        self._account = account

    def __enter__(self) -> None:
        self._limit.begin(self._account)

    def __exit__(self, *_: object) -> None:
        self._limit.end(self._account)


class SharedConcurrencyLimit(ConcurrencyLimit):
    """Counts the current calls of each account on all front ends together, in the database."""

    def __init__(self, places: Places) -> None:
        super().__init__()
        self._places = places

    @contextmanager
    def counted(self, account: str) -> Iterator[None]:
        """See `ConcurrencyLimit.counted`. StorageUnavailable if the database cannot be reached."""
        name = f"calls of {account.lower()}"
        taken = self._places.take(name, CONCURRENT)
        if taken is None:
            raise _too_many()
        try:
            yield
        finally:
            self._places.give(name, taken)

    def close(self) -> None:
        """See `ConcurrencyLimit.close`."""
        self._places.close()


def _too_many() -> TooManyCalls:
    return TooManyCalls(f"Too many concurrent requests: an account may have {CONCURRENT} under way; try again")
