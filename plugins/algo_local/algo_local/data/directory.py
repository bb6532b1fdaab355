"""Hosted data in a directory of this machine: the first implementation of `objects.Objects`. Files appear atomically.

Methods take a directory (from `DirectoryObjects.collection` and similar methods) and a file name; no name leads outside
the platform's root.
"""

from __future__ import annotations

import contextlib
import errno
import os
import shutil
import stat
import time
import uuid
from bisect import bisect_right
from collections.abc import Iterable, Iterator
from contextlib import AbstractContextManager
from pathlib import Path
from typing import TYPE_CHECKING, BinaryIO, NamedTuple, Union

from algo_core.errors import NotFoundError
from algo_core.locks import acquire
from algo_local.data.incoming import DiskErrors, Incoming, ReceivedFile, entries
from algo_local.data.objects import (
    IN_MEMORY,
    SESSION_SECONDS,
    SPACES,
    SWEEP_SECONDS,
    TEMP_SECONDS,
    AlgorithmSpace,
    FileInfo,
    Listing,
    Read,
)
from algo_local.data.open_listings import OpenListings
from algo_local.names import decode_file_name, encode_file_name
from algo_local.refusals import ConditionFailed

if TYPE_CHECKING:
    from algo_local.data.objects import Received

Directory = Union[str, "os.PathLike[str]"]
"""Text where requests are answered: a path as an object costs more than the system's work on it."""


class _Rest(NamedTuple):
    """The sorted names of a directory, and the position of the next page."""

    names: list[str]
    start: int


