"""The local file system as a storage."""

from __future__ import annotations

import errno
import os
import stat
from collections.abc import Iterable, Iterator
from contextlib import AbstractContextManager
from datetime import datetime, timezone
from typing import TYPE_CHECKING

from algo_core.errors import AlgoError, AlreadyExists, RequestRefused
from algo_core.files import status_of
from algo_core.names import portable
from algo_core.storage.contract import (
    Entry,
    IncompleteListing,
    IsADirectory,
    Kind,
    NotADirectory,
    Reader,
    Source,
    Storage,
)
from algo_core.storage.uri import DataUri, pasted
from algo_data.engine.io.blocks import SMALL, blocks, joined
from algo_data.local import leftovers
from algo_data.local.descriptors import open_directly
from algo_data.local.partial_file import LocalPartialFile, open_partial_file, room_for
from algo_data.local.paths import local_path, of_system, system_errors
from algo_data.local.rename import rename
from algo_data.local.unnamed_file import UnnamedFiles
from algo_data.local.walk import files_below

if TYPE_CHECKING:
    from algo_core.context import App

HELD = 1000
"""Maximum number of unreadable entries of a directory before its listing fails."""


def open_local(app: App, uri: DataUri) -> Storage:
    """The storage for local paths (the hook `algo_connectors`)."""
    return LocalStorage()


