"""Links to files of stores."""

from __future__ import annotations

from algo_core.errors import UsageError
from algo_core.storage.uri import DataUri


def check_lifetime(uri: DataUri, seconds: int, longest: int) -> None:
    """Raise UsageError if a link cannot be valid for so many seconds."""
    if seconds > longest:
        count, unit = (longest // 86_400, "day") if longest >= 86_400 else (longest // 3600, "hour")
        message = f"Links to {uri.connector}:// are valid for at most {count} {unit}s"
        raise UsageError(message, f"Use --expires {count}{unit[0]}")
