"""The contract of objects: the storage of hosted data's files, in a directory or an object store.

Objects know neither accounts, permissions nor HTTP. They have flat directories, whose names come from
`Objects.collection` and similar methods, with files of any name that `names.py` allows. Tests of an implementation
inherit `algo_local.testing.ObjectsContract`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from typing import BinaryIO, NamedTuple, Protocol

BLOCK = 1 << 20
"""Block size in bytes."""

IN_MEMORY = 1 << 16
"""Maximum size, in bytes, of a file that is read at once: it is sent together with the head of its response."""

SESSION_SECONDS = 2 * 3600
"""Age in seconds of leftover session data: no request runs longer than 50 minutes."""

SWEEP_SECONDS = 3600.0
"""Seconds after which a process that stores files looks for leftovers again."""

TEMP_SECONDS = 24 * 3600
"""Lifetime in seconds of files in an algorithm's `temp` space."""

Read = Callable[[int], bytes]
"""Gives at most as many bytes as asked for; none at the end."""


class FileInfo(NamedTuple):
    """A file as a listing shows it."""

    name: str
    size: int
    """Bytes."""
    modified: float
    """Seconds since the epoch."""
    identity: str
    """Changes whenever the content may have changed."""


class Listing(NamedTuple):
    """A page of a directory's files; `marker` is its last name, if there are more."""

    files: list[FileInfo]
    marker: str | None


SPACES = ("perm", "temp")
"""The kinds of spaces of an algorithm."""


class AlgorithmSpace(NamedTuple):
    """The directory for the files of one account with an algorithm; `kind` is `temp` or `perm`."""

    owner: str
    name: str
    kind: str
    user: str
    directory: str


class Received(Protocol):
    """A completely received file, until it has its name. `md5` is in hexadecimal digits, `size` in bytes."""

    size: int
    md5: str


class Objects(Protocol):
    """Files in directories. Every method may be called from several threads, and by several processes, at once.

    A file appears with its whole content or not at all, and replaces an older one atomically. A method sees all changes
    that any process completed before its call. All methods raise StorageUnavailable if the disk or the store fails;
    then nothing has changed, or a repetition completes the change.
    """

    hashed_again: int
    """Maximum size, in bytes, of a file that is hashed again instead of looking up its digest."""

    keeps_empty: bool
    """Whether a directory exists by itself, so that `place` notices that it was removed, and `remove_empty` that a file
    came meanwhile. Elsewhere, the identity of a file may stay the same if it is replaced by the same content."""

    def now(self) -> float:
        """Seconds since the epoch, by the clock that dates files, which may differ from this machine's."""

    def check(self) -> None:
        """Check that it can be used. Raises StorageUnavailable; ConfigError if it belongs to another platform."""

    def collection(self, owner: str, name: str, identifier: str) -> str:
        """The directory of a collection; a collection created again under the same name has another identifier."""

    def algorithm_space(self, owner: str, name: str, kind: str, user: str) -> str:
        """The directory for the files of one account with an algorithm; `kind` is `temp` or `perm`."""

    def algorithm_data(self, owner: str, name: str) -> str:
        """The directory above all `algorithm_space` of an algorithm, for `exists`, `size`, `set_aside`, `discard`."""

    def session_space(self, session: str) -> str:
        """The directory of a session."""

    def relative(self, directory: str, name: str | None = None) -> str:
        """The path under which a directory, or a file in it, is known in the database. Raises RequestRefused."""

    def page(self, directory: str, after: str | None, limit: int) -> Listing:
        """A page of files in a fixed order, after the name `after`; empty if the directory does not exist.

        The order is that of names, except for characters that `names.encode_file_name` escapes. A file that exists
        throughout is in a sequence of pages exactly once.
        """

    def names(self, directory: str) -> list[str]:
        """The names of all files in a directory, in the order of `page`; none if it does not exist."""

    def info(self, directory: str, name: str) -> FileInfo | None:
        """A file's attributes; None if it does not exist."""

    def open(self, directory: str, name: str, *, whole: bool = True) -> tuple[BinaryIO | bytes, FileInfo] | None:
        """An unbuffered file, or its content up to `IN_MEMORY` bytes, with its attributes; None if it does not exist.

        If the file is replaced or deleted meanwhile, reading continues with the old content, or fails. Unless `whole`,
        the caller wants only parts of it, or none.
        """

    def receive(
        self, read: Read, length: int | None = None, md5: str | None = None
    ) -> AbstractContextManager[Received]:
        """Receive a file of any size with constant memory; `place` gives it its name, otherwise it is discarded.

        `length` in bytes and `md5` in hexadecimal digits are as announced by the sender.

        Raises:
            RequestRefused: if the content does not match the announcement.
        """

    def place(
        self,
        received: Received,
        directory: str,
        name: str,
        modified: float | None = None,
        *,
        replaces: str | None = None,
    ) -> FileInfo:
        """Give a received file its name, replacing an older one.

        `modified` is its modification time in seconds since the epoch, where times can be set; by default now.

        With `replaces`, the file is placed only if the existing one has this identity; empty for no existing file. The
        comparison is atomic with the replacement: of several concurrent writers exactly one succeeds.

        Raises:
            ConditionFailed: if the file has another identity, exists, or does not exist any more.
            RequestRefused: if the store cannot replace on a condition.
            NotFoundError: if the directory does not exist (any more), where `keeps_empty`.
        """

    def make(self, directory: str) -> None:
        """Create a directory and its parents, if missing."""

    def exists(self, directory: str) -> bool:
        """Whether a directory exists, or has a file."""

    def size(self, directory: str) -> int:
        """The bytes that the files of a directory take."""

    def remove(self, directory: str, name: str) -> bool:
        """Delete a file; whether there was one."""

    def clear(self, directory: str) -> int:
        """Delete the files of a directory, one after the other; return their number."""

    def remove_empty(self, directory: str) -> bool:
        """Delete a directory without files; False, and nothing changed, if it has some."""

    def set_aside(self, directory: str) -> str:
        """Move a directory away, or mark it for deletion; `discard` with the result deletes it.

        If this process ends before that, another one deletes it, unless it is a collection that still exists.
        """

    def discard(self, directory: str) -> int:
        """Delete a directory with its content; return the number of files."""

    def forget_older(self, directory: str, seconds: float, name: str | None = None) -> None:
        """Delete the files of a directory, or only `name`, that were written more than `seconds` ago."""

    def algorithm_spaces(self) -> Iterator[AlgorithmSpace]:
        """The spaces of all algorithms that exist, in the order of their algorithms."""

    def leftovers(self) -> Iterator[tuple[str, int]]:
        """Leftovers of ended processes, and expired files: names for `remove_leftover`, and bytes."""

    def remove_leftover(self, name: str) -> bool:
        """Delete a leftover; False if it is in use, or is gone."""
