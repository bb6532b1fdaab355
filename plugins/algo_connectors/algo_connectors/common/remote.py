"""The common base of all stores: files are read in ranges and written in parts, concurrently, in constant memory.

A store adds how to fetch one range, how to send one part, and its directories.
"""

from __future__ import annotations

import abc
from concurrent.futures import Executor
from functools import cached_property

from algo_connectors.common.allowance import Allowance
from algo_connectors.common.codes import MissingBucket
from algo_connectors.common.errors import Changed, store_errors
from algo_connectors.common.reading import RangeReader, fetched
from algo_connectors.common.writing import Condition, OnCondition, Upload, send
from algo_core.errors import AlgoError, AlreadyExists, NotFoundError, RequestRefused, UsageError
from algo_core.storage.contract import Entry, IsADirectory, Kind, Reader, Source, Storage, VersionChanged
from algo_core.storage.uri import DataUri, is_only_key, pasted

PARALLEL = 4
"""Number of concurrent ranges or parts of one file."""

HELD = 128 << 20
"""Bytes of all files together that are read in advance, and the same for writing."""


class RemoteStorage(Storage):
    """Files of a store behind a connection that may break.

    Subclasses implement `fetch`, `put` and `begin` for files, and the methods of `Storage` for directories.
    `store_errors` translates their exceptions, here or there.
    """

    part_size = 8 << 20
    """Size of a part in bytes, and maximum size of a file that is sent in one request."""

    parallel = PARALLEL

    @abc.abstractmethod
    def fetch(self, uri: DataUri, start: int, stop: int, version: str | None) -> tuple[Entry, bytes | bytearray]:
        """The bytes of a file from `start` up to `stop` or its end, and the entry of the whole file.

        Raises:
            Changed: if `version` is given and the file has changed.
            Unsatisfiable: if there are no bytes at `start`.
        """

    @abc.abstractmethod
    def put(self, uri: DataUri, content: bytes) -> Entry:
        """Create or replace a file in one request."""

    @abc.abstractmethod
    def begin(self, uri: DataUri, size: int | None) -> Upload:
        """Begin a file that needs several requests; it is invisible until it is finished."""

    def open(self, uri: DataUri, offset: int = 0, *, version: str | None = None) -> Reader:
        """One request for the first block; further ones are fetched in advance."""
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
        return (entry, bytes(content)) if entry.size == len(content) <= limit else None

    def write_small(self, uri: DataUri, content: bytes) -> Entry:
        """One request."""
        self.check_file(uri)
        with store_errors(uri):
            entry = self.put(uri, content)
            self.check_written(uri)
            return entry

    def write(self, uri: DataUri, source: Source, size: int | None = None) -> Entry:
        """One request if it fits into a part, else concurrent parts."""
        self.check_file(uri)
        with store_errors(uri):
            entry = send(self, uri, source, size)
            self.check_written(uri)
            return entry

    def check_source(self, uri: DataUri) -> None:
        """Raise if a path cannot be a file to read."""
        if uri.names_directory:
            raise IsADirectory(f"{uri} is a directory")

    def check_written(self, uri: DataUri) -> None:
        """Raise if the file was written to another path."""

    def check_file(self, uri: DataUri) -> None:
        """Raise if a path cannot be a file to write."""
        if uri.names_directory:
            raise IsADirectory(f"{uri} is a directory", "Name the file in it")

    @cached_property
    def readable(self) -> Allowance:
        """The memory allowance of files that are read."""
        return Allowance(HELD)

    @cached_property
    def writable(self) -> Allowance:
        """The memory allowance of files that are written."""
        return Allowance(HELD)

    @cached_property
    def pool(self) -> Executor:
        """Threads for ranges and parts; shared by all files of this storage."""
        from concurrent.futures import ThreadPoolExecutor

        return ThreadPoolExecutor(4 * self.parallel, "algo-connector")


class VersionedStorage(RemoteStorage):
    """A store whose ranges belong to one version: parts can be read concurrently, and files written on a condition."""

    @abc.abstractmethod
    def put(self, uri: DataUri, content: bytes, condition: Condition | None = None) -> Entry:
        """Create or replace a file in one request. Raises Changed, or AlreadyExists, if the condition does not hold."""

    @abc.abstractmethod
    def begin(self, uri: DataUri, size: int | None, condition: Condition | None = None) -> Upload:
        """Begin a file that needs several requests; its end raises what `put` raises."""

    def check_conditions(self, uri: DataUri, condition: Condition, *, in_parts: bool) -> None:
        """Raise ConditionsIgnored if the store does not compare this kind of condition."""

    def write_if(self, uri: DataUri, source: Source, size: int | None = None, *, version: str | None) -> Entry:
        """The requests of `write`, with the condition in the one that makes the file visible (`ConditionalStorage`)."""
        self.check_file(uri)
        condition = Condition(version)
        with store_errors(uri):
            self.check_conditions(uri, condition, in_parts=size is None or size >= self.part_size)
        try:
            with store_errors(uri):
                entry = send(OnCondition(self, condition), uri, source, size)
                self.check_written(uri)
                return entry
        except MissingBucket:
            raise
        except (Changed, AlreadyExists, NotFoundError) as error:
            raise unmet(uri, version, error) from None

    def open_part(self, uri: DataUri, offset: int, length: int, version: str) -> Reader:
        """Ranges one after the other, so that each part is one connection (`RangedStorage`)."""
        return self._open(uri, offset, version, stop=offset + length)


def unmet(uri: DataUri, version: str | None, error: AlgoError) -> AlgoError:
    """The error of a condition that does not hold; any other one as it is."""
    if version is not None:
        return VersionChanged(f"{uri} was changed, or removed, meanwhile", "Look at it again, and repeat the change")
    return error if isinstance(error, NotFoundError) else AlreadyExists(f"{uri} exists already")


def components(uri: DataUri) -> list[str]:
    """The components of a path in a store whose paths are not keys.

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
