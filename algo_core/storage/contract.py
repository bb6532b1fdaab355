"""The storage contract: the interface of everything that commands read, write, list and remove.

Hosted data, the local file system and each connector implement `Storage`; commands use nothing else of them. Paths are
those of `algo_core.storage.uri.DataUri.path`.
"""

from __future__ import annotations

import abc
import builtins
import enum
import io
from collections.abc import Iterator, Mapping
from datetime import datetime
from typing import NamedTuple, Protocol

from algo_core.errors import AlgoError, NotFoundError
from algo_core.storage.uri import DataUri


class Kind(enum.Enum):
    """What an entry is."""

    FILE = "file"
    DIRECTORY = "directory"


class Checksum(NamedTuple):
    """A digest of a whole file's content, in lower-case hexadecimal digits; `algorithm` as `hashlib` names it."""

    algorithm: str
    digest: str


class Entry(NamedTuple):
    """A file or a directory. `name` is its last component; `size` is in bytes, `modified` in UTC, where known.

    `version` is a text that changes whenever the content does (an ETag), where the storage has one.
    """

    uri: DataUri
    kind: Kind
    size: int | None = None
    modified: datetime | None = None
    checksum: Checksum | None = None
    version: str | None = None

    @property
    def name(self) -> str:
        """The last component of its path; empty for a file whose key ends in a slash."""
        return "" if self.kind is Kind.FILE and self.uri.path.endswith("/") else self.uri.name

    @property
    def is_directory(self) -> bool:
        """Whether it is a directory."""
        return self.kind is Kind.DIRECTORY


class IsADirectory(AlgoError):
    """The path is a directory where a file was expected."""


class NotADirectory(AlgoError):
    """The path is a file where a directory was expected; `entry` is the file's entry, if known."""

    def __init__(self, message: str, hint: str | None = None, *, entry: Entry | None = None) -> None:
        super().__init__(message, hint)
        self.entry = entry


class IncompleteListing(AlgoError):
    """Some entries of a directory could not be read; the listing yields all others before it raises this.

    `names` are the names of those entries. The exit code is that of the first failure.
    """

    def __init__(self, directory: DataUri, failed: Mapping[str, AlgoError]) -> None:
        first, rest = next(iter(failed.values())), [str(directory.child(name)) for name in failed][1:]
        told = ", ".join(rest[:NAMED]) + (f" and {len(rest) - NAMED} more" if len(rest) > NAMED else "")
        also = f"; likewise {told}" if rest else ""
        super().__init__(f"{directory} cannot be listed completely: {first.message}{also}", first.hint)
        self.exit_code = first.exit_code
        self.names = frozenset(failed)


NAMED = 5
"""How many further names the message of an incomplete listing contains."""


class VersionChanged(AlgoError):
    """The file is not, or no longer, of the version that was asked for."""


class SizeMismatch(AlgoError):
    """A source returned more or fewer bytes than announced."""

    def __init__(self, seen: int, size: int) -> None:
        what = "grew" if seen > size else f"ended after {seen} of {size} bytes"
        super().__init__(f"The source {what} while it was read", "Copy it again when no other program writes to it")


class Reader(Protocol):
    """An open file and its entry.

    `entry` describes the whole file at the time of opening. `offset` is the position of the reader's first byte: the
    requested one, or 0 if the storage cannot start there, or might have mixed two versions.
    """

    entry: Entry
    offset: int

    def readinto(self, buffer: bytearray | memoryview, /) -> int:
        """Fill the buffer with the bytes at hand; return their number, 0 at the end of the file.

        Raises:
            NetworkError: if the connection breaks or ends too early.
            AlgoError: at the end, if the file was changed while it was read.
        """

    def close(self) -> None:
        """Release the file or the connection."""


class Source(Protocol):
    """The source of a written file: the part of `io.RawIOBase` that a storage needs."""

    def readinto(self, buffer: bytearray | memoryview, /) -> int | None:
        """Fill the buffer; return the number of bytes, 0 at the end."""

    def seekable(self) -> bool:
        """Whether `tell` and `seek` work, so that a transfer can be retried."""

    def tell(self) -> int:
        """The position of the next byte."""

    def seek(self, offset: int, whence: int = 0, /) -> int:
        """Go back to a position that `tell` gave."""