class DirectoryObjects:
    """The directories of hosted data under the platform's root (`algo_local.data.objects.Objects`)."""

    hashed_again = 1 << 18
    keeps_empty = True

    def __init__(self, root: Path) -> None:
        self.root = root
        self._base = os.fspath(root)
        self._incoming = Incoming(f"{self._base}/incoming")
        self._listings: OpenListings[_Rest] = OpenListings()
        self._swept: float | None = None

    def now(self) -> float:
        """The clock of this machine, which has the disk."""
        return time.time()

    def check(self) -> None:
        """Do nothing: the directory is created on first use."""

    def collection(self, owner: str, name: str, identifier: str = "") -> str:
        """The directory of a collection."""
        return f"{self._base}/data/{owner}/{name}"

    def algorithm_space(self, owner: str, name: str, kind: str, user: str) -> str:
        """The directory for the files of one account with an algorithm; `kind` is `temp` or `perm`."""
        return f"{self.algorithm_data(owner, name)}/{kind}/{user}"

    def algorithm_data(self, owner: str, name: str) -> str:
        """The directory for the files of all accounts with an algorithm."""
        return f"{self._base}/algorithm-data/{owner}/{name}"

    def session_space(self, session: str) -> str:
        """The directory of a session."""
        return f"{self._base}/sessions/{session}"

    def relative(self, directory: Directory, name: str | None = None) -> str:
        """A path relative to the root, under which digests are stored."""
        place = os.fspath(directory)[len(self._base) + 1 :]
        return place if name is None else f"{place}/{encode_file_name(name)}"

    def page(self, directory: str, after: str | None, limit: int) -> Listing:
        """A page of files in the order of their names.

        The pages of one listing show the names found by its first page, without files deleted since.
        """
        rest = self._listings.take(f"{directory}/{after}") if after is not None else None
        if rest is None:
            names = self.names(directory)
            rest = _Rest(names, bisect_right(names, after) if after is not None else 0)
        stop = rest.start + limit
        marker = rest.names[stop - 1] if stop < len(rest.names) else None
        if marker is not None:
            self._listings.keep(f"{directory}/{marker}", _Rest(rest.names, stop), len(rest.names))
        return Listing(self._infos(directory, rest.names[rest.start : stop]), marker)

    def names(self, directory: Directory) -> list[str]:
        """The names of the files in a directory, in order; none if it does not exist."""
        try:
            with DiskErrors("read", FileNotFoundError), os.scandir(os.fsencode(directory)) as entries:
                found = [_name_of(entry.name) for entry in entries if entry.is_file(follow_symlinks=False)]
        except FileNotFoundError:
            return []
        return sorted(name for name in found if name is not None)

    def info(self, directory: Directory, name: str) -> FileInfo | None:
        """A file's attributes; None if it does not exist."""
        return _info(name, _path(directory, name))

    def _infos(self, directory: Directory, names: Iterable[str]) -> list[FileInfo]:
        """The attributes of the existing files among `names`, in their order."""
        try:
            with DiskErrors("read", FileNotFoundError, NotADirectoryError):
                descriptor = os.open(directory, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        except (FileNotFoundError, NotADirectoryError):
            return []
        try:
            return [info for name in names if (info := _info(name, encode_file_name(name).encode(), descriptor))]
        finally:
            os.close(descriptor)

    def open(self, directory: Directory, name: str, *, whole: bool = True) -> tuple[BinaryIO | bytes, FileInfo] | None:
        """An unbuffered file, or its content up to `IN_MEMORY` bytes, with its attributes; None if it does not exist.

        The file stays readable and unchanged if it is replaced or deleted meanwhile.
        """
        # A user may have put a link here, which is not followed, or a pipe, which must not block.
        flags = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC
        with DiskErrors("read"):
            try:
                descriptor = os.open(_path(directory, name), flags)
            except OSError as error:
                if error.errno in {errno.ENOENT, errno.ENOTDIR, errno.ELOOP, errno.ENXIO}:
                    return None
                raise
            status = os.fstat(descriptor)
            if stat.S_ISREG(status.st_mode) and status.st_size <= IN_MEMORY:
                content = os.read(descriptor, IN_MEMORY)
                os.close(descriptor)
                return content, _info_of(name, status, len(content))
        if not stat.S_ISREG(status.st_mode):
            os.close(descriptor)
            return None
        return open(descriptor, "rb", buffering=0), _info_of(name, status)

    def receive(
        self, read: Read, length: int | None = None, md5: str | None = None
    ) -> AbstractContextManager[ReceivedFile]:
        """Receive a file of any size with constant memory."""
        self._sweep()
        return self._incoming.receive(read, length, md5)

    def place(
        self,
        received: Received,
        directory: Directory,
        name: str,
        modified: float | None = None,
        *,
        replaces: str | None = None,
    ) -> FileInfo:
        """Give a received file its name, replacing an older one.

        Raises:
            NotFoundError: if the directory does not exist (any more).
            ConditionFailed: if the existing file is not the one that it `replaces`.
        """
        assert isinstance(received, ReceivedFile)
        path = _path(directory, name)
        with DiskErrors():
            if modified is not None:
                os.utime(received.path, (modified, modified))
                received.status = os.stat(received.path)
            try:
                lock = _lock(directory, shared=replaces is None)
                try:
                    if replaces is not None:
                        self._compare(directory, name, replaces)
                    os.replace(received.path, path)
                finally:
                    os.close(lock)
            except (FileNotFoundError, NotADirectoryError):
                raise NotFoundError("The directory does not exist") from None
        received.is_placed = True
        return _info_of(name, received.status)

    def _compare(self, directory: Directory, name: str, identity: str) -> None:
        found = self.info(directory, name)
        if (found.identity if found else "") != identity:
            raise ConditionFailed(f"The file {name!r} is not the one to be replaced")

    def make(self, directory: Directory) -> None:
        """Create a directory and its parents, if missing."""
        with DiskErrors():
            Path(directory).mkdir(parents=True, exist_ok=True, mode=0o700)

    def remove(self, directory: Directory, name: str) -> bool:
        """Delete a file; whether there was one."""
        try:
            with DiskErrors("deleted", FileNotFoundError, NotADirectoryError):
                lock = _lock(directory, shared=True)
                try:
                    os.unlink(_path(directory, name))
                finally:
                    os.close(lock)
        except (FileNotFoundError, NotADirectoryError):
            return False
        return True

    def clear(self, directory: Directory) -> int:
        """Delete the files of a directory."""
        return sum(self.remove(directory, name) for name in self.names(directory))

    def exists(self, directory: Directory) -> bool:
        """Whether a directory exists."""
        return os.path.isdir(directory)

    def size(self, directory: Directory) -> int:
        """The bytes on the disk of a directory."""
        from algo_local.trees import disk_use

        return disk_use([Path(directory)])

    def remove_empty(self, directory: Directory) -> bool:
        """Delete a directory without files; False, and nothing changed, if it has some."""
        if self.names(directory):
            return False
        try:
            os.rmdir(directory)
        except FileNotFoundError:
            pass
        except OSError:  # a file was added meanwhile, or is not the platform's
            if self.names(directory):
                return False
            self.discard(self.set_aside(directory))
        return True

    def set_aside(self, directory: Directory) -> str:
        """Move a directory away at once; `discard` then deletes it."""
        aside = self.root / "trash" / uuid.uuid4().hex
        self.make(aside.parent)
        try:
            os.replace(directory, aside)
        except FileNotFoundError:
            self.make(aside)
        return os.fspath(aside)

    def discard(self, directory: Directory) -> int:
        """Delete a directory with its content; return the number of files."""
        count = len(self.names(directory))
        shutil.rmtree(directory, ignore_errors=True)
        return count

    def forget_older(self, directory: Directory, seconds: float, name: str | None = None) -> None:
        """Delete the files of a directory, or only `name`, that were written more than `seconds` ago."""
        limit = time.time() - seconds
        for candidate in self.names(directory) if name is None else [name]:
            found = self.info(directory, candidate)
            if found and found.modified < limit:
                self.remove(directory, candidate)

    def algorithm_spaces(self) -> Iterator[AlgorithmSpace]:
        """The spaces of all algorithms."""
        for path in sorted((self.root / "algorithm-data").glob("*/*/*/*")):
            owner, name, kind, user = path.parts[-4:]
            if kind in SPACES:
                yield AlgorithmSpace(owner, name, kind, user, os.fspath(path))

    def leftovers(self) -> Iterator[tuple[str, int]]:
        """Incomplete files, sessions of ended calls, and expired temporary files."""
        for path in self._left_over():
            yield os.fspath(path.relative_to(self.root)), self.size(path)

    def _left_over(self) -> Iterator[Path]:
        yield from self._incoming.leftovers()
        yield from _older(sorted((self.root / "sessions").glob("*")), SESSION_SECONDS)
        yield from _older(sorted(self.root.glob("algorithm-data/*/*/temp/*/*")), TEMP_SECONDS)

    def remove_leftover(self, name: str) -> bool:
        """Delete a leftover, unless a process is still writing it."""
        path = self.root / name
        if name.startswith("incoming/"):
            return self._incoming.remove(path)
        if path.is_dir():
            self.discard(self.set_aside(path))
        else:
            with contextlib.suppress(OSError):
                path.unlink()
        return not path.exists()

    def _sweep(self) -> None:
        """Remove files of killed processes, and sessions that no process has ended."""
        now = time.monotonic()
        if self._swept is not None and now - self._swept < SWEEP_SECONDS:
            return
        self._swept = now
        for path in self._incoming.leftovers():
            self._incoming.remove(path)
        for path in entries(self.root / "trash"):
            shutil.rmtree(path, ignore_errors=True)
        for path in _older(entries(self.root / "sessions"), SESSION_SECONDS):
            shutil.rmtree(path, ignore_errors=True)


def _info_of(name: str, status: os.stat_result, size: int | None = None) -> FileInfo:
    """The attributes of a file; `size` is the number of bytes read, if it was read."""
    identity = f"{status.st_ino}:{status.st_size}:{status.st_mtime_ns}"
    return FileInfo(name, status.st_size if size is None else size, status.st_mtime, identity)


def _older(paths: Iterable[Path], seconds: float) -> Iterator[Path]:
    limit = time.time() - seconds
    for path in paths:
        with contextlib.suppress(OSError):
            if os.lstat(path).st_mtime < limit:
                yield path


def _lock(directory: Directory, *, shared: bool) -> int:
    """A descriptor with a lock on a directory: shared ones only exclude conditional replacements."""
    descriptor = os.open(directory, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    acquire(descriptor, wait=True, shared=shared)
    return descriptor


def _path(directory: Directory, name: str) -> bytes:
    """The path of a file, whose name is UTF-8 on disk, whatever the locale of this process."""
    return b"%s/%s" % (os.fsencode(directory), encode_file_name(name).encode("utf-8"))


def _info(name: str, path: bytes, descriptor: int | None = None) -> FileInfo | None:
    try:
        with DiskErrors("read", FileNotFoundError):
            status = os.stat(path, dir_fd=descriptor, follow_symlinks=False)
    except FileNotFoundError:
        return None
    return _info_of(name, status) if stat.S_ISREG(status.st_mode) else None


def _name_of(entry: bytes) -> str | None:
    """The file's name for a directory entry; None if the platform does not write such names."""
    try:
        return decode_file_name(entry.decode("utf-8"))
    except UnicodeDecodeError:
        return None
