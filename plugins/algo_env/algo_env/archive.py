"""Unpacks an untrusted archive: only files and directories, below one directory, up to a limit."""

from __future__ import annotations

import gzip
import os
import tarfile
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO, NoReturn, cast

from algo_core.errors import PlatformError
from algo_core.names import native

UNPACKED_LIMIT = 128 << 20
"""Bytes that an archive may hold, its own headers included."""

ENTRY_LIMIT = 10_000
"""Files and directories that an archive may hold."""

BLOCK = 1 << 16

_DATA_FILTER = getattr(tarfile, "data_filter", None)
"""Python's own judgement of an entry; missing before 3.10.12 and 3.11.4. The rules here are stricter and need no help
from it, but it is kept up with what becomes known about archives."""


@dataclass
class Contents:
    """The unpacked paths, relative to the directory, parents before their content."""

    directories: list[str] = field(default_factory=list)
    files: list[str] = field(default_factory=list)


def unpack(archive: IO[bytes], destination: Path) -> Contents:
    """Unpack a gzip-compressed tar into an empty directory that nobody else writes to.

    Only regular files and directories are accepted; of their permissions only "executable" is kept. After an error
    `destination` holds some of the files.

    Raises:
        PlatformError: if the archive is broken, is not one, is too large, or holds anything else, a path that leads
            outside, or one path twice.
        OSError: if a file cannot be written.
    """
    with _reported_faults():
        unpacked = _Limited(gzip.GzipFile(fileobj=archive, mode="rb"))
        # As a stream, so that a hostile header cannot send the reader back and forth.
        with tarfile.open(fileobj=cast("IO[bytes]", unpacked), mode="r|") as entries:
            contents = _Unpacking(destination).run(entries)
        while unpacked.read(BLOCK):  # the checksum is behind the last byte
            pass
    if not contents.files:
        raise PlatformError("The template's archive holds no files")
    return contents


@contextmanager
def _reported_faults() -> Iterator[None]:
    try:
        yield
    except (tarfile.TarError, zlib.error, gzip.BadGzipFile, EOFError, ValueError, OverflowError) as error:
        raise PlatformError(
            f"The template's archive is broken: {error}",
            "Try again; if it happens again, contact the platform's administrator",
        ) from error


class _Limited:
    """A stream that raises beyond `UNPACKED_LIMIT`, before the data is held in memory."""

    def __init__(self, stream: gzip.GzipFile) -> None:
        self._stream = stream
        self._left = UNPACKED_LIMIT

    def read(self, size: int) -> bytes:
        block = self._stream.read(min(size, self._left + 1))
        self._left -= len(block)
        if self._left < 0:
            raise _too_large()
        return block


class _Unpacking:
    def __init__(self, destination: Path) -> None:
        self._destination = destination
        self._contents = Contents()
        self._is_file: dict[str, bool] = {}
        """The kind of each unpacked path: file or directory."""

    def run(self, entries: tarfile.TarFile) -> Contents:
        size = 0
        for count, entry in enumerate(entries, 1):
            size += entry.size
            if size > UNPACKED_LIMIT:  # said in advance: no need to fill the disk first
                raise _too_large()
            if count > ENTRY_LIMIT:
                raise PlatformError(f"The template's archive holds more than {ENTRY_LIMIT:,} files and directories")
            parts = self._checked(entry)
            if entry.isdir():
                self._make_directories(entry, parts)
            else:
                self._make_directories(entry, parts[:-1])
                self._write_file(entries, entry, "/".join(parts))
        return self._contents

    def _checked(self, entry: tarfile.TarInfo) -> list[str]:
        """The components of an entry's path, if it may be unpacked."""
        entry.name = name = native(entry.name)
        parts = [part for part in name.split("/") if part not in {"", "."}]
        if not (entry.isreg() or entry.isdir()) or entry.issparse():
            _refuse(entry, "is neither a file nor a directory")
        if name.startswith("/") or ".." in parts or (entry.isreg() and not parts):
            _refuse(entry, "points outside the template")
        if any(ord(character) < 0x20 or 0x7F <= ord(character) < 0xA0 for character in name):
            _refuse(entry, "has control characters in its name")
        if _DATA_FILTER:
            _DATA_FILTER(entry, str(self._destination))
        return parts

    def _make_directories(self, entry: tarfile.TarInfo, parts: list[str]) -> None:
        for depth in range(1, len(parts) + 1):
            path = "/".join(parts[:depth])
            if self._is_file.get(path):
                _refuse(entry, f"needs a directory where {path!r} is a file")
            if path not in self._is_file:
                os.mkdir(self._destination / path)
                self._is_file[path] = False
                self._contents.directories.append(path)

    def _write_file(self, entries: tarfile.TarFile, entry: tarfile.TarInfo, path: str) -> None:
        if path in self._is_file:
            _refuse(entry, "occurs twice")
        flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW
        mode = 0o777 if entry.mode & 0o100 else 0o666
        source = entries.extractfile(entry)
        assert source, "the entry is a regular file"
        with source, open(os.open(self._destination / path, flags, mode), "wb") as target:
            while block := source.read(BLOCK):
                target.write(block)
        self._is_file[path] = True
        self._contents.files.append(path)


def _too_large() -> PlatformError:
    return PlatformError(f"The template's archive holds more than {UNPACKED_LIMIT >> 20} MiB")


def _refuse(entry: tarfile.TarInfo, why: str) -> NoReturn:
    raise PlatformError(
        f"The template's archive is not safe to unpack: {entry.name!r} {why}",
        "Nothing was unpacked; report it to the platform's administrator",
    )
