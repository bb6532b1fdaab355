"""Files of several parts: whole, or not there at all; in constant memory; and nothing unfinished left behind."""

from __future__ import annotations

import io
import tracemalloc
import uuid
from collections.abc import Iterator
from pathlib import Path

import pytest
from support.dropbox import DropboxServer
from support.stores import Store

from algo_core.errors import AlgoError, NotFoundError
from algo_core.storage import Storage
from algo_core.uri import DataUri

MIB = 1 << 20
SIZE = 20 * MIB + 12345


class Pattern(io.RawIOBase):
    """So many bytes, each block of which says where it stands; it can fail at any of them."""

    def __init__(self, size: int, fails_at: int | None = None) -> None:
        self.size, self.position, self.fails_at = size, 0, fails_at

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: bytearray | memoryview) -> int:
        if self.fails_at is not None and self.position >= self.fails_at:
            raise AlgoError("the source failed")
        number, start = divmod(self.position, MIB)
        block = number.to_bytes(8, "big") * (MIB // 8)
        count = min(len(buffer), MIB - start, self.size - self.position)
        memoryview(buffer)[:count] = block[start : start + count]
        self.position += count
        return count


@pytest.fixture(params=["s3", "seaweed", "azureblob", "gs", "dropbox", "other"])
def store(request: pytest.FixtureRequest, tmp_path: Path) -> Store:
    return (
        Store("local", {"root": str(tmp_path)}, "")
        if request.param == "other"
        else request.getfixturevalue(request.param)
    )


@pytest.fixture
def storage(store: Store) -> Storage:
    return store.open()


@pytest.fixture
def uri(store: Store, storage: Storage) -> DataUri:
    directory = store.uri(f"large-{uuid.uuid4().hex}")
    storage.mkdir(directory)
    return directory.child("file")


def blocks(storage: Storage, uri: DataUri, offset: int = 0) -> Iterator[bytes]:
    reader = storage.open(uri, offset)
    buffer = bytearray(300_000)
    try:
        while count := reader.readinto(buffer):
            yield bytes(buffer[:count])
    finally:
        reader.close()


@pytest.mark.parametrize("size", [SIZE, None])
def test_a_file_of_several_parts_is_read_as_it_was_written(storage: Storage, uri: DataUri, size: int | None) -> None:
    entry = storage.write(uri, Pattern(SIZE), size)
    assert entry.size == storage.stat(uri).size == SIZE
    expected = Pattern(SIZE).read()
    assert b"".join(blocks(storage, uri)) == expected
    assert b"".join(blocks(storage, uri, 9 * MIB + 1)) == expected[9 * MIB + 1 :]


@pytest.mark.parametrize("fails_at", [1, 8 * MIB, 17 * MIB, SIZE])
def test_a_source_that_fails_leaves_nothing(store: Store, storage: Storage, uri: DataUri, fails_at: int) -> None:
    with pytest.raises(AlgoError, match="the source failed"):
        storage.write(uri, Pattern(SIZE, fails_at), SIZE)
    with pytest.raises(NotFoundError):
        storage.stat(uri)
    assert list(storage.list(uri.parent)) == []
    if store.scheme == "s3":
        assert not storage.call("list_multipart_uploads", Bucket="bucket").get("Uploads")  # type: ignore[attr-defined]


def test_memory_does_not_grow_with_the_file(s3: Store) -> None:
    storage, uri = s3.open(), s3.uri(f"memory-{uuid.uuid4().hex}")
    storage.write(uri, Pattern(1), 1)  # what the packages need for themselves
    size = 160 * MIB
    tracemalloc.start()
    try:
        storage.write(uri, Pattern(size), None)
        written = tracemalloc.get_traced_memory()[1]
        tracemalloc.reset_peak()
        assert sum(map(len, blocks(storage, uri))) == size
        read = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
        storage.remove(uri)
    assert max(written, read) < 96 * MIB


def test_a_busy_store_is_asked_again(dropbox: Store, dropbox_server: DropboxServer) -> None:
    storage, uri = dropbox.open(), dropbox.uri("busy.txt")
    dropbox_server.busy.update({"upload": 2, "download": 1, "get_metadata": 1})
    storage.write(uri, Pattern(5), 5)
    assert storage.stat(uri).size == 5
    assert len(b"".join(blocks(storage, uri))) == 5
    assert sum(dropbox_server.busy.values()) == 0
