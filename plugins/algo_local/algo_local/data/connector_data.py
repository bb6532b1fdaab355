"""The data behind a connector: checks its path restriction and `writable` flag before any access to the store."""

from __future__ import annotations

from collections.abc import Iterator
from fnmatch import fnmatchcase

from algo_core.errors import PermissionDenied, RequestRefused
from algo_core.storage.contract import Entry, NotADirectory, Reader, Source, Storage
from algo_core.storage.uri import DataUri, is_only_key
from algo_local.data.connectors import AccountConnector


class ConnectedData:
    """The operations on a connector's data (API section 4.2); paths are used as written.

    All raise the storage's errors, and PermissionDenied outside the restriction, or for writing without the flag.
    `name` is the caller's name of the connector, used in its URIs.
    """

    def __init__(self, connector: AccountConnector, name: str, storage: Storage) -> None:
        self.connector = connector
        self._storage = storage
        self._scheme, _, self._label = name.partition("+")

    def uri(self, path: str) -> DataUri:
        """The URI of a path, as the caller writes it."""
        return DataUri(self._scheme, path, self._label or None)

    def stat(self, path: str) -> Entry:
        """The entry of a path."""
        return self._storage.stat(self._readable(path))

    def list(self, path: str) -> Iterator[Entry]:
        """The entries of a directory, as far as they are within the restriction."""
        for entry in self._storage.list(self._readable(path)):
            if self._is_within(entry.uri.path):
                yield entry

    def open(self, path: str, offset: int = 0, *, version: str | None = None) -> Reader:
        """Open a file for reading."""
        return self._storage.open(self._readable(path), offset, version=version)

    def write(self, path: str, source: Source, size: int | None) -> DataUri:
        """Write or replace a file; returns its URI."""
        uri = self._writable(path)
        self._storage.write(uri, source, size)
        return uri

    def mkdir(self, path: str) -> DataUri:
        """Create a directory; returns its URI."""
        uri = self._writable(path)
        self._storage.mkdir(uri)
        return uri

    def delete(self, path: str, *, force: bool) -> int:
        """Delete a file, or a directory if it is empty or `force` is set; returns the number of deleted files."""
        uri = self._writable(path)
        try:
            if force and not self._holds_all_below(uri.path) and self._storage.stat(uri).is_directory:
                raise PermissionDenied(f"{uri} may contain data outside the connector's path: {self.connector.path}")
            return self._storage.rmdir(uri, force=force)
        except NotADirectory:
            self._storage.remove(uri)
            return 1

    def remove(self, path: str) -> int:
        """Delete a file, whose key may have a trailing slash; return the number of deleted files."""
        self._storage.remove(self._writable(path))
        return 1

    def _readable(self, path: str) -> DataUri:
        # The restriction is checked on the path as written: the store must not read it as another path.
        if not self._storage.paths_are_keys:
            path = path.removeprefix("/")
            if path and is_only_key(path.removesuffix("/")):
                raise RequestRefused("Empty components, '.' and '..' are not allowed in this data URI")
        uri = self.uri(path)
        if not self._is_within(uri.path):
            raise PermissionDenied(f"{uri} is outside the connector's path: {self.connector.path}")
        return uri

    def _writable(self, path: str) -> DataUri:
        if not self.connector.writable:
            raise PermissionDenied(f"The connector {self.connector.name} is read-only")
        if not path:
            raise RequestRefused(f"{self.uri(path)} itself cannot be changed")
        return self._readable(path)

    def _is_within(self, path: str) -> bool:
        """`dir/*` holds what is in `dir`, and `dir` itself."""
        pattern = self.connector.path.lstrip("/")
        return fnmatchcase(path, pattern) or fnmatchcase(f"{path}/", pattern)

    def _holds_all_below(self, path: str) -> bool:
        return self.connector.path.endswith("*") and self._is_within(path)
