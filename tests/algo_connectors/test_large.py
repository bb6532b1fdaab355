"""Files of several parts: whole, or not there at all; in constant memory; and nothing unfinished left behind."""

from __future__ import annotations

import io
import tracemalloc
import uuid
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from support.dropbox import DropboxServer
from support.stores import Store, s3_call

from algo_connectors.common import allowance, reading
from algo_connectors.common.remote import RemoteStorage
from algo_core.errors import AlgoError, NotFoundError
from algo_core.storage.contract import Storage
from algo_core.storage.uri import DataUri

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
        assert not s3_call(store, "list_multipart_uploads", Bucket="bucket").get("Uploads")


def peaks(storage: Storage, uris: Sequence[DataUri], size: int) -> tuple[int, int]:
    """The most bytes that Python held while files of this size were written, and while they were read."""
    with ThreadPoolExecutor(len(uris)) as pool:
        tracemalloc.start()
        try:
            list(pool.map(lambda uri: storage.write(uri, Pattern(size), size), uris))
            written = tracemalloc.get_traced_memory()[1]
            tracemalloc.reset_peak()
            assert list(pool.map(lambda uri: sum(map(len, blocks(storage, uri))), uris)) == [size] * len(uris)
            return written, tracemalloc.get_traced_memory()[1]
        finally:
            tracemalloc.stop()


@pytest.fixture
def small_parts(s3: Store, monkeypatch: pytest.MonkeyPatch) -> RemoteStorage:
    """A store whose parts and ranges are of 1 MiB instead of 8."""
    monkeypatch.setattr(RemoteStorage, "part_size", MIB)
    monkeypatch.setattr(reading, "BLOCK", MIB)
    monkeypatch.setattr(reading, "LEAST", MIB // 8)
    storage = s3.open()
    assert isinstance(storage, RemoteStorage)
    storage.write(s3.uri("warm"), Pattern(2 * MIB), None)  # so that the packages have what they need for themselves
    return storage


# A part that is on its way is held twice: here, and by asyncio until the connection has taken it.


def test_memory_does_not_grow_with_the_file(small_parts: RemoteStorage, s3: Store) -> None:
    for size in (16 * MIB, 48 * MIB):
        written, read = peaks(small_parts, [s3.uri(f"memory-{uuid.uuid4().hex}")], size)
        assert written < (2 * small_parts.parallel + 4) * MIB
        assert read < (2 * small_parts.parallel) * MIB


def test_memory_does_not_grow_with_the_number_of_files(small_parts: RemoteStorage, s3: Store) -> None:
    small_parts.readable, small_parts.writable = allowance.Allowance(6 * MIB), allowance.Allowance(6 * MIB)
    uris = [s3.uri(f"memory-{uuid.uuid4().hex}") for _ in range(12)]
    written, read = peaks(small_parts, uris, 4 * MIB)
    assert written < (2 * 6 + 6) * MIB
    assert read < (6 + 6) * MIB


def test_what_waits_for_room_goes_on_when_there_is_some_or_nobody_gives_any(monkeypatch: pytest.MonkeyPatch) -> None:
    room = allowance.Allowance(10)
    room.take(20)  # larger than everything, and nobody else is there
    assert not room.take_at_once(1)
    with ThreadPoolExecutor(1) as pool:
        waiting = pool.submit(room.take, 10)
        room.give_back(20)
        waiting.result(timeout=60)
    monkeypatch.setattr(allowance, "MAX_WAIT_SECONDS", 0.01)
    room.take(1)
    room.give_back(11)
    assert room.take_at_once(10)


def test_a_busy_store_is_asked_again(dropbox: Store, dropbox_server: DropboxServer) -> None:
    storage, uri = dropbox.open(), dropbox.uri("busy.txt")
    dropbox_server.busy.update({"upload": 2, "download": 1, "get_metadata": 1})
    storage.write(uri, Pattern(5), 5)
    assert storage.stat(uri).size == 5
    assert len(b"".join(blocks(storage, uri))) == 5
    assert sum(dropbox_server.busy.values()) == 0
