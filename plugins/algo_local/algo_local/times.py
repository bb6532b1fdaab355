"""Times as the API writes them: ISO 8601 in UTC, with milliseconds (API section 6.2)."""

from __future__ import annotations

from datetime import datetime, timezone


def iso(seconds: float) -> str:
    """A time in seconds since the epoch."""
    return datetime.fromtimestamp(seconds, timezone.utc).strftime("%Y-%m-%dT%H:%M:%S.%f")[:-3] + "Z"


def iso_or_none(seconds: float | None) -> str | None:
    """As `iso`, for what may not have been yet."""
    return None if seconds is None else iso(seconds)
