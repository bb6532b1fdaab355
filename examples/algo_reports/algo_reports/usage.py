"""Walking a storage, and adding up what is in it."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import datetime, timezone

from algo_core import AlgoError
from algo_core.storage import Entry, Storage
from algo_core.storage.uri import DataUri


@dataclass(frozen=True)
class Filter:
    """Which files count: those of at least `min_size` bytes, changed at `since` or later where that is known.

    A `since` without a time zone is in UTC.
    """

    min_size: int = 0
    since: datetime | None = None

    def wants(self, file: Entry) -> bool:
        """Whether a file counts."""
        if (file.size or 0) < self.min_size:
            return False
        if self.since is None or file.modified is None:
            return True
        return file.modified >= (self.since if self.since.tzinfo else self.since.replace(tzinfo=timezone.utc))


class OverLimit(AlgoError):
    """More bytes are used than somebody wants to allow."""

    exit_code = 64

    def __init__(self, used: int, limit: int) -> None:
        super().__init__(
            f"{used} bytes are used, more than {limit}", "See what takes up the space with: algo reports largest"
        )
        self.used, self.limit = used, limit

    def json_members(self) -> dict[str, int]:
        """Both numbers, for scripts."""
        return {"used": self.used, "limit": self.limit}


@dataclass(frozen=True)
class Usage:
    """What a directory holds, all below it included."""

    directory: DataUri
    files: int
    bytes: int


def files_below(storage: Storage, directory: DataUri, wanted: Filter) -> Iterator[Entry]:
    """All files in a directory and in those below it, while they are found.

    Raises:
        AlgoError: whatever the storage raises.
    """
    for entry in storage.list(directory):
        if entry.is_directory:
            yield from files_below(storage, entry.uri, wanted)
        elif wanted.wants(entry):
            yield entry


def _nothing() -> None:
    """Nobody wants to know."""


def usage_of(
    storage: Storage, directory: DataUri, wanted: Filter, on_directory: Callable[[], None] = _nothing
) -> list[Usage]:
    """What each directory in a directory holds, the largest first; last the files that lie in it itself, if any.

    `on_directory` is called after each directory that was added up.

    Raises:
        AlgoError: whatever the storage raises.
    """
    entries = list(storage.list(directory))
    rows = []
    for entry in entries:
        if entry.is_directory:
            rows.append(_summed(entry.uri, files_below(storage, entry.uri, wanted)))
            on_directory()
    rows.sort(key=lambda row: (-row.bytes, str(row.directory)))
    own = [entry for entry in entries if not entry.is_directory and wanted.wants(entry)]
    return [*rows, *([_summed(directory, own)] if own else [])]


def _summed(directory: DataUri, files: Iterator[Entry] | list[Entry]) -> Usage:
    sizes = [file.size or 0 for file in files]
    return Usage(directory, len(sizes), sum(sizes))
