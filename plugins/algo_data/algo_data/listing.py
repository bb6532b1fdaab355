"""A page of a directory listing, as the data API sends it (API section 4.4)."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime, timezone
from typing import Any

from algo_core.errors import PlatformError
from algo_core.storage import Entry, Kind
from algo_core.uri import DataUri


def entries_of(directory: DataUri, page: Any) -> Iterator[Entry]:
    """The entries of a page, directories first; either member may be missing.

    Raises:
        PlatformError: if the page is no listing, or holds a name that could lead out of the directory.
    """
    if not isinstance(page, dict):
        raise PlatformError(f"The listing of {directory} is not what the API describes")
    for folder in _members(directory, page, "folders"):
        yield Entry(_child(directory, folder.get("name")), Kind.DIRECTORY)
    for file in _members(directory, page, "files"):
        size = file.get("size")
        yield Entry(
            _child(directory, file.get("filename")),
            Kind.FILE,
            size=size if isinstance(size, int) else None,
            modified=_time(file.get("last_modified")),
        )


def marker_of(page: Any) -> str | None:
    """Where the next page starts, or None on the last one."""
    marker = page.get("marker")
    return marker if isinstance(marker, str) and marker else None


def _members(directory: DataUri, page: dict[str, Any], name: str) -> list[dict[str, Any]]:
    found = page.get(name) or []
    if not isinstance(found, list) or not all(isinstance(item, dict) for item in found):
        raise PlatformError(f"The listing of {directory} is not what the API describes: {name}")
    return found


def _child(directory: DataUri, name: Any) -> DataUri:
    if not isinstance(name, str) or name.strip("/") in {"", ".", ".."} or "/" in name.rstrip("/") or "\0" in name:
        raise PlatformError(f"The listing of {directory} holds something that is no name: {name!r:.80}")
    return directory.child(name.rstrip("/"))


def _time(text: Any) -> datetime | None:
    if not isinstance(text, str):
        return None
    try:
        found = datetime.fromisoformat(text.replace("Z", "+00:00"))
    except ValueError:
        return None
    return found.astimezone(timezone.utc) if found.tzinfo else found.replace(tzinfo=timezone.utc)
