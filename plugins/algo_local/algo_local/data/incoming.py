"""Uploads in progress: files on the disk of this machine, until they are complete and get their name."""

from __future__ import annotations

import contextlib
import os
import uuid
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, BinaryIO

from algo_core.errors import RequestRefused
from algo_core.locks import acquire
from algo_local.data.objects import BLOCK, Read
from algo_local.refusals import storage_error

if TYPE_CHECKING:
    from concurrent.futures import Future, ThreadPoolExecutor

BESIDE_FROM = 8 * BLOCK
"""Minimum size in bytes for hashing in a separate thread."""


@dataclass(slots=True)
class ReceivedFile:
    """A completely received file, until it has its name."""

    path: str
    size: int
    md5: str
    status: os.stat_result
    is_placed: bool = False


class Incoming:
    """A directory of files that are being received."""

    def __init__(self, directory: str) -> None:
        self._directory = directory

    @contextlib.contextmanager
    def receive(self, read: Read, length: int | None = None, md5: str | None = None) -> Iterator[ReceivedFile]:
        """Receive a file of any size with constant memory; `place` gives it its name, otherwise it is discarded.

        `length` in bytes and `md5` in hexadecimal digits are what the sender announced.

        Raises:
            RequestRefused: if the content does not match the announcement.
            StorageUnavailable: if the disk is full or fails.
        """
        with DiskErrors():
            file = self._new()
        received: ReceivedFile | None = None
        try:
            with file:
                size, digest = _copy(read, file, length)
                if md5 is not None and digest != md5:
                    raise RequestRefused(f"The content does not have the announced MD5 ({digest} instead of {md5})")
                received = ReceivedFile(file.name, size, digest, os.fstat(file.fileno()))
                yield received
        finally:
            if not (received and received.is_placed):
                with contextlib.suppress(FileNotFoundError):
                    os.unlink(file.name)

    def path(self, name: str) -> Path:
        """The path of one of them."""
        return Path(self._directory, name)

    def leftovers(self) -> list[Path]:
        """The files of ended processes."""
        from algo_local.trees import unused

        found = []
        for path in entries(Path(self._directory)):
            with unused(path) as is_unused:
                if is_unused:
                    found.append(path)
        return found

    def remove(self, path: Path) -> bool:
        """Delete a file unless a process writes it; whether that was possible."""
        with contextlib.suppress(OSError), open(path, "rb") as file:
            if acquire(file):
                path.unlink()
                return True
        return False

    def _new(self) -> BinaryIO:
        """A new file, locked while it is written, so that it can be distinguished from leftovers."""
        while True:
            path = f"{self._directory}/{uuid.uuid4().hex}"
            try:
                file = open(path, "xb", buffering=0)  # noqa: SIM115 - handed to the caller
            except FileNotFoundError:
                Path(self._directory).mkdir(parents=True, exist_ok=True, mode=0o700)
                continue
            if acquire(file) is not False and os.fstat(file.fileno()).st_nlink:
                return file
            file.close()  # another process took it for a left-over before it was locked


def entries(directory: Path) -> list[Path]:
    """What is in a directory; nothing if it does not exist."""
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
            with DiskErrors():
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


class DiskErrors:
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
