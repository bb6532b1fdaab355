"""Standard input and output as a storage with one path, `-`."""

from __future__ import annotations

import io
import os
import stat
from collections.abc import Iterator
from contextlib import contextmanager
from typing import BinaryIO

from algo_core.errors import AlgoError, UsageError
from algo_core.storage.contract import Entry, Kind, Reader, Source, Storage
from algo_core.storage.uri import DataUri
from algo_data.engine.io.blocks import BLOCK

STREAM = DataUri("-", "-")
"""The URI of standard input as a source, and of standard output as a destination."""


class StandardStreams(Storage):
    """Reads standard input and writes standard output."""

    def __init__(self, stdin: BinaryIO | None, stdout: BinaryIO) -> None:
        self._stdin = stdin
        self._stdout = stdout
        self._origin = _origin(stdin) if stdin else None

    def stat(self, uri: DataUri) -> Entry:
        """A file of unknown size."""
        return Entry(uri, Kind.FILE)

    def open(self, uri: DataUri, offset: int = 0, *, version: str | None = None) -> Reader:
        """Standard input; a file that the shell has opened for it can be read again from where it stood."""
        if self._stdin is None:
            raise AlgoError("Standard input is closed")
        return StreamReader(self._stdin, uri, self._origin, offset)

    def write(self, uri: DataUri, source: Source, size: int | None = None) -> Entry:
        """Write every block at once, so that the reader need not wait."""
        buffer, written = memoryview(bytearray(BLOCK)), 0
        while count := source.readinto(buffer):
            self._stdout.write(buffer[:count])
            self._stdout.flush()
            written += count
        return Entry(uri, Kind.FILE, size=written)

    def list(self, uri: DataUri) -> Iterator[Entry]:  # noqa: D102
        raise _meaningless()

    def mkdir(self, uri: DataUri) -> None:  # noqa: D102
        raise _meaningless()

    def rmdir(self, uri: DataUri, *, force: bool = False) -> int:  # noqa: D102
        raise _meaningless()

    def remove(self, uri: DataUri) -> None:  # noqa: D102
        raise _meaningless()


class StreamReader:
    """Standard input as it comes. A file that the shell has opened for it has a size, and can be read again."""

    def __init__(self, stream: BinaryIO, uri: DataUri, origin: int | None, offset: int) -> None:
        self._stream = stream
        self.offset = offset
        self.entry = Entry(uri, Kind.FILE)
        if origin is not None:
            status = os.fstat(stream.fileno())
            identity = f"{status.st_ino}:{status.st_size}:{status.st_mtime_ns}"
            self.entry = Entry(uri, Kind.FILE, size=max(0, status.st_size - origin), version=identity)
            stream.seek(origin + offset)

    def readinto(self, buffer: bytearray | memoryview, /) -> int:
        """The available bytes, at least one."""
        with _readable():
            read = getattr(self._stream, "read1", self._stream.read)
            data: bytes = read(len(buffer))
        buffer[: len(data)] = data
        return len(data)

    def close(self) -> None:  # noqa: D102
        pass


def _origin(stream: BinaryIO) -> int | None:
    """The position at which an ordinary file stood when it was handed over; None for anything else."""
    try:
        return stream.tell() if stat.S_ISREG(os.fstat(stream.fileno()).st_mode) else None
    except (OSError, io.UnsupportedOperation):
        return None


@contextmanager
def _readable() -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise AlgoError(f"Standard input: {error.strerror or error}") from error


def _meaningless() -> UsageError:
    return UsageError("'-' means standard input or output", "For a file of that name write ./-")
