"""Times as clients give them."""

from __future__ import annotations

from datetime import datetime, timezone

from algo_local.error_codes import ErrorCode
from algo_local.web.http import ApiError


def seconds_of(text: str) -> float:
    """The seconds since the epoch of a time; without a zone it is UTC. ApiError if it is none."""
    try:
        found = datetime.fromisoformat(text.strip().replace("Z", "+00:00").replace("z", "+00:00"))
        return (found if found.tzinfo else found.replace(tzinfo=timezone.utc)).timestamp()
    except (ValueError, OverflowError):
        raise ApiError(400, f"Not a time: {text[:50]!r}", ErrorCode.INPUT_VALIDATION_ERROR) from None
