"""`StorageContract` passes a storage in memory that keeps the contract, and fails each mutant of it."""

from __future__ import annotations

import hashlib
import io
from collections.abc import Callable, Iterator
from pathlib import PurePosixPath

import pytest

from algo_core.errors import AlgoError, AlreadyExists, NotFoundError, RequestRefused
from algo_core.storage.contract import (
    Checksum,
    Entry,
    IsADirectory,
    Kind,
    NotADirectory,
    SizeMismatch,
    Source,
    Storage,
)
from algo_core.storage.uri import DataUri
from algo_core.testing.storage import StorageContract

ROOT = DataUri("memory", "root")


class MemoryReader(io.BytesIO):
    """A file as it was when it was opened."""

    entry: Entry
    offset: int


class Memory(Storage):
    """Files and directories in a dictionary; None stands for a directory."""

    paths_are_keys = True

    def __init__(self) -> None:
        self.content: dict[str, bytes | None] = {"root": None}

    def stat(self, uri: DataUri) -> Entry:
        if uri.path not in self.content:
            raise NotFoundError(f"There is no {uri}")
        content = self.content[uri.path]
        if content is None:
            return Entry(uri, Kind.DIRECTORY)
        digest = hashlib.md5(content).hexdigest()
        return Entry(uri, Kind.FILE, len(content), checksum=Checksum("md5", digest), version=digest)

    def list(self, uri: DataUri) -> Iterator[Entry]:
        if not self.stat(uri).is_directory:
            raise NotADirectory(f"{uri} is a file")
        names = [path.rpartition("/")[2] for path in self.content if path.rpartition("/")[0] == uri.path]
        yield from sorted((self.stat(uri.child(name)) for name in names), key=lambda entry: not entry.is_directory)

    def open(self, uri: DataUri, offset: int = 0, *, version: str | None = None) -> MemoryReader:
        entry = self.stat(uri)
        content = self.content[uri.path]
        if content is None:
            raise IsADirectory(f"{uri} is a directory")
        reader = MemoryReader(content)
        reader.entry, reader.offset = entry, 0 if version not in (None, entry.version) else offset
        reader.seek(reader.offset)
        return reader

    def write(self, uri: DataUri, source: Source, size: int | None = None) -> Entry:
        self.check_parent(uri)
        content, buffer = bytearray(), bytearray(100_000)
        while count := source.readinto(buffer):
            content += buffer[:count]
        if size not in (None, len(content)):
            assert size is not None
            raise SizeMismatch(len(content), size)
        self.content[uri.path] = bytes(content)
        return self.stat(uri)

    def check_parent(self, uri: DataUri) -> None:
        if "//" in uri.path or {".", "..", ""} & set(uri.path.split("/")):
            raise RequestRefused(f"No path: {uri}")
        if str(PurePosixPath(uri.path).parent) not in self.content:
            raise NotFoundError(f"There is no directory for {uri}")

    def mkdir(self, uri: DataUri) -> None:
        self.check_parent(uri)
        if uri.path in self.content:
            raise AlreadyExists(f"{uri} exists")
        self.content[uri.path] = None

    def rmdir(self, uri: DataUri, *, force: bool = False) -> int:
        below = [entry.uri for entry in self.list(uri)]
        if below and not force:
            raise RequestRefused(f"{uri} is not empty")
        count = 0
        for found in below:
            count += self.rmdir(found, force=True) if self.stat(found).is_directory else 1
            self.content.pop(found.path, None)
        del self.content[uri.path]
        return count

    def remove(self, uri: DataUri) -> None:
        if self.stat(uri).is_directory:
            raise IsADirectory(f"{uri} is a directory")
        del self.content[uri.path]


class TestMemory(StorageContract):
    contract = (1, 1)

    @pytest.fixture
    def storage(self) -> Storage:
        return Memory()

    @pytest.fixture
    def directory(self, storage: Storage) -> DataUri:
        return ROOT


class MakesParents(Memory):
    def check_parent(self, uri: DataUri) -> None:
        self.content.setdefault(str(PurePosixPath(uri.path).parent), None)


