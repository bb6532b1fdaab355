"""What all stores have in common: files are read in ranges and written in parts, several at once, in constant memory.

A store adds how one range is fetched, how one part is sent, and what its directories are.
"""

from __future__ import annotations

import abc
from concurrent.futures import Executor
from functools import cached_property

from algo_connectors.common.allowance import Allowance
from algo_connectors.common.errors import Changed, store_errors
from algo_connectors.common.reading import RangeReader, fetched
from algo_connectors.common.writing import Upload, send
from algo_core.errors import RequestRefused, UsageError
from algo_core.storage.contract import Entry, IsADirectory, Kind, Reader, Source, Storage
from algo_core.storage.uri import DataUri, is_only_key, pasted

PARALLEL = 4
"""Ranges or parts of one file that are on their way at once."""

HELD = 128 << 20
"""Bytes of all files together that are read ahead, and as many that are written, whatever their number and sizes."""


class RemoteStorage(Storage):
    """Files of a store behind a connection that may break.

    Subclasses give `fetch`, `put` and `begin` for files, and the methods of `Storage` for directories. What those raise
    is turned into this project's errors by `store_errors`, here or there.
    """

    part_size = 8 << 20
    """Bytes of a part, and up to which a file is sent in one request."""

    parallel = PARALLEL

    @abc.abstractmethod
    def fetch(self, uri: DataUri, start: int, stop: int, version: str | None) -> tuple[Entry, bytes]:
        """The bytes of a file from `start` up to `stop` or its end, and what is known of the whole file.

        Raises:
            Changed: if `version` is given and the file is another one by now.
            Unsatisfiable: if there are no bytes behind `start`.
        """

    @abc.abstractmethod
    def put(self, uri: DataUri, content: bytes) -> Entry:
        """Make or replace a file that fits into one request."""

    @abc.abstractmethod
    def begin(self, uri: DataUri, size: int | None) -> Upload:
        """Begin a file that needs several requests; nobody sees it before it is finished."""

    def open(self, uri: DataUri, offset: int = 0, *, version: str | None = None) -> Reader:
        """One request for the first block; further ones are fetched ahead while it is read."""
        return self._open(uri, offset, version, ahead=max(1, self.parallel - 1))

    def _open(
        self, uri: DataUri, offset: int, version: str | None, *, stop: int | None = None, ahead: int = 0
    ) -> Reader:
        self.check_source(uri)
        try:
            reader = RangeReader(self, uri, offset, version=version, stop=stop, ahead=ahead)
        except Changed:
            return self.open(uri)
        if version and reader.entry.version != version:  # the store takes no condition
            reader.close()
            return self.open(uri)
        return reader

    def read_small(self, uri: DataUri, limit: int) -> tuple[Entry, bytes] | None:
        """One request."""
        if uri.names_directory or is_only_key(uri.path):
            return None
        try:
            entry, content = fetched(self, uri, 0, max(limit, 1), None)
        except IsADirectory:
            return None
        return (entry, content) if entry.size == len(content) <= limit else None

    def write_small(self, uri: DataUri, content: bytes) -> Entry:
        """One request."""
        self.check_file(uri)
        with store_errors(uri):
            entry = self.put(uri, content)
            self.check_written(uri)
            return entry

    def write(self, uri: DataUri, source: Source, size: int | None = None) -> Entry:
        """One request if it fits into a part, else parts, several at once."""
        self.check_file(uri)
        with store_errors(uri):
            entry = send(self, uri, source, size)
            self.check_written(uri)
            return entry

    def check_source(self, uri: DataUri) -> None:
        """Raise if a path cannot be that of a file to read."""
        if uri.names_directory:
            raise IsADirectory(f"{uri} is a directory")

    def check_written(self, uri: DataUri) -> None:
        """Raise if what was written stands under another path."""

    def check_file(self, uri: DataUri) -> None:
        """Raise if a path cannot be that of a file to write."""
        if uri.names_directory:
            raise IsADirectory(f"{uri} is a directory", "Name the file in it")

    @cached_property
    def readable(self) -> Allowance:
        """What may be held of files that are read."""
        return Allowance(HELD)

    @cached_property
    def writable(self) -> Allowance:
        """What may be held of files that are written."""
        return Allowance(HELD)

    @cached_property
    def pool(self) -> Executor:
        """Threads for what is fetched and sent ahead; shared by all files of this storage."""
        from concurrent.futures import ThreadPoolExecutor

        return ThreadPoolExecutor(4 * self.parallel, "algo-connector")


class VersionedStorage(RemoteStorage):
    """A store that gives a range of exactly one version, or says of which one it is: parts can be read at once."""

    def open_part(self, uri: DataUri, offset: int, length: int, version: str) -> Reader:
        """Ranges one after the other, so that each part is one connection (`RangedStorage`)."""
        return self._open(uri, offset, version, stop=offset + length)


def components(uri: DataUri) -> list[str]:
    """The components of a path where paths are no keys.

    Raises:
        UsageError: if one is empty, `.` or `..`, or not Unicode.
    """
    check_unicode(uri)
    path = uri.path.removeprefix("/").removesuffix("/")
    parts = path.split("/") if path else []
    if is_only_key(path) and path:
        raise UsageError(
            f"Empty components, '.' and '..' are not allowed in {uri.connector}://: {uri}", "Write the full path"
        )
    return parts


def check_unicode(uri: DataUri) -> None:
    """Raises UsageError if a path is not Unicode."""
    try:
        uri.path.encode("utf-8")
    except UnicodeEncodeError:
        raise UsageError(f"The name is not valid UTF-8: {uri.path!r}", "Give it another name") from None


def directory(uri: DataUri) -> Entry:
    """The entry of a directory."""
    return Entry(uri, Kind.DIRECTORY)


def not_empty(uri: DataUri) -> RequestRefused:
    """The error of removing a directory that holds something."""
    return RequestRefused(f"{uri} is not empty", f"Remove it with its content: algo rmdir -f {pasted(uri)}")
