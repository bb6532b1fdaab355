"""The platform's connectors keep the contract that the stores behind them keep, in the process and over HTTP."""

from __future__ import annotations

import uuid
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from support.stores import Store

from algo_connectors.common.objects import ObjectStorage
from algo_core.http.api import ApiClient
from algo_core.http.client import Hooks, HttpClient
from algo_core.settings.credentials import Credential, Secret
from algo_core.settings.profile import Profile
from algo_core.storage.contract import Storage
from algo_core.storage.uri import DataUri
from algo_core.testing.keys import KeyContract
from algo_core.testing.storage import StorageContract
from algo_data.hosted.storage import HostedStorage
from algo_local.platform import Platform
from algo_local.serving.http.listener import listen
from algo_local.serving.http.server import Server
from algo_local.web.app import Application
from algo_local.web.transport import EmbeddedTransport


def _with_requests(session: Any, profile: Profile) -> None:
    session.hooks["response"].append(lambda response, **options: response)


HOOKS: dict[str, Callable[[Platform], Hooks]] = {
    "own connections": lambda platform: Hooks(),
    "in the process": lambda platform: Hooks(
        transport=lambda profile: EmbeddedTransport(Application(platform, trusted=True))
    ),
    "requests": lambda platform: Hooks(configure=_with_requests),
}
"""How requests reach the platform: directly, in the process, and by requests, whose session a plugin has configured."""


@pytest.fixture(scope="module")
def platform(tmp_path_factory: pytest.TempPathFactory, stores: dict[str, Store]) -> Iterator[Platform]:
    with pytest.MonkeyPatch.context() as environ:
        environ.setenv("LOGNAME", "jane")
        platform = Platform(tmp_path_factory.mktemp("platform"))
        for store in stores.values():
            platform.connectors.add(platform.account, store.scheme, store.options, writable=True)
        yield platform
        platform.close()


@pytest.fixture(scope="module")
def address(platform: Platform) -> Iterator[str]:
    listener = listen("127.0.0.1", 0)
    server = Server(Application(platform), listener)
    server.run()
    yield f"http://127.0.0.1:{listener.getsockname()[1]}"
    server.stop()


class _Through:
    scheme = "s3"

    @pytest.fixture
    def way(self) -> str:
        return "own connections"

    @pytest.fixture
    def storage(self, platform: Platform, address: str, way: str) -> Iterator[Storage]:
        key = Credential("api_key", Secret(platform.keys.create(platform.account, uuid.uuid4().hex)[1]))
        profile = Profile("default", "local:" if way == "in the process" else address, credential=key)
        client = HttpClient(profile, timeout=(60, 60), retries=0, hooks=HOOKS[way](platform))
        yield HostedStorage(ApiClient(client), self.scheme)
        client.close()

    @pytest.fixture
    def directory(self, stores: dict[str, Store], storage: Storage) -> DataUri:
        made = stores[self.scheme].uri(f"through-{uuid.uuid4().hex}")
        storage.mkdir(made)
        return made


class TestS3(_Through, StorageContract):
    contract = (1, 1)
    needs_directories = False


class TestDropbox(_Through, StorageContract):
    contract = (1, 1)
    scheme = "dropbox"
    needs_directories = False


class _Keys(_Through, KeyContract):
    @pytest.fixture(params=["in the process", "own connections", "requests"])
    def way(self, request: pytest.FixtureRequest) -> str:
        return str(request.param)

    @pytest.fixture(autouse=True)
    def opened_store(self, stores: dict[str, Store]) -> None:
        storage = stores[self.scheme].open()
        assert isinstance(storage, ObjectStorage)
        self._storage = storage

    def make(self, storage: Storage, uri: DataUri, content: bytes) -> None:
        self._storage.put(uri, content)


class TestKeysOfS3(_Keys):
    pass


class TestKeysOfAzureBlob(_Keys):
    scheme = "azureblob"
    odd_keys = ("o//b", "o///b", "/lead", "..c/b")


class TestKeysOfGoogleStorage(_Keys):
    scheme = "gs"
