"""Any other file system of fsspec: sftp, webdav, hdfs, smb, http, and those of installed packages."""

from __future__ import annotations

import threading
import uuid
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import suppress
from datetime import datetime, timezone
from functools import cached_property
from typing import Any

from algo_connectors.common.errors import Unsatisfiable, store_errors
from algo_connectors.common.options import ConnectorOptions
from algo_connectors.common.remote import RemoteStorage, components, directory, not_empty
from algo_connectors.common.writing import Upload
from algo_core.errors import AlgoError, AlreadyExists, ConfigError, NotFoundError, RequestRefused
from algo_core.storage.contract import Entry, IncompleteListing, IsADirectory, Kind, NotADirectory
from algo_core.storage.uri import DataUri, is_only_key, pasted

_VERSIONS = ("ETag", "etag", "checksum", "version_id")
_TIMES = ("mtime", "modified", "last_modified", "LastModified", "created")


def open_protocol(options: ConnectorOptions) -> FileSystemStorage:
    """The storage for a protocol of fsspec; options are those of its class.

    `root` is a path, or for http an address, in which the connector's paths begin.

    Raises:
        ConfigError: if fsspec knows no such protocol, or what it needs for it is not installed.
    """
    import fsspec

    root = str(options.take("root") or "")
    try:
        kind = fsspec.get_filesystem_class(options.scheme)
    except ValueError:
        known = ", ".join(sorted(fsspec.available_protocols()))
        raise ConfigError(f"fsspec has no file system for {options.scheme}://", f"fsspec knows: {known}") from None
    except ImportError as error:
        package = error.name or getattr(error.__cause__, "name", None)  # fsspec raises one without a name
        raise ConfigError(
            f"{options.scheme}:// needs a package that is not installed: {error}",
            f"Install it with: algo plugins install {package}" if package else None,
        ) from error
    return FileSystemStorage(kind, options, root)


class FileSystemStorage(RemoteStorage):
    """Files and directories of a file system of fsspec.

    Files are written under another name beside their own, and moved when they are whole. A version is what the file
    system has for one, else size and time.
    """

    parallel = 1

    def __init__(self, kind: Any, options: ConnectorOptions, root: str) -> None:
        self._kind = kind
        self._options = options
        self._root = root.rstrip("/")
        self._own = threading.local()

    @property
    def files(self) -> Any:
        """The file system; one for each thread unless it says that it can be shared."""
        if getattr(self._kind, "async_impl", False):
            return self._shared
        if not hasattr(self._own, "files"):
            self._own.files = self._made()
        return self._own.files

    @cached_property
    def _shared(self) -> Any:
        return self._made()

    def _made(self) -> Any:
        return self._options.make(self._kind, skip_instance_cache=True, use_listings_cache=False)

    def path(self, uri: DataUri) -> str:
        """A path as the file system takes it."""
        found = "/".join([self._root, *components(uri)])
        return found or self._kind.root_marker or "/"

    def stat(self, uri: DataUri) -> Entry:
        """info."""
        with store_errors(uri):
            entry = _entry(uri, self.files.info(self.path(uri)))
        if uri.path.endswith("/") and not entry.is_directory:
            raise NotADirectory(f"{uri} is a file", entry=entry)
        return entry

    def list(self, uri: DataUri) -> Iterator[Entry]:
        """ls; fsspec has no pages."""
        entry = self.stat(uri)
        if not entry.is_directory:
            raise NotADirectory(f"{uri} is a file", entry=entry)
        with store_errors(uri):
            path = self.path(uri)
            found = [item for item in self.files.ls(path, detail=True) if not _is_mark(item, path)]
        entries = [_entry(uri.child(_name(item)), item) for item in found if not is_only_key(_name(item))]
        yield from sorted(entries, key=lambda entry: (not entry.is_directory, entry.name))
        if odd := {str(item["name"]): _no_path(uri, item) for item in found if is_only_key(_name(item))}:
            raise IncompleteListing(uri, odd)

    def fetch(self, uri: DataUri, start: int, stop: int, version: str | None) -> tuple[Entry, bytes]:
        """info, and cat_file of a range."""
        entry = self.stat(uri)
        if entry.is_directory:
            raise IsADirectory(f"{uri} is a directory")
        if entry.size is not None and start >= entry.size:
            raise Unsatisfiable(f"{uri} ends before byte {start}")
        if entry.size is not None:
            stop = min(stop, entry.size)
        return entry, bytes(self.files.cat_file(self.path(uri), start=start, end=stop))

    def put(self, uri: DataUri, content: bytes) -> Entry:
        """The same as for large files, so that it appears whole as well."""
        upload = _Beside(self, uri)
        try:
            upload.part(0, 0, content)
            return upload.finish(len(content))
        except BaseException:
            upload.abort()
            raise

    def begin(self, uri: DataUri, size: int | None) -> Upload:
        """A file beside it."""
        return _Beside(self, uri)

    def copy_within(
        self, source: DataUri, target: DataUri, entry: Entry | None, advanced: Callable[[int], object]
    ) -> Entry | None:
        """cp_file to a hidden file beside the target, and mv; None without a cp_file (`CopyingStorage`)."""
        before = self.stat(source)
        if before.is_directory:
            raise IsADirectory(f"{source} is a directory")
        self.check_file(target)
        with store_errors(target):
            copy = _beside(self, target)
            try:
                self.files.cp_file(self.path(source), copy)
                is_whole = self.files.info(copy)["size"] == before.size and self.stat(source) == before
                if is_whole:
                    advanced(before.size or 0)
                    self.files.mv(copy, self.path(target))
                    return Entry(target, Kind.FILE, size=before.size)
            except NotImplementedError:
                return None
            except BaseException:
                self._discard(copy)
                raise
            self._discard(copy)  # it changed meanwhile: reading it notices that
            return None

    def _discard(self, path: str) -> None:
        with suppress(Exception):
            self.files.rm_file(path)

    def mkdir(self, uri: DataUri) -> None:
        """mkdir, after a check, since some file systems ignore existing directories."""
        if self.exists(uri):
            raise AlreadyExists(f"{uri} exists already")
        if not self.stat(uri.parent).is_directory:
            raise NotFoundError(f"Directory {uri.parent} does not exist")
        with store_errors(uri):
            self.files.mkdir(self.path(uri), create_parents=False)

    def rmdir(self, uri: DataUri, *, force: bool = False) -> int:
        """rmdir, or rm for all that is in it."""
        if not self.stat(uri).is_directory:
            raise NotADirectory(f"{uri} is a file", f"Remove it with: algo rm {pasted(uri)}")
        if not components(uri):
            raise RequestRefused(f"{uri} is not removed", "Name the directory itself")
        with store_errors(uri):
            path = self.path(uri)
            if not self.files.ls(path, detail=False):
                self.files.rmdir(path)
                return 0
            if not force:
                raise not_empty(uri)
            count = self._count(uri)
            self.files.rm(path, recursive=True)
        if self.exists(uri):
            raise AlgoError(f"{uri} was not removed completely", "Try again")
        return count

    def _count(self, uri: DataUri) -> int:
        """How many files are in a directory, on all levels; fsspec itself passes over what cannot be listed."""
        return sum(self._count(entry.uri) if entry.is_directory else 1 for entry in self.list(uri))

    def remove(self, uri: DataUri) -> None:
        """info, since rm may take directories as well, and rm_file."""
        if self.stat(uri).is_directory:
            raise IsADirectory(f"{uri} is a directory", f"Remove it with: algo rmdir {pasted(uri)}")
        with store_errors(uri):
            self.files.rm_file(self.path(uri))


