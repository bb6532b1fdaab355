"""What listings say of files, as far as it decides whether one is copied."""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

from algo_core.storage.contract import Entry, Kind


class Attributes(NamedTuple):
    """What is compared of an entry; a tuple, so that a million of them can be written to a file and read back.

    `size` is in bytes, `modified` in seconds since 1970 (UTC); `identity` is the version of a directory,
    and says of anything else whether it could not be looked at.
    """

    name: str
    is_directory: bool
    size: int | None
    modified: float | None
    identity: str | None = None


def attributes_of(entry: Entry) -> Attributes:
    """The facts of an entry."""
    if entry.kind is Kind.DIRECTORY:
        return Attributes(entry.name, True, None, None, entry.version)
    return Attributes(entry.name, False, entry.size, entry.modified.timestamp() if entry.modified else None)


Replaces = Callable[[Attributes, Attributes], bool]
"""Whether a source is to replace the file that stands at its target."""
