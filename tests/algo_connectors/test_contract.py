"""Every store keeps the contract, each against a server that speaks its real protocol."""

from __future__ import annotations

import functools
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from support.ordinary import closed
from support.stores import Store

from algo_connectors.common.objects import ObjectStorage
from algo_core.storage.contract import Storage
from algo_core.storage.uri import DataUri
from algo_core.testing.keys import KeyContract
from algo_core.testing.storage import StorageContract


@functools.cache
def opened(store: Store) -> Storage:
    """One storage for all tests of a store, as in a command."""
    return store.open()


class _Opened:
    @pytest.fixture
    def store(self) -> Store:
        raise NotImplementedError

    @pytest.fixture
    def storage(self, store: Store) -> Storage:
        return opened(store)

    @pytest.fixture
    def directory(self, store: Store, storage: Storage) -> DataUri:
        made = store.uri(f"contract-{uuid.uuid4().hex}")
        storage.mkdir(made)
        return made


class _Store(_Opened, StorageContract):
    contract = (1, 1)

    needs_directories = False

    @pytest.fixture(autouse=True)
    def refused_store(self, store: Store, refusing: str) -> None:
        address = {name: refusing for name in ("endpoint_url", "storage_uri") if name in store.options}
        self._refused = Store(store.scheme, {**store.options, **address}, store.root)

    @contextmanager
    def unreadable(self, storage: Storage, directory: DataUri) -> Iterator[tuple[Storage, DataUri]]:
        yield self._refused.open(), directory


class _Keys(_Opened, KeyContract):
    def make(self, storage: Storage, uri: DataUri, content: bytes) -> None:
        assert isinstance(storage, ObjectStorage)
        storage.put(uri, content)


class TestKeysOfS3(_Keys):
    @pytest.fixture
    def store(self, s3: Store) -> Store:
        return s3


class TestKeysOfSeaweed(_Keys):
    """It takes `a//b` for `a/b`, keeps nothing behind a slash, and refuses the rest."""

    odd_keys = ("..c/b",)
    marks_have_content = False

    @pytest.fixture
    def store(self, seaweed: Store) -> Store:
        return seaweed


class TestKeysOfAzureBlob(_Keys):
    odd_keys = ("o//b", "o///b", "/lead", "..c/b")

    @pytest.fixture
    def store(self, azureblob: Store) -> Store:
        return azureblob


class TestKeysOfGoogleStorage(_Keys):
    @pytest.fixture
    def store(self, gs: Store) -> Store:
        return gs


class TestS3(_Store):
    conditions_are_atomic = False  # of moto, which answers in threads

    @pytest.fixture
    def store(self, s3: Store) -> Store:
        return s3


class TestS3ThroughS3fs(_Store):
    conditions_are_atomic = False

    @pytest.fixture
    def store(self, s3fs: Store) -> Store:
        return s3fs


class TestAzureBlob(_Store):
    @pytest.fixture
    def store(self, azureblob: Store) -> Store:
        return azureblob


class TestAzureBlobThroughAdlfs(_Store):
    @pytest.fixture
    def store(self, adlfs: Store) -> Store:
        return adlfs


class TestGoogleStorage(_Store):
    conditional_sizes = (4096,)  # fake-gcs-server ignores those of resumable uploads

    @pytest.fixture
    def store(self, gs: Store) -> Store:
        return gs


class TestGoogleStorageThroughGcsfs(TestGoogleStorage):
    @pytest.fixture
    def store(self, gcsfs: Store) -> Store:
        return gcsfs


class TestDropbox(_Store):
    @pytest.fixture
    def store(self, dropbox: Store) -> Store:
        return dropbox


class TestAnyOtherProtocol(_Store):
    """A directory through fsspec's own class, which no code here knows."""

    needs_directories = True

    @pytest.fixture
    def store(self, tmp_path: Path) -> Store:
        self.root = tmp_path
        return Store("local", {"root": str(tmp_path)}, "")

    @contextmanager
    def unreadable(self, storage: Storage, directory: DataUri) -> Iterator[tuple[Storage, DataUri]]:
        with closed(self.root / directory.path):
            yield storage, directory


class TestS3OfSeaweed(_Store):
    @pytest.fixture
    def store(self, seaweed: Store) -> Store:
        return seaweed
