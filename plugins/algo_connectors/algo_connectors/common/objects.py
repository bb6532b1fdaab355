"""Object stores: keys in buckets, and prefixes of keys as directories.

A directory exists if a key begins with its path and a slash. An empty directory is a marker: an empty object whose key
is that prefix itself; only such objects are not files. Keys are used as written: one with an empty component is in a
directory with an empty name, and a marker with content is a file with an empty name.
"""

from __future__ import annotations

import abc
import itertools
from collections.abc import Callable, Iterable, Iterator, Sequence

from algo_connectors.common.codes import MissingBucket
from algo_connectors.common.errors import Changed, store_errors
from algo_connectors.common.remote import VersionedStorage, check_unicode, directory, not_empty
from algo_core.errors import AlgoError, AlreadyExists, NotFoundError, PlatformError, RequestRefused, UsageError
from algo_core.storage.contract import Entry, IsADirectory, NotADirectory
from algo_core.storage.uri import NO_NAMES, DataUri, is_only_key, pasted

COPY_TRIES = 3
"""How often the store is asked to copy a file that changes; then it is read here, where reading notices changes."""

Names = tuple[list[str], list[tuple[str, Entry]]]
"""One page of a listing: the names of directories, and the keys of objects with their entries."""


class ObjectStorage(VersionedStorage):
    """The contract over an object store. `bucket` fixes the bucket, else it is the first component of a path."""

    needs_directories = False
    paths_are_keys = True
    bucket_word = "bucket"
    bucket: str | None = None

    @abc.abstractmethod
    def head(self, uri: DataUri, bucket: str, key: str) -> Entry:
        """The entry of an object. Raises FileNotFoundError or NotFoundError."""

    @abc.abstractmethod
    def pages(
        self, uri: DataUri, bucket: str, prefix: str, *, deep: bool = False, limit: int = 1000
    ) -> Iterator[Names]:
        """The objects whose keys begin with `prefix`; unless `deep`, keys with a further slash are grouped as
        directories.

        There is always a first page, which may be empty. Raises FileNotFoundError if the bucket does not exist.
        """

    @abc.abstractmethod
    def buckets(self, uri: DataUri) -> Iterable[str]:
        """The names of all buckets."""

    @abc.abstractmethod
    def copy(self, source: Entry, target: DataUri, advanced: Callable[[int], object]) -> Entry | None:
        """Have the store copy a file of this version; None if it cannot.

        Raises:
            Changed: if it is no longer this version.
        """

    @abc.abstractmethod
    def delete(self, bucket: str, keys: Sequence[str]) -> None:
        """Delete at most 1,000 objects; missing ones are ignored."""

    def locate(self, uri: DataUri) -> tuple[str, str]:
        """Bucket and key of a path, as written; either may be empty.

        Raises:
            UsageError: if it has a key and no bucket, or is not Unicode.
        """
        check_unicode(uri)
        if self.bucket is not None:
            return self.bucket, uri.path
        bucket, slash, key = uri.path.partition("/")
        if slash and not bucket:
            raise UsageError(
                f"{uri} names no {self.bucket_word}", f"Write {uri.connector}://{self.bucket_word.upper()}/KEY"
            )
        return bucket, key

    def stat(self, uri: DataUri) -> Entry:
        """One request for a file, two for a directory."""
        with store_errors(uri):
            bucket, key = self.locate(uri)
            if not bucket:
                return directory(uri)
            if not key:
                if self._is_directory(uri, bucket, key):
                    return directory(uri)
            elif not key.endswith("/"):
                if entry := self._file(uri, bucket, key):
                    return entry
                if self._is_directory(uri, bucket, key):
                    return directory(uri)
            elif found := self._named_by_slash(uri, bucket, key):
                return found
        raise NotFoundError(f"{uri} does not exist")

    def _named_by_slash(self, uri: DataUri, bucket: str, key: str) -> Entry | None:
        if not self._is_kept(uri, bucket, key, is_directory=True):
            return None
        folders, objects = next(self.pages(uri, bucket, key, limit=2))
        if not folders and [found for found, _ in objects] == [key] and objects[0][1].size:
            return objects[0][1]
        if folders or objects:
            return directory(uri)
        if entry := self._file(uri, bucket, key.removesuffix("/")):
            raise NotADirectory(f"{uri} is a file", entry=entry)
        return None

    def list(self, uri: DataUri) -> Iterator[Entry]:
        """One request for each 1,000 entries; directories before files within each of these pages."""
        with store_errors(uri):
            bucket, key = self.locate(uri)
            if not bucket:
                for name in sorted(self.buckets(uri)):
                    yield directory(uri.child(name))
                return
            prefix = prefix_of(key)
            if not self._is_kept(uri, bucket, key, is_directory=True):
                raise NotFoundError(f"{uri} does not exist")
            pages = self.pages(uri, bucket, prefix)
            first = next(pages)
            if key and first == ([], []):
                if entry := self._file(uri, bucket, key.removesuffix("/")):
                    raise NotADirectory(f"{uri} is a file", entry=entry)
                raise NotFoundError(f"{uri} does not exist")
        rest = itertools.chain([first], pages)
        while True:
            with store_errors(uri):
                page = next(rest, None)
            if page is None:
                return
            folders, objects = page
            yield from (directory(uri.subdirectory(name)) for name in folders)
            yield from (entry for found, entry in objects if found != prefix or entry.size)

    def mkdir(self, uri: DataUri) -> None:
        """An object of no bytes in the directory's place, since prefixes alone are no directories."""
        with store_errors(uri):
            bucket, key = self.locate(uri)
            if not key:
                if bucket and not self.exists(uri):
                    raise RequestRefused(
                        f"{uri} cannot be made: it would be a {self.bucket_word}",
                        f"Make the {self.bucket_word} with the store's own tools",
                    )
                raise AlreadyExists(f"{uri} exists already")
            if self._is_directory(uri, bucket, key) or self._file(uri, bucket, key.removesuffix("/")):
                raise AlreadyExists(f"{uri} exists already")
            mark = uri._replace(path=prefix_of(uri.path))
            self.put(mark, b"")
            self.check_written(mark)

    def rmdir(self, uri: DataUri, *, force: bool = False) -> int:
        """One request to list, and one to delete, for each 1,000 objects below."""
        with store_errors(uri):
            bucket, key = self.locate(uri)
            if not self.stat(uri).is_directory:
                raise NotADirectory(f"{uri} is a file", f"Remove it with: algo rm {pasted(uri)}")
            if not key:
                raise RequestRefused(
                    f"{uri} is not removed", f"Remove the {self.bucket_word} with the store's own tools"
                )
            prefix = prefix_of(key)
            if force:
                return self._delete_below(uri, bucket, prefix)
            # Its mark may go, and nothing else, whatever has come meanwhile.
            if any(found != prefix or size for found, size in self._keys(uri, bucket, prefix)):
                raise not_empty(uri)
            self.delete(bucket, [prefix])
            return 0

    def _delete_below(self, uri: DataUri, bucket: str, prefix: str) -> int:
        # The marks of directories go last, from below: some stores keep that of a directory that holds something.
        marks: list[str] = []
        count = 0
        keys = self._keys(uri, bucket, prefix)
        while some := list(itertools.islice(keys, 1000)):
            marks += [found for found, _ in some if found.endswith("/")]
            count += sum(1 for found, size in some if size or not found.endswith("/"))
            if files := [found for found, _ in some if not found.endswith("/")]:
                self.delete(bucket, files)
        for mark in reversed(marks):
            self.delete(bucket, [mark])
        return count

    def copy_within(
        self, source: DataUri, target: DataUri, entry: Entry | None, advanced: Callable[[int], object]
    ) -> Entry | None:
        """One request for a file that a listing has named, two for any other (`CopyingStorage`)."""
        return self.copied_by(source, target, entry, lambda found: self.copy(found, target, advanced))

    def copied_by(
        self, source: DataUri, target: DataUri, entry: Entry | None, copy: Callable[[Entry], Entry | None]
    ) -> Entry | None:
        """Have `copy` copy the version of a file that is there, and another one if that has changed meanwhile."""
        self.check_source(source)
        self.check_file(target)
        for _ in range(COPY_TRIES):
            if entry is None or entry.version is None or entry.size is None:
                entry = self._source(source)
            if entry.version is None:
                return None
            try:
                written = self._copy(entry, target, copy)
            except Changed:
                entry = None
                continue
            if written and written.size != entry.size:
                before, entry = entry, self._source(source)
                if entry.version != before.version:
                    continue  # some stores ignore the condition, and copy what there is now
                raise PlatformError(
                    f"{target} has {written.size} bytes, and {source} has {before.size}", "Copy it again"
                )
            return written
        return None

    def _source(self, uri: DataUri) -> Entry:
        with store_errors(uri):
            bucket, key = self.locate(uri)
            if not key or not (entry := self._head(uri, bucket, key)):
                raise self.missing(uri)
            return entry

    def _copy(self, source: Entry, target: DataUri, copy: Callable[[Entry], Entry | None]) -> Entry | None:
        try:
            with store_errors(target):
                written = copy(source)
                if written:
                    self.check_written(target)
                return written
        except NotFoundError:
            self._source(source.uri)  # else it is the source that is missing
            raise

    def remove(self, uri: DataUri) -> None:
        """One request to check that the file exists, since stores do not report missing objects, and one to delete."""
        with store_errors(uri):
            bucket, key = self.locate(uri)
            if not key or not self._file(uri, bucket, key):
                raise self.missing(uri)
            self.delete(bucket, [key])

    def check_source(self, uri: DataUri) -> None:
        """One request for a key that a store may normalize, or that may be a directory marker."""
        with store_errors(uri):
            bucket, key = self.locate(uri)
            if not key or (is_only_key(key) and not self._file(uri, bucket, key)):
                raise self.missing(uri)

    def check_file(self, uri: DataUri) -> None:
        """The root holds only buckets (API section 4.2)."""
        bucket, key = self.locate(uri)
        if bucket and not key and not uri.path.endswith("/"):
            raise RequestRefused(
                f"{uri} cannot hold a file", f"Files go into a {self.bucket_word}: {uri.connector}://{bucket}/FILE"
            )
        super().check_file(uri)
        if is_only_key(key) and self._head(uri, bucket, key) and not self._is_listed(uri, bucket, key):
            raise self._merged(uri)

    def check_written(self, uri: DataUri) -> None:
        """One request for a key that a store may have normalized."""
        bucket, key = self.locate(uri)
        if is_only_key(key) and not self._is_listed(uri, bucket, key):
            raise self._merged(uri)

    def _merged(self, uri: DataUri) -> AlgoError:
        message = f"This store cannot hold a file named {uri}: it normalizes the key"
        return RequestRefused(message, "Choose another name")

    def missing(self, uri: DataUri) -> AlgoError:
        """The error for a missing object: it may be a directory."""
        bucket, key = self.locate(uri)
        if not key or self._is_directory(uri, bucket, key):
            return IsADirectory(f"{uri} is a directory", f"Remove it with: algo rmdir {pasted(uri)}")
        return NotFoundError(f"{uri} does not exist")

    def _file(self, uri: DataUri, bucket: str, key: str) -> Entry | None:
        """The entry of exactly this key, unless it is a directory marker."""
        if not key:
            return None
        entry = self._head(uri, bucket, key)
        if entry is None or not is_only_key(key):
            return entry
        return entry if (entry.size or not key.endswith("/")) and self._is_listed(uri, bucket, key) else None

    def _is_listed(self, uri: DataUri, bucket: str, key: str) -> bool:
        """Whether a listing has exactly this key."""
        if not self._is_kept(uri, bucket, key):
            return False
        _, objects = next(self.pages(uri, bucket, key, deep=True, limit=1))
        return [found for found, _ in objects] == [key]

    def _is_kept(self, uri: DataUri, bucket: str, key: str, *, is_directory: bool = False) -> bool:
        """Whether a store keeps a key, and keys below it, as written; always true for keys that are valid paths.

        SeaweedFS, for example, normalizes `a//b` to `a/b`, also in listings by prefix; but its listing of `a/` never
        has a directory with an empty name.
        """
        parts = (key.removesuffix("/") if is_directory else key).split("/")
        index = next((index for index, part in enumerate(parts) if part in NO_NAMES), None)
        if index is None or not key:
            return True
        prefix, is_file = "".join(f"{part}/" for part in parts[:index]), not is_directory and index == len(parts) - 1
        wanted = prefix + parts[index] + ("" if is_file else "/")
        for folders, objects in self.pages(uri, bucket, prefix):
            found = {f"{prefix}{name}/" for name in folders} | {name for name, _ in objects}
            if wanted in found or any(name > wanted for name in found):
                return wanted in found
        return False

    def _head(self, uri: DataUri, bucket: str, key: str) -> Entry | None:
        try:
            with store_errors(uri):
                return self.head(uri, bucket, key)
        except NotFoundError:
            return None

    def _is_directory(self, uri: DataUri, bucket: str, key: str) -> bool:
        try:
            with store_errors(uri):
                if not self._is_kept(uri, bucket, key, is_directory=True):
                    return False
                first = next(self.pages(uri, bucket, prefix_of(key), limit=1))
        except MissingBucket:
            raise
        except NotFoundError:
            return False
        return not key or first != ([], [])

    def _keys(self, uri: DataUri, bucket: str, prefix: str) -> Iterator[tuple[str, int | None]]:
        for _, objects in self.pages(uri, bucket, prefix, deep=True):
            yield from ((key, entry.size) for key, entry in objects)


def prefix_of(key: str) -> str:
    """The prefix of the keys of all files in a directory; empty for the bucket itself."""
    return key if not key or key.endswith("/") else f"{key}/"


def child_of(uri: DataUri, prefix: str, key: str) -> DataUri:
    """The URI of a key in the listing of a directory."""
    return uri.child(_rest(uri, prefix, key))


def folder_of(uri: DataUri, prefix: str, folder: str) -> str:
    """The name of a subdirectory in a listing; empty where a key has an empty component."""
    return _rest(uri, prefix, folder).removesuffix("/")


def _rest(uri: DataUri, prefix: str, key: str) -> str:
    if not key.startswith(prefix):
        raise NotFoundError(f"{uri} does not exist: this store takes it for another key, and lists {key!r}")
    return key[len(prefix) :]