class Storage(abc.ABC):
    """Files and directories behind one scheme.

    Every method raises `NotFoundError` for a path that does not exist, and only then: an unreadable path is not absent.
    It raises `PermissionDenied` if the caller lacks the right, `RequestRefused` or `AlreadyExists` if the storage does
    not allow it, `IsADirectory` or `NotADirectory` for the other kind, and `NetworkError` or `PlatformError` if the
    server fails. All methods may be called from several threads at once. `algo_core.testing.storage.StorageContract`
    tests all of this for any storage. Optional abilities are defined in `algo_core.storage.capabilities`.
    """

    has_folders: bool = True
    """Whether a directory can hold directories; hosted collections cannot (API section 4.2)."""

    needs_directories: bool = True
    """Whether a directory must be made before files can be written to it. Object stores have prefixes instead, so a
    tree is copied into them without a request per directory."""

    connections: int = 1
    """Over how many connections the download of a large file begins, before it is measured whether more would help.
    More than one says that ranges of a file can always be read (`algo_core.storage.capabilities.RangedStorage`)."""

    paths_are_keys: bool = False
    """Whether a path is an object's key, in which every character counts: `a//b`, `a/./b` and `a/` differ from `a/b`
    and `a`. Elsewhere such paths are invalid."""

    @abc.abstractmethod
    def stat(self, uri: DataUri) -> Entry:
        """The entry of a path.

        A key with a trailing slash is a file only if no other key begins with it and it is not empty, as a directory
        marker is.
        """

    @abc.abstractmethod
    def list(self, uri: DataUri) -> Iterator[Entry]:
        """The entries of a directory as they arrive, directories first.

        The first entries are yielded before the last ones are known, unless the storage has no pages. Errors are raised
        when iteration starts: NotFoundError, NotADirectory (with the file's entry if it is known without another
        request). Unreadable entries are reported after all others.

        A directory's URI has no trailing slash unless its name is empty (`DataUri.subdirectory`). A file whose key is
        the directory's key and a slash has an empty name.

        Raises:
            IncompleteListing: at the end, if some entries could not be read.
        """

    def scan(self, uri: DataUri) -> Iterator[Entry]:
        """The entries of `list` in the cheapest order, for trees and directories of any length.

        A storage that must collect a directory to sort it overrides this. Where links lead to a directory in several
        ways, the `version` of its entry identifies it.
        """
        return self.list(uri)

    def names(self, uri: DataUri) -> Iterator[builtins.list[str]]:
        """Only the names of `list`, in pages; names of directories have a trailing slash.

        A storage that can list names more cheaply than entries overrides this.
        """
        for entry in self.list(uri):
            yield [f"{entry.name}/" if entry.is_directory else entry.name]

    @abc.abstractmethod
    def open(self, uri: DataUri, offset: int = 0, *, version: str | None = None) -> Reader:
        """Open a file for reading from a byte offset.

        With `version` (an `Entry.version`) the reader starts at `offset` only if the content is still that one, and
        otherwise at the beginning; `Reader.offset` and `Reader.entry` say what happened. At an offset beyond the end,
        the reader is at its end at once, or RequestRefused is raised. A reader whose file is replaced or removed
        continues with the old content, or raises an AlgoError.
        """

    @abc.abstractmethod
    def write(self, uri: DataUri, source: Source, size: int | None = None) -> Entry:
        """Create or replace a file with the content of `source` from its position, atomically.

        `size` is the number of bytes, if known. A seekable source is read again from its position on a retry. The last
        bytes are passed on only after the source has reported its end, so that it can still fail. The returned entry
        has a `checksum` only if the storage computed it from the stored content: it is compared with the sent content.

        Raises:
            SizeMismatch: if `source` gives more or fewer bytes than `size`.
            AlgoError: whatever the source raises.
        """

    def read_small(self, uri: DataUri, limit: int) -> tuple[Entry, bytes] | None:
        """Read a file of at most `limit` bytes in one step: its entry and its content, with checked length.

        For thousands of small files, where every step counts. None if the file is larger, was cut off, changed in the
        meantime, or cannot be read like this: then it is read with `open`. For a directory, None or IsADirectory.
        """
        return None

    def write_small(self, uri: DataUri, content: bytes) -> Entry:
        """Create or replace a file with content in memory; otherwise like `write`."""
        return self.write(uri, io.BytesIO(content), len(content))

    @abc.abstractmethod
    def mkdir(self, uri: DataUri) -> None:
        """Make a directory in an existing one. Raises AlreadyExists, or NotFoundError without that one."""

    @abc.abstractmethod
    def rmdir(self, uri: DataUri, *, force: bool = False) -> int:
        """Remove a directory, with its content if `force`; return the number of removed files.

        Raises NotADirectory for a file, which stays, and RequestRefused if it is not empty.
        """

    @abc.abstractmethod
    def remove(self, uri: DataUri) -> None:
        """Remove a file. Raises IsADirectory for a directory, which stays, empty or not."""

    def can_hold_directories(self, uri: DataUri) -> bool:
        """Whether this directory can hold directories, so that copying a tree can be refused in advance."""
        return self.has_folders

    def can_hold_files(self, uri: DataUri) -> bool:
        """Whether this directory can hold files: in an account, only collections can (API section 4.2)."""
        return True

    def exists(self, uri: DataUri) -> Entry | None:
        """The entry of a path, or None."""
        try:
            return self.stat(uri)
        except NotFoundError:
            return None

    def is_link(self, uri: DataUri) -> bool:
        """Whether the path is a link; its target is neither moved nor removed with it."""
        return False

    def is_same(self, one: DataUri, other: DataUri) -> bool:
        """Whether two URIs of this storage name the same file, so that copying one to the other is pointless."""
        if self.paths_are_keys:
            return one.path.removesuffix("/") == other.path.removesuffix("/")
        return [p for p in one.path.split("/") if p] == [p for p in other.path.split("/") if p]
