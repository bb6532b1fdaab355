"""Links to files of stores."""

from __future__ import annotations

from algo_core.errors import UsageError
from algo_core.storage.uri import DataUri


def check_lifetime(uri: DataUri, seconds: int, longest: int) -> None:
    """Raise UsageError if a link cannot be valid for so many seconds."""
    if seconds > longest:
        days = longest // 86_400
        raise UsageError(f"Links to {uri.connector}:// are valid for at most {days} days", f"Use --expires {days}d")