class MakesParentsOfSmallFiles(Memory):
    def write_small(self, uri: DataUri, content: bytes) -> Entry:
        self.content.setdefault(str(PurePosixPath(uri.path).parent), None)
        return super().write_small(uri, content)


class MakesParentsOfDirectories(Memory):
    def mkdir(self, uri: DataUri) -> None:
        self.content.setdefault(str(PurePosixPath(uri.path).parent), None)
        super().mkdir(uri)


class ListsWrongChecksums(Memory):
    def list(self, uri: DataUri) -> Iterator[Entry]:
        for entry in super().list(uri):
            yield entry._replace(checksum=entry.checksum and Checksum("sha1", entry.checksum.digest))


class ScansStaleChecksums(Memory):
    def scan(self, uri: DataUri) -> Iterator[Entry]:
        for entry in super().list(uri):
            yield entry._replace(checksum=Checksum("md5", hashlib.md5(b"").hexdigest()))


class ReportsWhatWasSent(Memory):
    def write(self, uri: DataUri, source: Source, size: int | None = None) -> Entry:
        return super().write(uri, source, size)._replace(checksum=Checksum("md5", "0" * 32))


class IgnoresSlashAtTheEnd(Memory):
    def stat(self, uri: DataUri) -> Entry:
        return super().stat(uri._replace(path=uri.path.rstrip("/")))


class WrapsOffsets(Memory):
    def open(self, uri: DataUri, offset: int = 0, *, version: str | None = None) -> MemoryReader:
        reader = super().open(uri, offset, version=version)
        if reader.offset >= (reader.entry.size or 0):
            reader.seek(0)
        return reader


class ReadsCurrentContent(Memory):
    """A reader that looks the file up again at each block."""

    def open(self, uri: DataUri, offset: int = 0, *, version: str | None = None) -> MemoryReader:
        storage = self

        class Current(MemoryReader):
            def readinto(self, buffer: bytearray | memoryview, /) -> int:  # type: ignore[override]
                content = storage.content[uri.path] or b""
                block = content[self.tell() : self.tell() + len(buffer)]
                buffer[: len(block)] = block
                self.seek(len(block), io.SEEK_CUR)
                return len(block)

        opened = super().open(uri, offset, version=version)
        reader = Current(opened.getvalue())
        reader.entry, reader.offset = opened.entry, opened.offset
        reader.seek(reader.offset)
        return reader


def _called(name: str, **arguments: object) -> Callable[[Storage], None]:
    def call(storage: Storage) -> None:
        getattr(TestMemory(), name)(storage=storage, directory=ROOT, **arguments)

    return call


PARENT = "test_nothing_is_made_below_a_missing_directory"
CHECKSUM = _called("test_a_checksum_is_that_of_the_content")
CHANGE = "test_a_file_that_changes_while_it_is_read_is_given_whole_or_fails"


def _below_a_missing_one(storage: Storage) -> None:
    getattr(TestMemory(), PARENT)(storage=storage, place_for_directories=ROOT)


@pytest.mark.parametrize(
    ("mutant", "test"),
    [
        (MakesParents, _below_a_missing_one),
        (MakesParentsOfSmallFiles, _below_a_missing_one),
        (MakesParentsOfDirectories, _below_a_missing_one),
        (ListsWrongChecksums, CHECKSUM),
        (ScansStaleChecksums, CHECKSUM),
        (ReportsWhatWasSent, CHECKSUM),
        (IgnoresSlashAtTheEnd, _called("test_a_path_is_never_taken_for_another", written="{}/file/")),
        (WrapsOffsets, _called("test_nothing_is_read_beyond_the_end", offset=11)),
        (ReadsCurrentContent, _called(CHANGE, is_removed=False)),
        (ReadsCurrentContent, _called(CHANGE, is_removed=True)),
    ],
    ids=lambda value: value.__name__ if isinstance(value, type) else "",
)
def test_a_mutant_fails(mutant: type[Memory], test: Callable[[Storage], None]) -> None:
    test(Memory())
    with pytest.raises((AssertionError, AlgoError, pytest.fail.Exception, KeyError)):
        test(mutant())
