"""Each storage of the plugin keeps the contract."""

from __future__ import annotations

import io
import os
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from support.ordinary import closed

from algo_core.http.api import ApiClient
from algo_core.http.client import Hooks, HttpClient
from algo_core.http.transport import Transport
from algo_core.settings.credentials import Credential, Secret
from algo_core.settings.profile import Profile
from algo_core.storage.contract import Storage
from algo_core.storage.uri import DataUri
from algo_core.testing.storage import StorageContract
from algo_data.hosted.storage import HostedStorage
from algo_data.local.storage import LocalStorage
from algo_local.platform import Platform
from algo_local.serving.http.listener import listen
from algo_local.serving.http.server import Server
from algo_local.web.app import Application
from algo_local.web.transport import EmbeddedTransport


class TestLocal(StorageContract):
    contract = (1, 1)

    takes_paths_as_written = False

    @pytest.fixture
    def storage(self) -> Storage:
        return LocalStorage()

    @pytest.fixture
    def directory(self, tmp_path: Path) -> DataUri:
        return DataUri("file", str(tmp_path))

    @contextmanager
    def unreadable(self, storage: Storage, directory: DataUri) -> Iterator[tuple[Storage, DataUri]]:
        with closed(Path(directory.path)):
            yield storage, directory


class _Hosted(StorageContract):
    contract = (1, 1)

    takes_paths_as_written = False

    @pytest.fixture
    def directory(self, storage: Storage) -> DataUri:
        storage.mkdir(DataUri("data", ".my/contract"))
        return DataUri("data", ".my/contract")

    @pytest.fixture
    def place_for_directories(self) -> DataUri:
        return DataUri("data", ".my")


def _api(
    address: str, transport: Transport | None = None, key: str | None = None, hooks: Hooks | None = None
) -> ApiClient:
    hooks = hooks or Hooks(transport=lambda profile: transport)
    credential = Credential("api_key", Secret(key)) if key else None
    profile = Profile("default", address, credential=credential)
    return ApiClient(HttpClient(profile, timeout=(60, 60), retries=0, hooks=hooks))


@pytest.fixture(scope="module")
def platform(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Platform]:
    with pytest.MonkeyPatch.context() as environ:
        environ.setenv("LOGNAME", "jane")
        platform = Platform(tmp_path_factory.mktemp("platform"))
        yield platform
        platform.close()


@pytest.fixture(scope="module")
def address(platform: Platform) -> Iterator[str]:
    listener = listen("127.0.0.1", 0)
    server = Server(Application(platform), listener)
    server.run()
    yield f"http://127.0.0.1:{listener.getsockname()[1]}"
    server.stop()


class TestEmbedded(_Hosted):
    root: Path

    @pytest.fixture
    def storage(self, platform: Platform) -> Iterator[Storage]:
        self.root = platform.root
        api = _api("local:", EmbeddedTransport(Application(platform, trusted=True)))
        storage = HostedStorage(api, "data")
        yield storage
        for made in ("contract", "made"):
            if storage.exists(DataUri("data", f".my/{made}")):
                storage.rmdir(DataUri("data", f".my/{made}"), force=True)
        api.client.close()

    @contextmanager
    def unreadable(self, storage: Storage, directory: DataUri) -> Iterator[tuple[Storage, DataUri]]:
        with closed(self.root / "data" / "jane" / "contract"):
            yield storage, directory


class TestServed(_Hosted):
    @pytest.fixture
    def account_name(self) -> str:
        return f"u{uuid.uuid4().hex[:12]}"

    @pytest.fixture(params=["own connections", "requests"])
    def storage(
        self, platform: Platform, address: str, account_name: str, request: pytest.FixtureRequest
    ) -> Iterator[Storage]:
        key = platform.keys.create(platform.metadata.ensure_account(account_name), "test")[1]
        through_requests = Hooks(configure=lambda session, profile: session.params.update({"x": "1"}))
        api = _api(address, key=key, hooks=through_requests if request.param == "requests" else None)
        yield HostedStorage(api, "data")
        api.client.close()

    def test_my_is_the_callers_own_name(self, storage: Storage, account_name: str) -> None:
        assert storage.is_same(DataUri("data", ".my/c/f"), DataUri("data", f"{account_name}/c/f"))
        assert not storage.is_same(DataUri("data", ".my/c/f"), DataUri("data", "bob/c/f"))
        assert not storage.is_same(DataUri("data", ".my/c/f"), DataUri("data", f"{account_name}/c/g"))


class TestLocalOnly:
    """What only a local file system can have."""

    def test_a_link_to_nowhere_is_listed_and_not_readable(self, tmp_path: Path) -> None:
        (tmp_path / "dangling").symlink_to(tmp_path / "nowhere")
        (entry,) = LocalStorage().list(DataUri("file", str(tmp_path)))
        assert (entry.name, entry.size) == ("dangling", None)

    def test_a_link_to_a_directory_is_a_directory_and_is_removed_as_a_file(self, tmp_path: Path) -> None:
        (tmp_path / "real").mkdir()
        (tmp_path / "real" / "file").write_text("x")
        (tmp_path / "link").symlink_to("real")
        storage, link = LocalStorage(), DataUri("file", str(tmp_path / "link"))
        assert storage.stat(link).is_directory
        storage.remove(link)
        assert (tmp_path / "real" / "file").read_text() == "x"

    def test_a_new_file_gets_the_usual_mode_and_an_older_one_keeps_its_own(self, tmp_path: Path) -> None:
        older = os.umask(0o022)
        try:
            storage = LocalStorage()
            storage.write(DataUri("file", str(tmp_path / "new")), io.BytesIO(b"x"), 1)
            (tmp_path / "old").touch(0o600)
            storage.write(DataUri("file", str(tmp_path / "old")), io.BytesIO(b"x"), 1)
        finally:
            os.umask(older)
        assert (tmp_path / "new").stat().st_mode & 0o777 == 0o644
        assert (tmp_path / "old").stat().st_mode & 0o777 == 0o600
