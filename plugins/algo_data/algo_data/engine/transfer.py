"""The values that the planner passes to the workers."""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

from algo_core.errors import UsageError
from algo_core.storage.contract import Entry, Storage
from algo_core.storage.uri import DataUri, is_only_key
from algo_data.engine.failures import NoSuchName
from algo_data.engine.io.streams import STREAM

UNNAMED = frozenset({"", ".", ".."})
"""Names that are not a directory's own: roots, `.` and `..`."""


class Place(NamedTuple):
    """A URI and its storage."""

    storage: Storage
    uri: DataUri

    def child(self, path: str) -> Place:
        """The place of an entry in this directory, or on some level below.

        Raises:
            NoSuchName: if the storage has no such names: a key can have an empty component, a trailing slash, or lead
                out of the directory with `..`.
        """
        if not self.storage.paths_are_keys and is_only_key(path):
            raise NoSuchName(self, path)
        return Place(self.storage, self.uri.child(path))

    def subdirectory(self, name: str) -> Place:
        """The place of a subdirectory, whose name is empty where a key has an empty component."""
        return self.child(name or "/")

    def __str__(self) -> str:
        return "-" if self.uri == STREAM else str(self.uri)


class Transfer(NamedTuple):
    """One file to copy.

    `entry` is the source's entry from a listing, if any; its size may be out of date. With `removes_source` it is a
    move: the source is removed when its copy is complete.
    """

    source: Place
    target: Place
    entry: Entry | None = None
    removes_source: bool = False


class Unlisted(NamedTuple):
    """A directory of a tree whose files could not be planned; `relative` is its path below the top."""

    source: Place
    target: Place
    relative: str = ""
    removes_source: bool = False

    def __str__(self) -> str:
        return str(self.source)


class NotPlanned(UsageError):
    """A failure of an earlier run that is known by name only."""

    def __init__(self, what: str) -> None:
        super().__init__(f"{what} failed before any file of it was known", "Run the failed command again")
        self.what = what


class Tally:
    """Counts the skipped files, by the planning thread in `skipped`, by others in `kept`."""

    __slots__ = ("kept", "skipped")

    def __init__(self) -> None:
        self.skipped = self.kept = 0

    @property
    def total(self) -> int:
        """The number of files that were left as they are."""
        return self.skipped + self.kept


StorageOf = Callable[[DataUri], Storage]
"""Returns the storage of a URI."""
