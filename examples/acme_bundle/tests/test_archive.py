"""The archive keeps the storage contract, and says what is wrong."""

from __future__ import annotations

import io
import uuid
from pathlib import Path
from typing import Any

import pytest
from acme_bundle.archive import MISTAKEN, Archive, open_archive
from conftest import keep

from algo_core import App
from algo_core.errors import AuthError, ConfigError, NetworkError, RequestRefused, TlsError
from algo_core.storage import IsADirectory, Storage
from algo_core.storage.uri import DataUri
from algo_core.testing import Home, StorageContract
from algo_core.testing.storage import ODD_NAMES


@pytest.fixture
def archive(acme: Home) -> Archive:
    return open_archive(App(acme.environ), DataUri("acme", ""))


class TestArchive(StorageContract):
    contract = (1, 1)

    @pytest.fixture
    def storage(self, archive: Archive) -> Archive:
        return archive

    @pytest.fixture
    def directory(self, storage: Archive) -> DataUri:
        made = DataUri("acme", uuid.uuid4().hex)
        storage.mkdir(made)
        return made

    @pytest.mark.parametrize("name", [name for name in ODD_NAMES if not set(name) & set(MISTAKEN)])
    def test_any_name_is_kept(self, storage: Storage, directory: DataUri, name: str) -> None:
        super().test_any_name_is_kept(storage, directory, name)


@pytest.mark.parametrize("name", ["question?mark", "a;b"])
def test_a_name_that_the_server_would_mistake_is_refused(archive: Archive, name: str) -> None:
    made = DataUri("acme", uuid.uuid4().hex)
    archive.mkdir(made)
    with pytest.raises(RequestRefused):
        archive.write(made.child(name), io.BytesIO(b"x"), 1)
    assert list(archive.list(made)) == []


def test_a_directory_is_never_replaced_by_a_file(archive: Archive) -> None:
    made = DataUri("acme", uuid.uuid4().hex)
    archive.mkdir(made)
    archive.write(made.child("precious"), io.BytesIO(b"x"), 1)
    for uri in (made, DataUri("acme", f"{made.path}/"), DataUri("acme", "")):
        with pytest.raises(IsADirectory):
            archive.write(uri, io.BytesIO(b"y"), 1)
    assert archive.stat(made.child("precious")).size == 1


class OneWay(io.RawIOBase):
    """A pipe: it gives 3 MiB, and cannot go back."""

    left = 3 << 20

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any, /) -> int:
        count = min(len(buffer), self.left, 70_001)
        buffer[:count] = b"p" * count
        self.left -= count
        return count


def test_what_cannot_be_read_twice_is_uploaded_once(archive: Archive) -> None:
    uri = DataUri("acme", f"pipe-{uuid.uuid4().hex}")
    assert archive.write(uri, OneWay()).size == 3 << 20
    assert archive.stat(uri).size == 3 << 20


def test_a_token_that_is_not_known_is_told(acme: Home, session_file: Path) -> None:
    keep(session_file, access_token="another one")
    archive = open_archive(App(acme.environ), DataUri("acme", ""))
    with pytest.raises(AuthError) as caught:
        archive.stat(DataUri("acme", ""))
    assert caught.value.hint == "Log in with: algo acme login"


def test_the_public_roots_alone_do_not_do(acme: Home, archive_server: Any) -> None:
    acme.write_site_config(f'[acme]\narchive = "{archive_server.address}"\n')
    archive = open_archive(App(acme.environ), DataUri("acme", ""))  # trusts the CA of the package
    with pytest.raises(TlsError):
        archive.stat(DataUri("acme", ""))


@pytest.mark.parametrize(
    "table",
    [
        'archive = "http://archive.acme.example"',
        'archive = "nowhere"',
        "archive = 3",
        'ca_cert = "/none"',
    ],
)
def test_an_administrators_table_that_is_wrong_is_told(acme: Home, table: str) -> None:
    acme.write_site_config(f"[acme]\n{table}\n")
    with pytest.raises(ConfigError):
        open_archive(App(acme.environ), DataUri("acme", ""))


def test_an_archive_that_is_down_is_told(acme: Home) -> None:
    acme.write_site_config('[acme]\narchive = "https://127.0.0.1:9/files"\n')
    archive = open_archive(App({**acme.environ, "ALGO_RETRIES": "0"}), DataUri("acme", ""))
    with pytest.raises(NetworkError):
        archive.stat(DataUri("acme", ""))
