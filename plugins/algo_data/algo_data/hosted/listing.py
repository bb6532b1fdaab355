"""A page of a directory listing, as the data API sends it (API section 4.4)."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime, timezone
from operator import itemgetter
from typing import Any

from algo_core.errors import PlatformError
from algo_core.storage.contract import Entry, Kind
from algo_core.storage.uri import HOSTED, NO_NAMES, DataUri, is_only_key

_FILENAME = itemgetter("filename")
TOO_LARGE = 1 << 63
"""Sizes from here on are invalid."""


def _check(directory: DataUri, page: Any) -> None:
    """Raises PlatformError if a page is not a listing."""
    if not isinstance(page, dict):
        raise PlatformError(f"The listing of {directory} is invalid")


def entries_of(directory: DataUri, page: Any) -> Iterator[Entry]:
    """The entries of a page, directories first; either member may be missing.

    Raises:
        PlatformError: if the page is not a listing, or contains a name that could lead out of the directory.
    """
    _check(directory, page)
    scheme, label = directory.scheme, directory.label
    above = directory.path if not directory.path or directory.path.endswith("/") else f"{directory.path}/"
    for folder in _members(directory, page, "folders"):
        name = _name(directory, folder.get("name"))
        yield Entry(DataUri(scheme, above + (name or "/"), label), Kind.DIRECTORY)
    files = _members(directory, page, "files")
    for name, file in zip(_filenames(directory, files), files, strict=True):
        size = file.get("size")
        yield Entry(
            DataUri(scheme, above + name, label),
            Kind.FILE,
            size if isinstance(size, int) and 0 <= size < TOO_LARGE else None,
            _time(file.get("last_modified")),
        )


def names_of(directory: DataUri, page: Any) -> list[str]:
    """The names on a page as `Storage.names` gives them. Raises what `entries_of` raises."""
    _check(directory, page)
    folders = [f"{_name(directory, folder.get('name'))}/" for folder in _members(directory, page, "folders")]
    return folders + _filenames(directory, _members(directory, page, "files"))


def _filenames(directory: DataUri, files: list[dict[str, Any]]) -> list[str]:
    """The names of files, checked in bulk: a page has a thousand."""
    try:
        names: list[Any] = list(map(_FILENAME, files))
        text = "\n".join(names)
        if "/" not in text and (directory.scheme != HOSTED or ("\0" not in text and NO_NAMES.isdisjoint(names))):
            return names
    except (KeyError, TypeError):
        pass
    return [_name(directory, file.get("filename")) for file in files]


def marker_of(directory: DataUri, page: Any) -> str | None:
    """Where the next page starts, or None on the last one. Raises PlatformError if the page is not a listing."""
    _check(directory, page)
    marker = page.get("marker")
    return marker if isinstance(marker, str) and marker else None


def _members(directory: DataUri, page: dict[str, Any], name: str) -> list[dict[str, Any]]:
    found = page.get(name) or []
    if not isinstance(found, list) or not {dict}.issuperset(map(type, found)):
        raise PlatformError(f"The listing of {directory} is invalid: {name}")
    return found


def _name(directory: DataUri, name: Any) -> str:
    """A name, which behind a connector can be one that only a key can have."""
    if not isinstance(name, str):
        raise _no_name(directory, name)
    trimmed = name.removesuffix("/")
    if "/" in trimmed or (directory.scheme == HOSTED and is_only_key(trimmed)):
        raise _no_name(directory, name)
    return trimmed


def _no_name(directory: DataUri, name: Any) -> PlatformError:
    return PlatformError(f"The listing of {directory} contains an invalid name: {name!r:.80}")


def _time(text: Any) -> datetime | None:
    if not isinstance(text, str):
        return None
    try:
        found = datetime.fromisoformat(text.replace("Z", "+00:00"))
        if found.tzinfo is timezone.utc:
            return found
        return found.astimezone(timezone.utc) if found.tzinfo else found.replace(tzinfo=timezone.utc)
    except (ValueError, OverflowError):
        return None
