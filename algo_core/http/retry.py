"""Which requests are retried, how often, and after which pause."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping

REPEATABLE = frozenset({"GET", "HEAD", "PUT", "DELETE", "OPTIONS"})
"""Idempotent methods, which may be sent again."""

RETRY_STATUSES = frozenset({429, 500, 502, 503, 504})
"""Statuses after which a request may succeed when it is sent again (API section 2.3)."""

FAILED_STATUSES = frozenset({500, 502, 504})
"""Statuses after which the request may nevertheless have taken effect."""

FIRST_SECONDS = 0.25
LONGEST_SECONDS = 20.0
RETRY_AFTER_MAX_SECONDS = 120.0


def pause_after(failures: int) -> float:
    """Seconds to wait after `failures` failures in a row: a random time up to a delay that doubles each time.

    Full jitter, so that many clients do not come back together.
    """
    import random

    return random.uniform(0, min(LONGEST_SECONDS, FIRST_SECONDS * 2 ** max(0, failures - 1))) if failures else 0.0


def asked_pause(headers: Mapping[str, str]) -> float | None:
    """The wait in seconds that a response requests with `Retry-After` (number or date), bounded; None without it."""
    text = (headers.get("Retry-After") or "").strip()
    if not text:
        return None
    if text.isascii() and text.isdecimal():
        return min(float(text), RETRY_AFTER_MAX_SECONDS)  # of digits without end it makes infinity
    from email.utils import parsedate_to_datetime

    try:
        seconds = parsedate_to_datetime(text).timestamp() - time.time()
    except (TypeError, ValueError, OverflowError):
        return None
    return min(max(0.0, seconds), RETRY_AFTER_MAX_SECONDS)


class Tries:
    """The tries that are left for something that may fail in passing; a pause comes before each.

    `count` is how often it is tried again, `pause` what waits for a number of seconds.
    """

    def __init__(self, count: int, pause: Callable[[float], None] | None = None) -> None:
        self.left = count
        self._count = count
        self._failures = 0
        self._pause = pause

    def spend(self, headers: Mapping[str, str] | None) -> None:
        """Wait before the next try: as long as these response headers request, else the backoff."""
        self.wait(asked_pause(headers) if headers is not None else None)

    def spend_on(self, error: Exception) -> None:
        """Wait before the next try; raises `error` if there is none left."""
        if self.left <= 0:
            raise error
        self.wait()

    def wait(self, seconds: float | None = None) -> None:
        """Wait before the next try: `seconds`, else the backoff."""
        (self._pause or time.sleep)(self.next_pause(seconds))

    def next_pause(self, seconds: float | None = None) -> float:
        """Use up one try; the seconds to wait before it: `seconds`, else the backoff."""
        self.left -= 1
        self._failures += 1
        return pause_after(self._failures) if seconds is None else seconds

    def renew(self) -> None:
        """Restore all tries after progress: only failures without progress in between count."""
        self.left, self._failures = self._count, 0
