"""Limits the concurrent calls of each account (API section 3.9)."""

from __future__ import annotations

import threading
from collections import Counter
from contextlib import AbstractContextManager

from algo_local.refusals import TooManyCalls

CONCURRENT = 80
"""Maximum number of concurrent calls per account; calls by algorithms do not count."""


class ConcurrencyLimit:
    """Counts the current calls of each account."""

    def __init__(self) -> None:
        self._running: Counter[str] = Counter()
        self._lock = threading.Lock()

    def counted(self, account: str) -> AbstractContextManager[None]:
        """Count one more call inside the block, which raises TooManyCalls at its begin where that is the limit."""
        return _Counted(self, account)

    def begin(self, account: str) -> None:
        """Count one more call. TooManyCalls at the limit."""
        with self._lock:
            running = self._running.get(account, 0)
            if running >= CONCURRENT:
                raise TooManyCalls(
                    f"Too many concurrent requests: an account may have {CONCURRENT} under way; try again"
                )
            self._running[account] = running + 1

    def end(self, account: str) -> None:
        """Count one call less."""
        with self._lock:
            self._running[account] -= 1
            if not self._running[account]:
                self._running.pop(account)


class _Counted:
    """See `ConcurrencyLimit.counted`. Not a generator: each call has one."""

    __slots__ = ("_account", "_limit")

    def __init__(self, limit: ConcurrencyLimit, account: str) -> None:
        self._limit = limit
        self._account = account

    def __enter__(self) -> None:
        self._limit.begin(self._account)

    def __exit__(self, *_: object) -> None:
        self._limit.end(self._account)
