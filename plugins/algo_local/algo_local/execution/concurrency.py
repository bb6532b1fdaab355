"""Limits the concurrent calls of each account (API section 3.9)."""

from __future__ import annotations

import threading
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager

from algo_local.refusals import TooManyCalls

CONCURRENT = 80
"""Maximum number of concurrent calls per account; calls by algorithms do not count."""


class ConcurrencyLimit:
    """Counts the current calls of each account."""

    def __init__(self) -> None:
        self._running: Counter[str] = Counter()
        self._lock = threading.Lock()

    @contextmanager
    def counted(self, account: str) -> Iterator[None]:
        """Count one more call inside the block. Raises TooManyCalls at the limit."""
        with self._lock:
            if self._running[account] >= CONCURRENT:
                raise TooManyCalls(
                    f"Too many concurrent requests: an account may have {CONCURRENT} under way; try again"
                )
            self._running[account] += 1
        try:
            yield
        finally:
            with self._lock:
                self._running[account] -= 1
                if not self._running[account]:
                    del self._running[account]
