"""The attributes of files in listings that decide whether a file is copied."""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

from algo_core.storage.contract import Entry, Kind


class Attributes(NamedTuple):
    """The compared attributes of an entry; a tuple, so that a million of them can be written to a file and read back.

    `size` is in bytes, `modified` in seconds since 1970 (UTC); `identity` is the version of a directory, and marks
    other entries that could not be read.
    """

    name: str
    is_directory: bool
    size: int | None
    modified: float | None
    identity: str | None = None


def attributes_of(entry: Entry) -> Attributes:
    """The attributes of an entry."""
    if entry.kind is Kind.DIRECTORY:
        return Attributes(entry.name, True, None, None, entry.version)
    return Attributes(entry.name, False, entry.size, entry.modified.timestamp() if entry.modified else None)


Replaces = Callable[[Attributes, Attributes], bool]
"""Whether a source replaces the existing file at its target."""
