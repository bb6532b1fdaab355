"""Large files come from a store over several connections, and never as two versions in one file."""

from __future__ import annotations

import io
import threading
import uuid
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from support.stores import Store

from algo_connectors.azureblob import AzureStorage
from algo_connectors.common import direct, reading
from algo_connectors.common.remote import VersionedStorage
from algo_connectors.gs import GoogleStorage
from algo_connectors.s3 import S3Storage
from algo_core.storage.contract import Entry
from algo_core.storage.uri import DataUri
from algo_data.engine.options import CopyOptions
from algo_data.engine.run import large, worker
from algo_data.engine.transfer import Place, Transfer
from algo_data.local.storage import LocalStorage

MIB = 1 << 20
SIZE = 4 * MIB + 12345
BLOCK = MIB // 8
PART = MIB // 2

Fetch = Callable[[DataUri, int, int, "str | None"], "tuple[Entry, bytes]"]


class Steep:
    """A pace that asks for all connections at once, and a spare one for each."""

    def __init__(self, *, most: int = 16, start: int = 1) -> None:
        self._most = min(most, 6)

    def wanted(self, done: float, active: int) -> int:
        return self._most

    def take(self) -> bool:
        return True

    def give_back(self) -> None:
        pass


class Watched:
    """What a store is asked for; `between` is called with the number of each range before it is fetched."""

    def __init__(self, storage: VersionedStorage, monkeypatch: pytest.MonkeyPatch) -> None:
        self.ranges: list[tuple[int, int]] = []
        self.between: Callable[[int], None] = lambda number: None
        self._lock = threading.Lock()
        self._fetch: Fetch = storage.fetch
        self.streams = isinstance(storage, (S3Storage, AzureStorage, GoogleStorage))
        """Whether a request is for all that is wanted, and not for a block of it."""
        if isinstance(storage, GoogleStorage):
            self._watch(monkeypatch, storage.api, "open_media")
        elif isinstance(storage, (S3Storage, AzureStorage)):
            self._watch(monkeypatch, storage.client, "open_object" if isinstance(storage, S3Storage) else "open_blob")
        else:
            monkeypatch.setattr(storage, "fetch", self.fetch)

    def _watch(self, monkeypatch: pytest.MonkeyPatch, client: object, name: str) -> None:
        self._open = getattr(client, name)
        monkeypatch.setattr(client, name, self.open)

    def open(self, bucket: str, key: str, start: int, stop: int | None, etag: str | None) -> Any:
        self._count(start, SIZE if stop is None else stop)
        return self._open(bucket, key, start, stop, etag)

    def _count(self, start: int, stop: int) -> None:
        with self._lock:
            self.ranges.append((start, stop))
            number = len(self.ranges)
        self.between(number)

    def fetch(self, uri: DataUri, start: int, stop: int, version: str | None) -> tuple[Entry, bytes]:
        self._count(start, stop)
        return self._fetch(uri, start, stop, version)


def content(version: int) -> bytes:
    """Each 8 bytes say of which version they are and where they stand."""
    return b"".join((version << 40 | at).to_bytes(8, "big") for at in range(0, SIZE, 8))[:SIZE]


@pytest.fixture(params=["s3", "seaweed", "azureblob", "gs", "dropbox"])
def store(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> Store:
    monkeypatch.setattr(reading, "BLOCK", BLOCK)
    monkeypatch.setattr(reading, "LEAST", BLOCK // 2)
    monkeypatch.setattr(worker, "LARGE", MIB)
    monkeypatch.setattr(large, "PART", PART)
    monkeypatch.setattr(large, "PART_BLOCK", BLOCK // 4)
    monkeypatch.setattr(direct, "FIRST", PART)
    monkeypatch.setattr(large, "AdaptiveConcurrency", Steep)
    found: Store = request.getfixturevalue(request.param)
    return found


@pytest.fixture
def versioned(store: Store) -> VersionedStorage:
    storage = store.open()
    assert isinstance(storage, VersionedStorage)
    return storage


@pytest.fixture
def uri(store: Store, versioned: VersionedStorage) -> DataUri:
    uri = store.uri(f"parts-{uuid.uuid4().hex}")
    versioned.write(uri, io.BytesIO(content(1)), SIZE)
    return uri


def copy(storage: VersionedStorage, uri: DataUri, target: Path) -> None:
    transfer = Transfer(Place(storage, uri), Place(LocalStorage(), DataUri("file", str(target))))
    worker.execute(transfer, lambda position, size: None, CopyOptions(tries=4), budget=Steep())


def test_a_large_file_comes_over_several_connections(
    versioned: VersionedStorage, uri: DataUri, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    watched = Watched(versioned, monkeypatch)
    meeting = threading.Barrier(4, timeout=60)

    def meet(number: int) -> None:
        first = 1 if watched.streams else 8
        if first < number <= first + 4:  # four requests that wait for each other
            meeting.wait()

    watched.between = meet
    copy(versioned, uri, tmp_path / "f")
    assert (tmp_path / "f").read_bytes() == content(1)
    if watched.streams:  # it begins over several connections
        assert sorted(watched.ranges) == [(start, min(start + PART, SIZE)) for start in range(0, SIZE, PART)]
        return
    # Nothing twice but what the first stream had asked for ahead when the others came, and one byte to try whether
    # there are parts.
    assert sum(min(stop, SIZE) - start for start, stop in watched.ranges) <= SIZE + 1 + versioned.parallel * BLOCK
    assert max(stop - start for start, stop in watched.ranges) == BLOCK


@pytest.mark.parametrize("number", [2, 6, 12])
def test_two_versions_are_never_mixed(
    store: Store,
    versioned: VersionedStorage,
    uri: DataUri,
    number: int,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """The file is replaced by one of the same size before one of the requests for its ranges.

    The later ones may be asked for ahead by the first stream, and not needed any more when the parts are there.
    """
    watched, other = Watched(versioned, monkeypatch), store.open()

    def replace(at: int) -> None:
        if at == number:
            other.write(uri, io.BytesIO(content(2)), SIZE)

    watched.between = replace
    copy(versioned, uri, tmp_path / "f")
    is_late = watched.streams or number > 2  # an open stream goes on with what there was
    assert (tmp_path / "f").read_bytes() in ({content(1), content(2)} if is_late else {content(2)})
    assert [path.name for path in tmp_path.iterdir()] == ["f"]
