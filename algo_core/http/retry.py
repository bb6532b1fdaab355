"""What may be tried again, how often, and after which pause."""

from __future__ import annotations

import time
from collections.abc import Mapping

REPEATABLE = frozenset({"GET", "HEAD", "PUT", "DELETE", "OPTIONS"})
"""Methods that may be sent again: doing them twice is doing them once."""

RETRY_STATUSES = frozenset({429, 500, 502, 503, 504})
"""Statuses after which a request may succeed when it is sent again (API section 2.3)."""

FIRST_SECONDS = 0.25
LONGEST_SECONDS = 20.0
RETRY_AFTER_MAX_SECONDS = 120.0


def pause_after(failures: int) -> float:
    """Seconds to wait after so many failures in a row: anything up to a delay that doubles each time.

    Spread over the whole of it (full jitter), so that many clients do not come back together.
    """
    import random

    return random.uniform(0, min(LONGEST_SECONDS, FIRST_SECONDS * 2 ** max(0, failures - 1))) if failures else 0.0


def asked_pause(headers: Mapping[str, str]) -> float | None:
    """Seconds that a response asks to wait with `Retry-After`, as a number or a date, bounded; None if it does not."""
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
    """A number of tries that are left for one request."""

    def __init__(self, count: int) -> None:
        self.left = count
        self._failures = 0

    def spend(self, headers: Mapping[str, str] | None) -> None:
        """Wait before the next try, as long as a refusal with these headers asks for, or as the backoff says."""
        self.wait(asked_pause(headers) if headers is not None else None)

    def wait(self, seconds: float | None) -> None:
        """Wait before the next try: so many seconds, or as long as the backoff says."""
        self.left -= 1
        self._failures += 1
        time.sleep(pause_after(self._failures) if seconds is None else seconds)
