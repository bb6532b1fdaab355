"""The storage contract: what `cp`, `ls`, `rm`, `mkdir` and `cat` can touch, and how a scheme finds its storage.

Hosted data, the local file system and each connector implement `Storage`; no command knows more of them than this.
Paths are those of `algo_core.uri.DataUri.path`.
"""

from __future__ import annotations

import abc
import enum
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING, BinaryIO, Protocol

from algo_core.errors import NotFoundError, UsageError
from algo_core.uri import DataUri

if TYPE_CHECKING:
    from algo_core.context import App


class Kind(enum.Enum):
    """What an entry is."""

    FILE = "file"
    DIRECTORY = "directory"


@dataclass(frozen=True)
class Checksum:
    """A digest of a whole file's content, in lower-case hexadecimal digits; `algorithm` as `hashlib` names it."""

    algorithm: str
    digest: str


@dataclass(frozen=True)
class Entry:
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
        """The last component of its path."""
        return self.uri.name

    @property
    def is_directory(self) -> bool:
        """Whether it is a directory."""
        return self.kind is Kind.DIRECTORY


class Reader(Protocol):
    """A file that is being read: the part of `io.RawIOBase` that transfers need, and what is known of the file."""

    entry: Entry

    def readinto(self, buffer: bytearray | memoryview, /) -> int:
        """Fill the buffer from the file; the number of bytes, 0 at its end. Raises NetworkError when cut short."""

    def read(self, size: int = -1, /) -> bytes:
        """Read at most `size` bytes, all that are left if it is negative."""

    def close(self) -> None:
        """Let go of the file or connection."""


class Storage(abc.ABC):
    """Files and directories behind one scheme.

    Every method raises `NotFoundError` for a path that is not there, `PermissionDenied` where the caller may not,
    `RequestRefused` or `AlreadyExists` where the storage does not allow it, and `NetworkError` or `PlatformError`
    when the other side fails. All methods may be called from several threads at once.
    """

    has_folders: bool = True
    """Whether a directory can hold directories; hosted collections cannot (API section 4.2)."""

    @abc.abstractmethod
    def stat(self, uri: DataUri) -> Entry:
        """What stands at a path."""

    @abc.abstractmethod
    def list(self, uri: DataUri) -> Iterator[Entry]:
        """The entries of a directory, directories first, while they arrive: never a whole listing in memory.

        Raises NotFoundError when iteration starts if there is no such directory.
        """

    @abc.abstractmethod
    def open(self, uri: DataUri, offset: int = 0) -> Reader:
        """Open a file for reading from a byte offset."""

    @abc.abstractmethod
    def write(self, uri: DataUri, source: BinaryIO, size: int | None = None) -> Entry:
        """Make or replace a file with what `source` gives; it appears whole or not at all.

        `size` is the number of bytes to come where it is known; fewer or more is an error. A seekable source is read
        again from its position when the transfer is tried again.
        """

    @abc.abstractmethod
    def mkdir(self, uri: DataUri) -> None:
        """Make a directory in an existing one. Raises AlreadyExists."""

    @abc.abstractmethod
    def rmdir(self, uri: DataUri, *, force: bool = False) -> int:
        """Remove a directory, with all that is in it if `force`; the number of files removed with it."""

    @abc.abstractmethod
    def remove(self, uri: DataUri) -> None:
        """Remove a file."""

    def exists(self, uri: DataUri) -> Entry | None:
        """What stands at a path, or None."""
        try:
            return self.stat(uri)
        except NotFoundError:
            return None


def open_storage(app: App, uri: DataUri) -> Storage:
    """Open the storage that a plugin has registered for a URI's scheme (the hook `algo_connectors`).

    Raises:
        UsageError: if there is none, or several plugins claim the scheme.
        PluginError: if the plugin's function cannot be loaded.
    """
    claims = [
        (record, target)
        for record in app.plugins.allowed
        for scheme, target, _, labels in record.connectors
        if scheme == uri.scheme and (labels or not uri.label)
    ]
    if not claims:
        known = sorted({row[0] for record in app.plugins.allowed for row in record.connectors})
        raise UsageError(
            f"Nothing here can open {uri.connector}://",
            f"Known are: {', '.join(f'{scheme}://' for scheme in known)}" if known else "Install algo-data",
        )
    if len(claims) > 1:
        names = ", ".join(record.dist for record, _ in claims)
        raise UsageError(f"Several plugins claim {uri.scheme}://: {names}", "algo plugins disable one of them")
    record, target = claims[0]
    storage: Storage = app.plugins.load_target(record, target)(app, uri)
    return storage
