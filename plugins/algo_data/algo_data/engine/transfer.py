"""What the planner hands to the workers."""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

from algo_core.errors import UsageError
from algo_core.storage.contract import Entry, Storage
from algo_core.storage.uri import DataUri, is_only_key
from algo_data.engine.failures import NoSuchName
from algo_data.engine.io.streams import STREAM

UNNAMED = frozenset({"", ".", ".."})
"""Names of directories that have none of their own: roots, and those that are named by where one is."""


class Place(NamedTuple):
    """A URI and the storage that it is in."""

    storage: Storage
    uri: DataUri

    def child(self, path: str) -> Place:
        """The place of an entry in this directory, or on some level below.

        Raises:
            NoSuchName: if no file or directory of this storage can be called so: a key can have an empty component, end
                in a slash, or lead out of the directory with `..`.
        """
        if not self.storage.paths_are_keys and is_only_key(path):
            raise NoSuchName(self, path)
        return Place(self.storage, self.uri.child(path))

    def subdirectory(self, name: str) -> Place:
        """The place of a directory in this one, whose name is empty where a key has an empty component."""
        return self.child(name or "/")

    def __str__(self) -> str:
        return "-" if self.uri == STREAM else str(self.uri)


class Transfer(NamedTuple):
    """One file to copy.

    `entry` is what a listing has said of the source, where one was read: its size may be out of date when the file is
    read. With `removes_source` it is moved: the source goes when its copy is whole.
    """

    source: Place
    target: Place
    entry: Entry | None = None
    removes_source: bool = False


class Unlisted(NamedTuple):
    """A directory whose files could not be planned: one of a tree, with its path `relative` to the top of that."""

    source: Place
    target: Place
    relative: str = ""
    removes_source: bool = False

    def __str__(self) -> str:
        return str(self.source)


class NotPlanned(UsageError):
    """Something failed in an earlier run of which only its name is known."""

    def __init__(self, what: str) -> None:
        super().__init__(f"{what} failed before any file of it was known", "Run the failed command again")
        self.what = what


class Tally:
    """Counts what a plan leaves out because it is there already; only the thread that plans does."""

    __slots__ = ("skipped",)

    def __init__(self) -> None:
        self.skipped = 0


StorageOf = Callable[[DataUri], Storage]
"""Gives the storage that a URI is in."""
