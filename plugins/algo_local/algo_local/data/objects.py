"""Hosted data on disk: files in directories, created atomically.

This part knows neither accounts nor permissions nor HTTP: it gets a directory (from `Objects`) and a file name, and
stays inside the platform's root for any name.
"""

from __future__ import annotations

import contextlib
import errno
import os
import shutil
import stat
import time
import uuid
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, BinaryIO, NamedTuple, Union

from algo_core.errors import NotFoundError, RequestRefused
from algo_core.locks import acquire
from algo_local.names import decode_file_name, encode_file_name
from algo_local.refusals import storage_error

if TYPE_CHECKING:
    from concurrent.futures import Future, ThreadPoolExecutor

BLOCK = 1 << 20
"""Block size in bytes."""

IN_MEMORY = 1 << 16
"""Maximum size, in bytes, of a file that is read at once: it is sent together with the head of its response."""

BESIDE_FROM = 8 * BLOCK
"""Minimum size in bytes for hashing in a separate thread."""

SESSION_SECONDS = 2 * 3600
"""Age in seconds of leftover session data: no request runs longer than 50 minutes."""

Read = Callable[[int], bytes]
"""Gives at most as many bytes as asked for; none at the end."""

Directory = Union[str, "os.PathLike[str]"]
"""Text where requests are answered: a path as an object costs more than the system's work on it."""


class FileInfo(NamedTuple):
    """A file as a listing shows it."""

    name: str
    size: int
    """Bytes."""
    modified: float
    """Seconds since the epoch."""
    identity: str
    """Changes whenever the content may have changed."""

    @classmethod
    def of(cls, name: str, status: os.stat_result, size: int | None = None) -> FileInfo:
        """The file system's attributes of a file; `size` is what was found when it was read."""
        identity = f"{status.st_ino}:{status.st_size}:{status.st_mtime_ns}"
        return cls(name, status.st_size if size is None else size, status.st_mtime, identity)


@dataclass(slots=True)
class Received:
    """A completely received file, until it has its name."""

    path: str
    size: int
    md5: str
    status: os.stat_result
    is_placed: bool = False


