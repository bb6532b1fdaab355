"""Paths of the data API (API section 4.1)."""

from __future__ import annotations

import re

from algo_core.errors import UsageError
from algo_core.names import in_bytes
from algo_core.storage.uri import HOSTED, DataUri, pasted

COLLECTION = re.compile(r"[A-Za-z][A-Za-z0-9_]{0,29}")
"""Valid names of collections (API section 4.5)."""

COLLECTION_DEPTH = 2
"""Components of the path of a collection: the owner, and its name."""


def components(uri: DataUri) -> list[str]:
    """The components of a path of hosted data; empty ones do not count (API section 4.1).

    Raises:
        UsageError: if one is `.` or `..`, or not Unicode.
    """
    parts = [part for part in uri.path.split("/") if part]
    if "." in parts or ".." in parts:
        raise UsageError(f"'.' and '..' are not allowed in a data URI: {uri}", "Write the full path")
    _check_unicode(uri)
    return parts


def _check_unicode(uri: DataUri) -> None:
    try:
        uri.path.encode("utf-8")
    except UnicodeEncodeError:
        shown = in_bytes(uri.path).decode("utf-8", "backslashreplace")
        raise UsageError(f"The name is not valid UTF-8: {shown}", "Choose another name for the destination") from None


def how_to_make(uri: DataUri) -> str:
    """The hint for a missing directory."""
    path = components(uri)
    if uri.scheme == HOSTED and len(path) == COLLECTION_DEPTH and not COLLECTION.fullmatch(path[1]):
        return f"{path[1]} is not a valid collection name: at most 30 letters, digits and '_', beginning with a letter"
    return f"Make it with: algo mkdir {pasted(uri)}"


def api_path(uri: DataUri) -> str:
    """The path below `/v1/` (API section 4.1). Paths behind a connector are sent as written.

    Raises:
        UsageError: as `components` does.
    """
    if uri.scheme == HOSTED:
        return "data/" + "/".join(components(uri))
    _check_unicode(uri)
    return f"connector/{uri.connector}/{uri.path}"
