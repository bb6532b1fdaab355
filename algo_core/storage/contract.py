"""The storage contract: what commands can read, write, list and remove.

Hosted data, the local file system and each connector implement `Storage`; no command knows more of them than this.
Paths are those of `algo_core.storage.uri.DataUri.path`.
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
    """A file was meant, and a directory stands there."""


class NotADirectory(AlgoError):
    """A directory was meant, and a file stands there; `entry` is what is known of it, where something is."""

    def __init__(self, message: str, hint: str | None = None, *, entry: Entry | None = None) -> None:
        super().__init__(message, hint)
        self.entry = entry


class IncompleteListing(AlgoError):
    """Entries of a directory that are there and could not be looked at; a listing gives all others before it ends so.

    `names` are theirs. The exit code is that of the first.
    """

    def __init__(self, directory: DataUri, failed: Mapping[str, AlgoError]) -> None:
        first, rest = next(iter(failed.values())), [str(directory.child(name)) for name in failed][1:]
        told = ", ".join(rest[:NAMED]) + (f" and {len(rest) - NAMED} more" if len(rest) > NAMED else "")
        also = f"; the same goes for {told}" if rest else ""
        super().__init__(f"{directory} cannot be listed completely: {first.message}{also}", first.hint)
        self.exit_code = first.exit_code
        self.names = frozenset(failed)


NAMED = 5
"""How many further names the message of an incomplete listing tells."""


class SizeMismatch(AlgoError):
    """A source gave more or fewer bytes than it had announced."""

    def __init__(self, seen: int, size: int) -> None:
        what = "grew" if seen > size else f"ended after {seen} of {size} bytes"
        super().__init__(f"The source {what} while it was read", "Copy it again when nothing writes to it any more")


class Reader(Protocol):
    """A file that is being read, and what is known of it.

    `entry` describes the whole file as it was when it was opened. `offset` is where in it the first byte stands that
    this reader gives: where it was asked to start, or 0 if the storage could not, or might have mixed two versions.
    """

    entry: Entry
    offset: int

    def readinto(self, buffer: bytearray | memoryview, /) -> int:
        """Fill the buffer from the file, as far as bytes are at hand; their number, 0 at the end of the file.

        Raises:
            NetworkError: if the connection breaks, or ends before the file does.
            AlgoError: at the end, if the file was changed while it was read.
        """

    def close(self) -> None:
        """Let go of the file or connection."""


class Source(Protocol):
    """What a file is written from: the part of `io.RawIOBase` and of files opened for reading that a storage needs."""

    def readinto(self, buffer: bytearray | memoryview, /) -> int | None:
        """Fill the buffer; the number of bytes, 0 at the end."""

    def seekable(self) -> bool:
        """Whether `tell` and `seek` work, so that a transfer can be tried again."""

    def tell(self) -> int:
        """The position of the next byte."""

    def seek(self, offset: int, whence: int = 0, /) -> int:
        """Go back to a position that `tell` gave."""


class Storage(abc.ABC):
    """Files and directories behind one scheme.

    Every method raises `NotFoundError` for a path that is not there, and for nothing else: what could not be looked at
    is not absent. It raises `PermissionDenied` where the caller may not, `RequestRefused` or `AlreadyExists` where the
    storage does not allow it, `IsADirectory` or `NotADirectory` where the other kind stands, and `NetworkError` or
    `PlatformError` when the other side fails. All methods may be called from several threads at once.
    `algo_core.testing.storage.StorageContract` tests all of this for any storage.
    What a storage may be able to do beyond this stands in `algo_core.storage.capabilities`.
    """

    has_folders: bool = True
    """Whether a directory can hold directories; hosted collections cannot (API section 4.2)."""

    needs_directories: bool = True
    """Whether a directory must be made before a file can be in it; object stores have prefixes instead, so that a tree
    is copied into them without a request for each directory."""

    paths_are_keys: bool = False
    """Whether a path is the key of an object, of which every character counts: `a//b`, `a/./b` and `a/` are others than
    `a/b` and `a`. Where it is none, such paths mean nothing, and no file gets one."""

    @abc.abstractmethod
    def stat(self, uri: DataUri) -> Entry:
        """What stands at a path.

        A key with a slash at its end is a file only where nothing else begins with it, and where it is not empty, as
        the mark of a directory is.
        """

    @abc.abstractmethod
    def list(self, uri: DataUri) -> Iterator[Entry]:
        """The entries of a directory, directories first, while they arrive.

        The first ones are given before the last ones are known, unless the storage has no pages at all. What there is
        to raise is raised when iteration starts: NotFoundError, NotADirectory (with the file's entry if it is known
        without asking again). Entries that could not be looked at are raised when all others have been given.

        A directory's URI has no slash at its end unless its name is empty (`DataUri.subdirectory`). A file whose key is
        that of the directory with a slash behind it has no name.

        Raises:
            IncompleteListing: at the end, if entries that are there could not be looked at.
        """

    def scan(self, uri: DataUri) -> Iterator[Entry]:
        """What `list` gives, in whatever order costs least, for trees and directories of any length.

        A storage overrides it that has to collect a directory before it can sort it. Where a directory could be reached
        on several ways (links), the `version` of its entry tells that it is the same one.
        """
        return self.list(uri)

    def names(self, uri: DataUri) -> Iterator[builtins.list[str]]:
        """Only the names that `list` gives, some at a time, those of directories with a slash at their end.

        A storage overrides it that can give a page of them for less than that many entries.
        """
        for entry in self.list(uri):
            yield [f"{entry.name}/" if entry.is_directory else entry.name]

    @abc.abstractmethod
    def open(self, uri: DataUri, offset: int = 0, *, version: str | None = None) -> Reader:
        """Open a file for reading from a byte offset.

        With `version` (an `Entry.version`) the reader starts at `offset` only if the content is still that one, and
        otherwise at the beginning; `Reader.offset` and `Reader.entry` say what happened. Beyond the end there is
        nothing to read: the reader is at its end at once, or RequestRefused is raised. A reader whose file is replaced
        or removed goes on with the old content, or raises an AlgoError.
        """

    @abc.abstractmethod
    def write(self, uri: DataUri, source: Source, size: int | None = None) -> Entry:
        """Make or replace a file with what `source` gives from its position; it appears whole or not at all.

        `size` is the number of bytes to come where it is known. A seekable source is read again from that position
        when the storage tries again. The last bytes are handed on only after the source has said that it is at its
        end, so that a source can still refuse then. What is returned has a `checksum` only if the storage itself has
        computed it of what it stored: it is compared with what was sent.

        Raises:
            SizeMismatch: if `source` gives more or fewer bytes than `size`.
            AlgoError: whatever the source raises.
        """

    def read_small(self, uri: DataUri, limit: int) -> tuple[Entry, bytes] | None:
        """A file of at most `limit` bytes at once: what is known of it, and its content, whose length was compared.

        For thousands of small files, where each step beside the exchange itself counts. None where the file is larger,
        broke off on the way, changed meanwhile, or cannot be had like this: then it is read with `open`. For a
        directory None or IsADirectory, as it comes.
        """
        return None

    def write_small(self, uri: DataUri, content: bytes) -> Entry:
        """Make or replace a file with content that is at hand; for the rest as `write`."""
        return self.write(uri, io.BytesIO(content), len(content))

    @abc.abstractmethod
    def mkdir(self, uri: DataUri) -> None:
        """Make a directory in an existing one. Raises AlreadyExists, or NotFoundError without that one."""

    @abc.abstractmethod
    def rmdir(self, uri: DataUri, *, force: bool = False) -> int:
        """Remove a directory, with all that is in it if `force`; the number of files removed with it.

        Raises NotADirectory for a file, which stays, and RequestRefused if it is not empty.
        """

    @abc.abstractmethod
    def remove(self, uri: DataUri) -> None:
        """Remove a file. Raises IsADirectory for a directory, which stays, empty or not."""

    def can_hold_directories(self, uri: DataUri) -> bool:
        """Whether directories can be made in this directory, so that a copied tree can be refused beforehand."""
        return self.has_folders

    def can_hold_files(self, uri: DataUri) -> bool:
        """Whether files can be in this directory: only collections hold them in an account (API section 4.2)."""
        return True

    def exists(self, uri: DataUri) -> Entry | None:
        """What stands at a path, or None."""
        try:
            return self.stat(uri)
        except NotFoundError:
            return None

    def is_link(self, uri: DataUri) -> bool:
        """Whether a link stands there; what it leads to is neither moved nor removed with it."""
        return False

    def is_same(self, one: DataUri, other: DataUri) -> bool:
        """Whether two URIs of this storage mean the same place, so that copying one to the other would be senseless."""
        if self.paths_are_keys:
            return one.path.removesuffix("/") == other.path.removesuffix("/")
        return [p for p in one.path.split("/") if p] == [p for p in other.path.split("/") if p]