class Objects:
    """The directories of hosted data under the platform's root."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self._base = os.fspath(root)
        self._incoming = f"{self._base}/incoming"
        self._swept = False

    def collection(self, owner: str, name: str) -> str:
        """The directory of a collection."""
        return f"{self._base}/data/{owner}/{name}"

    def algorithm_space(self, owner: str, name: str, kind: str, user: str) -> str:
        """The directory of what one account keeps with an algorithm; `kind` is `temp` or `perm`."""
        return f"{self.algorithm_data(owner, name)}/{kind}/{user}"

    def algorithm_data(self, owner: str, name: str) -> str:
        """The directory of what all accounts keep with an algorithm."""
        return f"{self._base}/algorithm-data/{owner}/{name}"

    def session_space(self, session: str) -> str:
        """The directory of a session."""
        return f"{self._base}/sessions/{session}"

    def relative(self, directory: Directory, name: str | None = None) -> str:
        """A path relative to the root, under which digests are stored."""
        place = os.fspath(directory)[len(self._base) + 1 :]
        return place if name is None else f"{place}/{encode_file_name(name)}"

    def names(self, directory: Directory) -> list[str]:
        """The names of the files in a directory, in order; none if it does not exist."""
        try:
            with _DiskErrors("read", FileNotFoundError), os.scandir(os.fsencode(directory)) as entries:
                found = [_name_of(entry.name) for entry in entries if entry.is_file(follow_symlinks=False)]
        except FileNotFoundError:
            return []
        return sorted(name for name in found if name is not None)

    def info(self, directory: Directory, name: str) -> FileInfo | None:
        """A file's attributes; None if it does not exist."""
        return _info(name, _path(directory, name))

    def infos(self, directory: Directory, names: Iterable[str]) -> list[FileInfo]:
        """The attributes of those of the files that exist, in the order of the names."""
        try:
            with _DiskErrors("read", FileNotFoundError, NotADirectoryError):
                descriptor = os.open(directory, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        except (FileNotFoundError, NotADirectoryError):
            return []
        try:
            return [info for name in names if (info := _info(name, encode_file_name(name).encode(), descriptor))]
        finally:
            os.close(descriptor)

    def open(self, directory: Directory, name: str) -> tuple[BinaryIO | bytes, FileInfo] | None:
        """A file to read from, unbuffered, and the facts of exactly that file; None if there is none.

        It stays readable, unchanged, if the file is replaced or deleted in the meantime. Up to `IN_MEMORY` bytes it is
        its content instead.
        """
        # What lies there by hand may be a link, which is not followed, or a pipe, which is not waited for.
        flags = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC
        with _DiskErrors("read"):
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
                return content, FileInfo.of(name, status, len(content))
        if not stat.S_ISREG(status.st_mode):
            os.close(descriptor)
            return None
        return open(descriptor, "rb", buffering=0), FileInfo.of(name, status)

    @contextlib.contextmanager
    def receive(self, read: Read, length: int | None = None, md5: str | None = None) -> Iterator[Received]:
        """Receive a file of any size with constant memory; `place` gives it its name, otherwise it is discarded.

        `length` in bytes and `md5` in hexadecimal digits are what the sender announced.

        Raises:
            RequestRefused: if the content does not match the announcement.
            StorageUnavailable: if the disk is full or fails.
        """
        self._sweep()
        with _DiskErrors():
            file = self._new_incoming()
        received: Received | None = None
        try:
            with file:
                size, digest = _copy(read, file, length)
                if md5 is not None and digest != md5:
                    raise RequestRefused(f"The content does not have the announced MD5 ({digest} instead of {md5})")
                received = Received(file.name, size, digest, os.fstat(file.fileno()))
                yield received
        finally:
            if not (received and received.is_placed):
                with contextlib.suppress(FileNotFoundError):
                    os.unlink(file.name)

    def place(self, received: Received, directory: Directory, name: str) -> FileInfo:
        """Give a received file its name, replacing an older one.

        Raises:
            NotFoundError: if the directory does not exist (any more).
        """
        with _DiskErrors():
            try:
                os.replace(received.path, _path(directory, name))
            except (FileNotFoundError, NotADirectoryError):
                raise NotFoundError("The directory does not exist") from None
        received.is_placed = True
        return FileInfo.of(name, received.status)

    def make(self, directory: Directory) -> None:
        """Create a directory and its parents, if missing."""
        with _DiskErrors():
            Path(directory).mkdir(parents=True, exist_ok=True, mode=0o700)

    def remove(self, directory: Directory, name: str) -> bool:
        """Delete a file; whether there was one."""
        try:
            with _DiskErrors("deleted", FileNotFoundError):
                os.unlink(_path(directory, name))
        except FileNotFoundError:
            return False
        return True

    def remove_empty(self, directory: Directory) -> bool:
        """Delete a directory without files; False, and nothing changed, if it has some."""
        if self.names(directory):
            return False
        try:
            os.rmdir(directory)
        except FileNotFoundError:
            pass
        except OSError:  # something came in meanwhile, or lies there that is not ours
            if self.names(directory):
                return False
            self.discard(self.set_aside(directory))
        return True

    def set_aside(self, directory: Directory) -> Path:
        """Move a directory away at once; `discard` then deletes it."""
        aside = self.root / "trash" / uuid.uuid4().hex
        self.make(aside.parent)
        try:
            os.replace(directory, aside)
        except FileNotFoundError:
            self.make(aside)
        return aside

    def discard(self, directory: Directory) -> int:
        """Delete a directory with its content; return the number of files."""
        count = len(self.names(directory))
        shutil.rmtree(directory, ignore_errors=True)
        return count

    def forget_older(self, directory: Directory, seconds: float, name: str | None = None) -> None:
        """Delete the files of a directory, or just one of them, that were written longer ago than that."""
        limit = time.time() - seconds
        for candidate in self.names(directory) if name is None else [name]:
            found = self.info(directory, candidate)
            if found and found.modified < limit:
                self.remove(directory, candidate)

    def _new_incoming(self) -> BinaryIO:
        """A new file, locked while it is written, so that it can be distinguished from leftovers."""
        while True:
            path = f"{self._incoming}/{uuid.uuid4().hex}"
            try:
                file = open(path, "xb", buffering=0)  # noqa: SIM115 - handed to the caller
            except FileNotFoundError:
                Path(self._incoming).mkdir(parents=True, exist_ok=True, mode=0o700)
                continue
            if acquire(file) is not False and os.fstat(file.fileno()).st_nlink:
                return file
            file.close()  # another process took it for a left-over before it was locked

    def _sweep(self) -> None:
        """Once in a process: remove what killed processes left behind."""
        if self._swept:
            return
        self._swept = True
        for path in _entries(Path(self._incoming)):
            with contextlib.suppress(OSError), open(path, "rb") as file:
                if acquire(file):
                    path.unlink()
        for path in _entries(self.root / "trash"):
            shutil.rmtree(path, ignore_errors=True)
        limit = time.time() - SESSION_SECONDS
        for path in _entries(self.root / "sessions"):
            with contextlib.suppress(OSError):
                if path.stat().st_mtime < limit:
                    shutil.rmtree(path, ignore_errors=True)


def _path(directory: Directory, name: str) -> bytes:
    """Where a file is kept: its name is in UTF-8 on the disk, whatever the locale of this process."""
    return b"%s/%s" % (os.fsencode(directory), encode_file_name(name).encode("utf-8"))


def _info(name: str, path: bytes, descriptor: int | None = None) -> FileInfo | None:
    try:
        with _DiskErrors("read", FileNotFoundError):
            status = os.stat(path, dir_fd=descriptor, follow_symlinks=False)
    except FileNotFoundError:
        return None
    return FileInfo.of(name, status) if stat.S_ISREG(status.st_mode) else None


def _name_of(entry: bytes) -> str | None:
    """The file's name for a directory entry; None if it is not a name that the platform writes."""
    try:
        return decode_file_name(entry.decode("utf-8"))
    except UnicodeDecodeError:
        return None


def _entries(directory: Path) -> list[Path]:
    try:
        return list(directory.iterdir())
    except FileNotFoundError:
        return []


def _copy(read: Read, file: BinaryIO, length: int | None) -> tuple[int, str]:
    """Copy the content; return its size and MD5."""
    size = 0
    with _Digest() as digest:
        while length is None or size < length:
            block = read(BLOCK if length is None else min(BLOCK, length - size))
            if not block:
                break
            digest.update(block)
            size += len(block)
            with _DiskErrors():
                view = memoryview(block)
                while view:
                    view = view[file.write(view) :]
        if length is not None and size != length:
            raise RequestRefused(f"The content ended after {size} of {length} bytes; nothing was stored")
        return size, digest.hexdigest()


class _Digest:
    """The MD5 of blocks; large contents are hashed in a thread, while they are written and the next block is read."""

    def __init__(self) -> None:
        import hashlib

        self._md5 = hashlib.md5(usedforsecurity=False)
        self._inline = BESIDE_FROM
        self._pool: ThreadPoolExecutor | None = None
        self._pending: Future[None] | None = None

    def __enter__(self) -> _Digest:
        return self

    def __exit__(self, *_: object) -> None:
        if self._pool:
            self._pool.shutdown()

    def update(self, block: bytes) -> None:
        """Take in a block; it must not be changed afterwards."""
        if self._inline > 0:
            self._inline -= len(block)
            self._md5.update(block)
            return
        if not self._pool:
            from concurrent.futures import ThreadPoolExecutor

            self._pool = ThreadPoolExecutor(1, "algo-md5")
        self._wait()
        self._pending = self._pool.submit(self._md5.update, block)

    def hexdigest(self) -> str:
        """The MD5 of all blocks so far, in hexadecimal digits."""
        self._wait()
        return self._md5.hexdigest()

    def _wait(self) -> None:
        if self._pending:
            self._pending.result()
            self._pending = None


class _DiskErrors:
    """Reports unexpected errors of the file system. Not a generator: each request has several."""

    __slots__ = ("_done", "_expected")

    def __init__(self, done: str = "stored", *expected: type[OSError]) -> None:
        self._done = done
        self._expected = expected

    def __enter__(self) -> None:
        pass

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: object) -> None:
        if isinstance(error, OSError) and not isinstance(error, self._expected):
            raise storage_error(error, f"The data could not be {self._done}") from error
