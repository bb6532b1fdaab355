"""Follows a store's clock if this machine's is wrong, since signatures are valid for only some minutes."""

from __future__ import annotations

import time
from email.utils import parsedate_to_datetime

CLOCK_TOLERANCE = 60.0
"""Seconds by which a clock must be wrong to explain a refusal."""


def skew_of(date: str, known: float) -> float | None:
    """Seconds by which the store's clock, from its header `Date`, is ahead; None if that is no news."""
    try:
        skew = parsedate_to_datetime(date).timestamp() - time.time()
    except (ValueError, TypeError):
        return None
    return skew if abs(skew - known) > CLOCK_TOLERANCE else None
