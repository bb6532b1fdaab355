"""What the data API calls a place (API section 4.1)."""

from __future__ import annotations

import os

from algo_core.errors import UsageError
from algo_core.uri import HOSTED, DataUri


def components(uri: DataUri) -> list[str]:
    """The components of a path on the platform; empty ones do not count (API section 4.1).

    Raises:
        UsageError: if one is `.` or `..`, which no URL can carry, or not Unicode.
    """
    parts = [part for part in uri.path.split("/") if part]
    if "." in parts or ".." in parts:
        raise UsageError(f"'.' and '..' mean nothing in a data URI: {uri}", "Write the whole path")
    try:
        uri.path.encode("utf-8")
    except UnicodeEncodeError:
        shown = os.fsencode(uri.path).decode("utf-8", "backslashreplace")
        raise UsageError(f"The name is not valid UTF-8: {shown}", "Give it another name in the destination") from None
    return parts


def api_path(uri: DataUri) -> str:
    """What stands behind `/v1/` (API section 4.1)."""
    path = "/".join(components(uri))
    return f"data/{path}" if uri.scheme == HOSTED else f"connector/{uri.connector}/{path}"