class LocalStorage(Storage):
    """Files and directories of this machine; links are followed.

    A written file gets the current time, as with `cp`, and the permissions of the file that it replaces; or time and
    permissions of a `model`, as with `mv`.
    """

    def __init__(self, model: os.stat_result | None = None) -> None:
        self._model = model
        self._appearance = UnnamedFiles()

    def stat(self, uri: DataUri) -> Entry:
        """The entry of a path; devices, pipes and sockets count as files of unknown size."""
        with system_errors(uri):
            path = local_path(uri)
            status = os.stat(path.rstrip("/") or "/")
            if path.endswith("/") and not stat.S_ISDIR(status.st_mode):
                raise NotADirectory(f"{uri} is a file", "Write it without the trailing slash")
        return _entry(uri, status)

    def list(self, uri: DataUri) -> Iterator[Entry]:
        """Sorted by name; each entry is read when it is yielded, and skipped if it no longer exists."""
        with self._scandir(uri) as found, system_errors(uri):
            names = sorted((not _leads_to_directory(entry), portable(entry.name), entry.name) for entry in found)
        yield from _looked_at(uri, (name for *_, name in names))

    def scan(self, uri: DataUri) -> Iterator[Entry]:
        """In the order of the directory, without holding its names."""
        with self._scandir(uri) as found:
            yield from _looked_at(uri, (entry.name for entry in found))

    def _scandir(self, uri: DataUri) -> AbstractContextManager[Iterator[os.DirEntry[str]]]:
        with system_errors(uri):
            try:
                return os.scandir(local_path(uri))
            except NotADirectoryError:
                raise NotADirectory(f"{uri} is a file", entry=self.stat(uri)) from None

    def open(self, uri: DataUri, offset: int = 0, *, version: str | None = None) -> Reader:
        """Only regular files: others could block forever or be endless."""
        with system_errors(uri):
            status = os.stat(local_path(uri))
            if stat.S_ISDIR(status.st_mode):
                raise IsADirectory(f"{uri} is a directory")
            if not stat.S_ISREG(status.st_mode):
                raise AlgoError(f"{uri} is not a regular file", "Pipe it in, with - as the source")
            return LocalReader(uri, offset, version)

    def write(self, uri: DataUri, source: Source, size: int | None = None) -> Entry:
        """Write a partial file, then rename it; /dev/null, pipes and the like are written to directly."""
        path = local_path(uri)
        if uri.path.endswith("/"):
            raise IsADirectory(f"{uri} is a directory", "Name the file in it")
        with system_errors(uri, makes=True):
            # A small file is read before one is made for it: what fails till then leaves no trace anywhere.
            content = [memoryview(joined(source, size))] if size is not None and size <= SMALL else blocks(source, size)
            partial = open_partial_file(path, self._model)
            if partial is None:
                device = open_directly(path)
                try:
                    return Entry(uri, Kind.FILE, size=_written(device, content))
                finally:
                    os.close(device)
            return _entry(uri, _fill(partial, content))

    def read_small(self, uri: DataUri, limit: int) -> tuple[Entry, bytes] | None:
        """A regular file that is checked for changes while it is read."""
        path = local_path(uri)
        with system_errors(uri):
            status = os.stat(path)
            if not stat.S_ISREG(status.st_mode) or status.st_size > limit:
                return None
            descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
            try:
                content = os.read(descriptor, status.st_size + 1)
                entry = _entry(uri, status)
                is_whole = len(content) == status.st_size and _version(os.fstat(descriptor)) == entry.version
                return (entry, content) if is_whole else None
            finally:
                os.close(descriptor)

    def write_small(self, uri: DataUri, content: bytes) -> Entry:
        """Create a new file atomically; replace an existing one by rename."""
        path = local_path(uri)
        if uri.path.endswith("/"):
            return super().write_small(uri, content)
        with system_errors(uri, makes=True):
            if not self._model and self._appearance.make(path, content):
                return Entry(uri, Kind.FILE, size=len(content))
            partial = open_partial_file(path, self._model)
            if partial is None:
                return super().write_small(uri, content)
            self._appearance.may_be_new = partial.is_new
            return Entry(uri, Kind.FILE, size=_fill(partial, (memoryview(content),)).st_size)

    def can_fork(self) -> bool:
        """Always: nothing stays open between two calls (`ForkSafe`)."""
        return True

    def after_fork(self) -> None:  # noqa: D102
        pass

    def place(self, uri: DataUri, size: int) -> LocalPartialFile | None:
        """A partial file for a large one, written in any order (`RandomAccessStorage`)."""
        path = local_path(uri)
        if uri.path.endswith("/"):
            return None
        with system_errors(uri, makes=True):
            partial = open_partial_file(path, self._model)
            if partial and not partial.is_left_over:
                try:
                    room_for(path, size)
                except OSError:
                    partial.discard()
                    raise
            return partial

    def move(self, source: DataUri, target: DataUri) -> Entry | None:
        """A rename, on one file system (`RenamingStorage`); the file keeps its time and mode."""
        with system_errors(target):
            status = rename(local_path(source), local_path(target))
        return _entry(target, status) if status else None

    def taking_after(self, source: DataUri) -> Storage:
        """A storage whose files get time and permissions of `source` (`RenamingStorage`)."""
        with system_errors(source):
            return LocalStorage(os.stat(local_path(source)))

    def is_leftover(self, uri: DataUri) -> bool:
        """Whether it is a partial file, by its name (`LeftoverStorage`)."""
        return leftovers.is_leftover(uri)

    def is_in_use(self, uri: DataUri) -> bool:
        """Whether a process is writing this partial file (`LeftoverStorage`)."""
        return leftovers.is_in_use(uri)

    def in_use_below(self, uri: DataUri) -> str | None:
        """The path of a partial file below a directory that a process is writing (`LeftoverStorage`)."""
        return leftovers.in_use_below(uri)

    def remove_leftover(self, uri: DataUri) -> bool:
        """Remove a partial file unless a process is writing it (`LeftoverStorage`)."""
        return leftovers.remove_leftover(uri)

    def mkdir(self, uri: DataUri) -> None:
        """Make a directory in an existing one."""
        with system_errors(uri, makes=True):
            try:
                os.mkdir(local_path(uri))
            except FileExistsError:
                raise AlreadyExists(f"{uri} exists already") from None

    def rmdir(self, uri: DataUri, *, force: bool = False) -> int:
        """Remove a directory; a link to one is left alone."""
        path = local_path(uri)
        if uri.name in {"", ".", ".."}:
            raise RequestRefused(f"{uri} is not removed", "Name the directory itself")
        with system_errors(uri):
            if not stat.S_ISDIR(os.lstat(path.rstrip("/")).st_mode):
                raise NotADirectory(f"{uri} is a file", f"Remove it with: algo rm {pasted(uri)}")
            if force:
                return _remove_tree(uri, path)
            try:
                os.rmdir(path)
            except OSError as error:
                if error.errno not in {errno.ENOTEMPTY, errno.EEXIST}:
                    raise
                raise RequestRefused(
                    f"{uri} is not empty", f"Remove it with its content: algo rmdir -f {pasted(uri)}"
                ) from None
            return 0

    def remove(self, uri: DataUri) -> None:
        """Remove a file, or a link."""
        path = local_path(uri)
        with system_errors(uri):
            if stat.S_ISDIR(os.lstat(path).st_mode):
                raise IsADirectory(f"{uri} is a directory", f"Remove it with: algo rmdir {pasted(uri)}")
            os.unlink(path)

    def is_link(self, uri: DataUri) -> bool:
        """Whether the path is a link, including a dangling one."""
        with system_errors(uri):
            status = status_of(local_path(uri).rstrip("/") or "/", follow_symlinks=False)
        return status is not None and stat.S_ISLNK(status.st_mode)

    def is_same(self, one: DataUri, other: DataUri) -> bool:
        """Whether two paths name one file."""
        found = []
        for uri in (one, other):
            with system_errors(uri):
                found.append(status_of(local_path(uri)))
        return all(found) and os.path.samestat(*found)  # type: ignore[arg-type]  # all are there


