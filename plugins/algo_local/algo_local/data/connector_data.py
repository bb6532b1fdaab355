"""The data behind a connector: its path restriction and its `writable` flag, before the store is asked for anything."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from fnmatch import fnmatchcase

from algo_core.errors import PermissionDenied, RequestRefused
from algo_core.storage.contract import Entry, NotADirectory, Reader, Source, Storage
from algo_core.storage.uri import DataUri
from algo_local.data.connectors import Connector


class ConnectedData:
    """The operations on what a connector leads to (API section 4.2); paths are given as their components.

    All raise what the storage raises, and PermissionDenied outside of the restriction and for writing without the flag.
    `name` is what the caller calls the connector, which its URIs keep.
    """

    def __init__(self, connector: Connector, name: str, storage: Storage) -> None:
        self.connector = connector
        self._storage = storage
        self._scheme, _, self._label = name.partition("+")

    def uri(self, path: Sequence[str]) -> DataUri:
        """The URI of a path, as the caller writes it."""
        return DataUri(self._scheme, "/".join(path), self._label or None)

    def stat(self, path: Sequence[str]) -> Entry:
        """What stands at a path."""
        return self._storage.stat(self._readable(path))

    def list(self, path: Sequence[str]) -> Iterator[Entry]:
        """The entries of a directory, as far as they are within the restriction."""
        for entry in self._storage.list(self._readable(path)):
            if self._is_within(entry.uri.path):
                yield entry

    def open(self, path: Sequence[str], offset: int = 0, *, version: str | None = None) -> Reader:
        """Open a file for reading."""
        return self._storage.open(self._readable(path), offset, version=version)

    def write(self, path: Sequence[str], source: Source, size: int | None) -> DataUri:
        """Make or replace a file; its URI."""
        uri = self._writable(path)
        self._storage.write(uri, source, size)
        return uri

    def mkdir(self, path: Sequence[str]) -> DataUri:
        """Make a directory; its URI."""
        uri = self._writable(path)
        self._storage.mkdir(uri)
        return uri

    def delete(self, path: Sequence[str], *, force: bool) -> int:
        """Delete a file, or a directory if it is empty or `force` is set; the number of files deleted."""
        uri = self._writable(path)
        try:
            if force and not self._holds_all_below(uri.path) and self._storage.stat(uri).is_directory:
                raise PermissionDenied(f"{uri} may hold what the connector is not to reach: {self.connector.path}")
            return self._storage.rmdir(uri, force=force)
        except NotADirectory:
            self._storage.remove(uri)
            return 1

    def _readable(self, path: Sequence[str]) -> DataUri:
        if "." in path or ".." in path:
            raise RequestRefused("'.' and '..' mean nothing in a data URI")
        uri = self.uri(path)
        if not self._is_within(uri.path):
            raise PermissionDenied(f"{uri} is outside of what the connector may reach: {self.connector.path}")
        return uri

    def _writable(self, path: Sequence[str]) -> DataUri:
        if not self.connector.writable:
            raise PermissionDenied(f"The connector {self.connector.name} is for reading only")
        if not path:
            raise RequestRefused(f"{self.uri(path)} itself cannot be changed")
        return self._readable(path)

    def _is_within(self, path: str) -> bool:
        """`dir/*` holds what is in `dir`, and `dir` itself."""
        pattern = self.connector.path.lstrip("/")
        return fnmatchcase(path, pattern) or fnmatchcase(f"{path}/", pattern)

    def _holds_all_below(self, path: str) -> bool:
        return self.connector.path.endswith("*") and self._is_within(path)
