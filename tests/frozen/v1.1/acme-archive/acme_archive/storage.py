"""The files behind `acme-archive://`.

They are those of a directory of this machine, in the place of your store: replace what `DirectoryStorage` does with
`os` by requests to the store. The tests, `StorageContract`, say when a method does not do what commands rely on.
"""

from __future__ import annotations

import contextlib
import errno
import os
import shutil
import stat
import uuid
from collections.abc import Iterator, Mapping
from datetime import datetime, timezone
from pathlib import Path
from typing import Any

from algo_core.errors import AlgoError, AlreadyExists, ConfigError, NotFoundError, PermissionDenied, RequestRefused
from algo_core.storage import Entry, IsADirectory, Kind, NotADirectory, Reader, SizeMismatch, Source, Storage
from algo_core.storage.uri import NO_NAMES, DataUri

BLOCK = 1 << 20
"""Bytes that are read from a source at once."""


def open_storage(scheme: str, options: Mapping[str, Any]) -> DirectoryStorage:
    """The storage with the options of `[connectors.SCHEME]` in config.toml, or of a platform's connector.

    Raises:
        ConfigError: if `directory`, the only option, is missing.
    """
    directory = options.get("directory")
    if not isinstance(directory, str) or set(options) != {"directory"}:
        raise ConfigError(
            f"{scheme}:// needs the option 'directory', and knows no other",
            f'Add to config.toml: [connectors.{scheme}] with the line directory = "/path"',
        )
    return DirectoryStorage(Path(directory).expanduser())


class DirectoryStorage(Storage):
    """Files and directories below `directory`; a file appears under its name when all of it is there."""

    def __init__(self, directory: Path) -> None:
        self._files = directory / "files"
        self._incoming = directory / "incoming"
        for made in (self._files, self._incoming):
            made.mkdir(parents=True, exist_ok=True)

    def stat(self, uri: DataUri) -> Entry:
        """The entry of a path; `FILE/` is not found, because a slash at the end means a directory."""
        with translated_errors(uri):
            return _entry(uri, os.stat(self._path(uri)))

    def list(self, uri: DataUri) -> Iterator[Entry]:
        """The entries of a directory, directories first."""
        with translated_errors(uri):
            found = sorted(os.scandir(self._path(uri)), key=lambda item: (not item.is_dir(), item.name))
        for item in found:
            with contextlib.suppress(FileNotFoundError):  # removed since
                yield _entry(uri.child(item.name), item.stat())

    def open(self, uri: DataUri, offset: int = 0, *, version: str | None = None) -> Reader:
        """A reader of the file as it is now: what replaces it later is another file of the system."""
        with translated_errors(uri):
            return DirectoryReader(uri, self._path(uri), offset, version)

    def write(self, uri: DataUri, source: Source, size: int | None = None) -> Entry:
        """Write to a new file in another directory, and give it its name at the end."""
        path, new = self._path(uri), self._incoming / uuid.uuid4().hex
        try:
            with translated_errors(uri):
                written = _copy(source, new, size)
                os.replace(new, path)
        finally:
            new.unlink(missing_ok=True)
        return Entry(uri, Kind.FILE, size=written)

    def mkdir(self, uri: DataUri) -> None:
        """Make a directory in an existing one."""
        with translated_errors(uri):
            os.mkdir(self._path(uri))

    def rmdir(self, uri: DataUri, *, force: bool = False) -> int:
        """Remove a directory, with its content if `force`; the number of removed files."""
        path = self._path(uri)
        if not uri.path.strip("/"):
            raise RequestRefused(f"{uri} itself cannot be removed")
        with translated_errors(uri):
            if not force:
                os.rmdir(path)
                return 0
            os.scandir(path).close()  # refuses a file
            count = sum(len(files) for _, _, files in os.walk(path))
            shutil.rmtree(path)
        return count

    def remove(self, uri: DataUri) -> None:
        """Remove a file."""
        if self.stat(uri).is_directory:
            raise IsADirectory(f"{uri} is a directory", f"Remove it with: algo rmdir {uri}")
        with translated_errors(uri):
            os.remove(self._path(uri))

    def _path(self, uri: DataUri) -> str:
        """Where a path of this storage is. Raises RequestRefused for one that is none, such as `a//b` and `../a`."""
        names = uri.path.removesuffix("/").split("/") if uri.path else []
        if not NO_NAMES.isdisjoint(names) or "\0" in uri.path:
            raise RequestRefused(f"Not a path here: {uri}", "Leave out empty components, '.' and '..'")
        return f"{self._files}/{uri.path}"


class DirectoryReader:
    """An open file; see `algo_core.storage.Reader`."""

    def __init__(self, uri: DataUri, path: str, offset: int, version: str | None) -> None:
        self._file = open(path, "rb", buffering=0)  # noqa: SIM115 - closed by `close`
        self.entry = _entry(uri, os.fstat(self._file.fileno()))
        self.offset = 0 if version and version != self.entry.version else offset
        self._file.seek(self.offset)

    def readinto(self, buffer: bytearray | memoryview, /) -> int:
        """The next bytes."""
        with translated_errors(self.entry.uri):
            return self._file.readinto(buffer)

    def close(self) -> None:
        """Close the file."""
        self._file.close()


@contextlib.contextmanager
def translated_errors(uri: DataUri) -> Iterator[None]:
    """Raise what the system says about a path as the errors of `algo`."""
    try:
        yield
    except FileNotFoundError:
        raise NotFoundError(f"There is no {uri}") from None
    except FileExistsError:
        raise AlreadyExists(f"{uri} exists already") from None
    except NotADirectoryError:
        raise NotADirectory(f"{uri} is a file, or below one") from None
    except IsADirectoryError:
        raise IsADirectory(f"{uri} is a directory", "Name a file in it") from None
    except PermissionError:
        raise PermissionDenied(f"No permission for {uri}") from None
    except OSError as error:
        if error.errno == errno.ENOTEMPTY:
            raise RequestRefused(f"{uri} is not empty", f"Remove it with: algo rmdir -f {uri}") from None
        raise AlgoError(f"{uri}: {error.strerror}") from None


def _entry(uri: DataUri, found: os.stat_result) -> Entry:
    modified = datetime.fromtimestamp(found.st_mtime, timezone.utc)
    if stat.S_ISDIR(found.st_mode):
        return Entry(uri, Kind.DIRECTORY, modified=modified)
    version = f"{found.st_ino}-{found.st_mtime_ns}-{found.st_size}"
    return Entry(uri, Kind.FILE, size=found.st_size, modified=modified, version=version)


def _copy(source: Source, path: Path, size: int | None) -> int:
    """Copy a source to a new file; its bytes. Raises SizeMismatch if `size` was announced, and is not what came."""
    buffer, written = bytearray(BLOCK), 0
    with open(path, "xb") as file:
        while count := source.readinto(buffer):
            file.write(memoryview(buffer)[:count])
            written += count
    if size is not None and written != size:
        raise SizeMismatch(written, size)
    return written