def _remove_tree(uri: DataUri, path: str) -> int:
    """Remove a directory with its content, if all of it can be listed; return the number of files."""
    import shutil

    try:
        count = sum(1 for _ in files_below(path))
    except OSError as error:
        failure = of_system(uri, error)
        failure.message += f", so that nothing is removed of {uri}"
        raise failure from error
    shutil.rmtree(path)
    return count


def _looked_at(directory: DataUri, names: Iterable[str]) -> Iterator[Entry]:
    """The entries of a directory that still exist.

    Raises:
        IncompleteListing: after all others, for the unreadable ones.
        AlgoError: at once, if more than `HELD` are unreadable, or reading the directory fails.
    """
    above, failed = local_path(directory), dict[str, AlgoError]()
    prefix = above if above.endswith("/") else f"{above}/"
    for name in _until_error(directory, names):
        child = directory.child(portable(name))
        try:
            entry = _looked_up(child, prefix + name)
        except (OSError, ValueError) as error:
            failed[child.name] = of_system(child, error)
            if len(failed) > HELD:
                raise failed[child.name] from error
        else:
            if entry:
                yield entry
    if failed:
        raise IncompleteListing(directory, failed)


def _until_error(directory: DataUri, names: Iterable[str]) -> Iterator[str]:
    with system_errors(directory):
        yield from names


def _looked_up(uri: DataUri, path: str) -> Entry | None:
    if status := status_of(path):
        return _entry(uri, status)
    is_there = status_of(path, follow_symlinks=False) is not None
    return Entry(uri, Kind.FILE) if is_there else None  # a link to nowhere, or gone meanwhile


def _fill(partial: LocalPartialFile, content: Iterable[memoryview]) -> os.stat_result:
    try:
        if partial.is_left_over:
            os.ftruncate(partial.descriptor, 0)
        _written(partial.descriptor, content)
        return partial.commit()
    except BaseException:
        partial.discard()
        raise


def _written(descriptor: int, content: Iterable[memoryview]) -> int:
    """Write all blocks; return the number of bytes."""
    written = 0
    for block in content:
        written += len(block)
        while block:
            block = block[os.write(descriptor, block) :]
    return written


class LocalReader:
    """An open regular file, which must not change until its end."""

    def __init__(self, uri: DataUri, offset: int, version: str | None) -> None:
        self._file = open(local_path(uri), "rb", buffering=0)  # noqa: SIM115 - `close` closes it
        self._status = os.fstat(self._file.fileno())
        self.entry = _entry(uri, self._status)
        self.offset = 0 if version and version != self.entry.version else offset
        self._file.seek(self.offset)

    def readinto(self, buffer: bytearray | memoryview, /) -> int:
        """The next bytes. Raises AlgoError at the end if the file was changed in the meantime."""
        with system_errors(self.entry.uri):
            count = self._file.readinto(buffer)
        if not count and _version(os.fstat(self._file.fileno())) != self.entry.version:
            raise AlgoError(
                f"{self.entry.uri} was changed while it was read", "Copy it again when no other program writes to it"
            )
        return count

    def rewind(self) -> None:
        """Go back to its beginning (`RewindableReader`)."""
        self._file.seek(0)

    def close(self) -> None:
        """Close the file."""
        self._file.close()


def _leads_to_directory(entry: os.DirEntry[str]) -> bool:
    """Whether it sorts as a directory; errors are reported when it is yielded."""
    try:
        return entry.is_dir()
    except OSError:
        return False


def _entry(uri: DataUri, status: os.stat_result) -> Entry:
    if stat.S_ISDIR(status.st_mode):
        return Entry(uri, Kind.DIRECTORY, version=f"{status.st_dev}:{status.st_ino}")
    modified = _time(status.st_mtime)
    if not stat.S_ISREG(status.st_mode):
        return Entry(uri, Kind.FILE, modified=modified)
    return Entry(uri, Kind.FILE, size=status.st_size, modified=modified, version=_version(status))


def _time(seconds: float) -> datetime | None:
    """A time from seconds since 1970; None outside the years 1 to 9999."""
    try:
        return datetime.fromtimestamp(seconds, timezone.utc)
    except (ValueError, OverflowError, OSError):
        return None


def _version(status: os.stat_result) -> str:
    return f"{status.st_dev}:{status.st_ino}:{status.st_size}:{status.st_mtime_ns}"