class _Beside(Upload):
    """A hidden file beside the one that is to be."""

    parallel = False

    def __init__(self, storage: FileSystemStorage, uri: DataUri) -> None:
        self._storage = storage
        self._uri = uri
        self._files = storage.files
        self._beside = _beside(storage, uri)
        self._file = self._files.open(self._beside, "wb")

    def part(self, number: int, offset: int, content: bytes) -> None:
        """write."""
        self._file.write(content)

    def finish(self, size: int) -> Entry:
        """close, and move."""
        self._file.close()
        _rename(self._files, self._beside, self._storage.path(self._uri))
        return Entry(self._uri, Kind.FILE, size=size)

    def abort(self) -> None:
        """Remove what was written."""
        with suppress(Exception):
            self._file.close()
        with suppress(Exception):
            self._files.rm_file(self._beside)


def _beside(storage: FileSystemStorage, uri: DataUri) -> str:
    """A hidden path beside a file that is to be made. Raises NotFoundError, or IsADirectory."""
    if not storage.stat(uri.parent).is_directory:
        raise NotFoundError(f"Directory {uri.parent} does not exist")
    if (older := storage.exists(uri)) and older.is_directory:
        raise IsADirectory(f"{uri} is a directory")
    return storage.path(uri.parent).rstrip("/") + f"/.{uri.name[:40]}.{uuid.uuid4().hex[:8]}.part"


def _rename(files: Any, source: str, target: str) -> None:
    """mv. That of fsspec itself takes characters such as `*` for patterns, also in names of files that exist."""
    from fsspec import AbstractFileSystem

    if type(files).mv is AbstractFileSystem.mv:
        files.cp_file(source, target)
        files.rm_file(source)
    else:
        files.mv(source, target)


def _name(found: Mapping[str, Any]) -> str:
    return str(found["name"]).removesuffix("/").rpartition("/")[2]


def _is_mark(found: Mapping[str, Any], directory: str) -> bool:
    """Whether a listing gives the directory itself, as that of an object store does where it was made as such."""
    is_itself = str(found["name"]).strip("/") == directory.strip("/")
    return is_itself and (found.get("type") == "directory" or not found.get("size"))


def _no_path(directory: DataUri, found: Mapping[str, Any]) -> AlgoError:
    return RequestRefused(f"{found['name']!r} in {directory} has a name that cannot be written as a path")


def _entry(uri: DataUri, found: Mapping[str, Any]) -> Entry:
    if found.get("type") == "directory":
        return directory(uri)
    modified = _modified(found)
    size = found.get("size")
    given: Sequence[Any] = [found[name] for name in _VERSIONS if found.get(name)]
    version = str(given[0]) if given else None
    if version is None and modified and size is not None:
        version = f"{size}:{modified.timestamp()}"
    return Entry(uri, Kind.FILE, size=size, modified=modified, version=version)


def _modified(found: Mapping[str, Any]) -> datetime | None:
    for name in _TIMES:
        value = found.get(name)
        if isinstance(value, (int, float)):
            return datetime.fromtimestamp(value, timezone.utc)
        if isinstance(value, datetime):
            return value.replace(tzinfo=timezone.utc) if value.tzinfo is None else value.astimezone(timezone.utc)
    return None
