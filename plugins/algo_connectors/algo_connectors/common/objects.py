"""Object stores: keys in buckets, and prefixes of keys as directories.

A directory is there if a key begins with its path and a slash. An empty one is an object of no bytes whose key is that
prefix itself; such objects are never shown as files.
"""

from __future__ import annotations

import abc
import itertools
from collections.abc import Iterable, Iterator, Sequence

from algo_connectors.common.errors import store_errors
from algo_connectors.common.remote import VersionedStorage, components, directory, not_empty
from algo_core.errors import AlgoError, AlreadyExists, NotFoundError, RequestRefused
from algo_core.storage.contract import Entry, IsADirectory, NotADirectory
from algo_core.storage.uri import DataUri, pasted

Names = tuple[list[str], list[tuple[str, Entry]]]
"""One page of a listing: the names of directories, and the keys of objects with their entries."""


class ObjectStorage(VersionedStorage):
    """The contract over an object store. `bucket` fixes the bucket, else it is the first component of a path."""

    needs_directories = False
    bucket_word = "bucket"
    bucket: str | None = None

    @abc.abstractmethod
    def head(self, uri: DataUri, bucket: str, key: str) -> Entry:
        """The entry of an object. Raises FileNotFoundError or NotFoundError."""

    @abc.abstractmethod
    def pages(
        self, uri: DataUri, bucket: str, prefix: str, *, deep: bool = False, limit: int = 1000
    ) -> Iterator[Names]:
        """The objects whose keys begin with `prefix`; unless `deep`, those with a further slash as directories.

        There is always a first page, empty if there is nothing. Raises FileNotFoundError if the bucket does not exist.
        """

    @abc.abstractmethod
    def buckets(self, uri: DataUri) -> Iterable[str]:
        """The names of all buckets."""

    @abc.abstractmethod
    def delete(self, bucket: str, keys: Sequence[str]) -> None:
        """Delete at most 1,000 objects; those that are not there do not matter."""

    def locate(self, uri: DataUri) -> tuple[str, str]:
        """Bucket and key of a path; either may be empty."""
        parts = components(uri)
        if self.bucket is not None:
            return self.bucket, "/".join(parts)
        return (parts[0], "/".join(parts[1:])) if parts else ("", "")

    def stat(self, uri: DataUri) -> Entry:
        """One request for a file, two for a directory."""
        with store_errors(uri):
            bucket, key = self.locate(uri)
            if not bucket:
                return directory(uri)
            if key and not uri.names_directory and (entry := self._head(uri, bucket, key)):
                return entry
            if self._is_directory(uri, bucket, key):
                return directory(uri)
            if uri.names_directory and key and (entry := self._head(uri, bucket, key)):
                raise NotADirectory(f"{uri} is a file", entry=entry)
        raise NotFoundError(f"There is no {uri}")

    def list(self, uri: DataUri) -> Iterator[Entry]:
        """One request for each 1,000 entries; directories before files within each of these pages."""
        with store_errors(uri):
            bucket, key = self.locate(uri)
            if not bucket:
                for name in sorted(self.buckets(uri)):
                    yield directory(uri.child(name))
                return
            prefix = f"{key}/" if key else ""
            pages = self.pages(uri, bucket, prefix)
            first = next(pages)
            if key and first == ([], []):
                if entry := self._head(uri, bucket, key):
                    raise NotADirectory(f"{uri} is a file", entry=entry)
                raise NotFoundError(f"There is no {uri}")
        rest = itertools.chain([first], pages)
        while True:
            with store_errors(uri):
                page = next(rest, None)
            if page is None:
                return
            folders, objects = page
            yield from (directory(uri.child(name)) for name in folders)
            yield from (entry for found, entry in objects if found != prefix)

    def mkdir(self, uri: DataUri) -> None:
        """An object of no bytes in the directory's place, since prefixes alone are no directories."""
        with store_errors(uri):
            bucket, key = self.locate(uri)
            if not key:
                if bucket and not self._is_directory(uri, bucket, ""):
                    raise RequestRefused(
                        f"{uri} cannot be made: it would be a {self.bucket_word}",
                        f"Make the {self.bucket_word} with the tools of the store",
                    )
                raise AlreadyExists(f"{uri} exists already")
            if self._is_directory(uri, bucket, key) or self._head(uri, bucket, key):
                raise AlreadyExists(f"{uri} exists already")
            self.put(DataUri(uri.scheme, uri.path.rstrip("/") + "/", uri.label), b"")

    def rmdir(self, uri: DataUri, *, force: bool = False) -> int:
        """One request to list, and one to delete, for each 1,000 objects below."""
        with store_errors(uri):
            if not self.stat(uri).is_directory:
                raise NotADirectory(f"{uri} is a file", f"Remove it with: algo rm {pasted(uri)}")
            bucket, key = self.locate(uri)
            if not key:
                raise RequestRefused(
                    f"{uri} is not removed", f"Remove a {self.bucket_word} with the tools of the store"
                )
            prefix = f"{key}/"
            if not force and any(found != prefix for found in self._keys(uri, bucket, prefix)):
                raise not_empty(uri)
            # The marks of directories go last, from below: some stores keep that of a directory that holds something.
            marks: list[str] = []
            count = 0
            keys = self._keys(uri, bucket, prefix)
            while some := list(itertools.islice(keys, 1000)):
                marks += [found for found in some if found.endswith("/")]
                files = [found for found in some if not found.endswith("/")]
                if files:
                    self.delete(bucket, files)
                count += len(files)
            for mark in reversed(marks):
                self.delete(bucket, [mark])
            return count

    def remove(self, uri: DataUri) -> None:
        """One request to see what stands there, since stores delete what is not there as well, and one to delete."""
        with store_errors(uri):
            if uri.names_directory or self.stat(uri).is_directory:
                raise IsADirectory(f"{uri} is a directory", f"Remove it with: algo rmdir {pasted(uri)}")
            bucket, key = self.locate(uri)
            self.delete(bucket, [key])

    def check_file(self, uri: DataUri) -> None:
        """Nothing can stand beside the buckets (API section 4.2)."""
        bucket, key = self.locate(uri)
        if bucket and not key and not uri.path.endswith("/"):
            raise RequestRefused(
                f"{uri} is no place for a file", f"Files go into a {self.bucket_word}: {uri.connector}://{bucket}/FILE"
            )
        super().check_file(uri)

    def missing(self, uri: DataUri) -> AlgoError:
        """The error for an object that is not there: it may be a directory."""
        bucket, key = self.locate(uri)
        if not key or self._is_directory(uri, bucket, key):
            return IsADirectory(f"{uri} is a directory")
        return NotFoundError(f"There is no {uri}")

    def _head(self, uri: DataUri, bucket: str, key: str) -> Entry | None:
        try:
            with store_errors(uri):
                return self.head(uri, bucket, key)
        except NotFoundError:
            return None

    def _is_directory(self, uri: DataUri, bucket: str, key: str) -> bool:
        try:
            with store_errors(uri):
                first = next(self.pages(uri, bucket, f"{key}/" if key else "", limit=1))
        except NotFoundError:
            return False
        return not key or first != ([], [])

    def _keys(self, uri: DataUri, bucket: str, prefix: str) -> Iterator[str]:
        for _, objects in self.pages(uri, bucket, prefix, deep=True):
            yield from (key for key, _ in objects)


def key_of(storage: ObjectStorage, uri: DataUri) -> tuple[str, str]:
    """Bucket and key to write to; the key of a directory keeps its slash, which makes it the directory's mark."""
    bucket, key = storage.locate(uri)
    return bucket, f"{key}/" if uri.path.endswith("/") else key


def child_of(uri: DataUri, prefix: str, key: str) -> DataUri:
    """The URI of a key in the listing of a directory."""
    return uri.child(key[len(prefix) :].rstrip("/"))
