"""What one process asks of another: storages that keep the contract, profiles, credentials, errors."""

from __future__ import annotations

import os
import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from support.ordinary import closed

from algo_core.bridge.channel import Gone, accept, begin
from algo_core.bridge.client import Bridge
from algo_core.bridge.launch import storage_elsewhere, take
from algo_core.bridge.server import serve
from algo_core.bridge.values import dump_error, load_error
from algo_core.errors import AlgoError, ConfigError, NotFoundError, PluginError, TimedOut, UsageError
from algo_core.plugins.external import BRIDGE
from algo_core.settings.credentials import Credential, Secret
from algo_core.settings.profile import Network, Profile
from algo_core.storage.contract import Entry, IncompleteListing, Kind, NotADirectory, Storage
from algo_core.storage.uri import DataUri
from algo_core.testing.storage import StorageContract
from algo_data.local.storage import LocalStorage

SECRET = Credential("token", Secret("very-secret"), "plugin acme", 12.5)
PROFILE = Profile(
    "work", "https://a.example", SECRET, "/ca.pem", network=Network(proxy="http://p:1", origins={"proxy": "x"})
)


class Company:
    """The profiles of a host."""

    def __init__(self) -> None:
        self.refused: Any = None

    def stand_in(self, name: str) -> Profile | None:
        if name == "two":
            raise ConfigError("acme and other both have one", "Disable one")
        return PROFILE if name == "work" else None

    def other_credential(self, profile: Profile, refused: Credential | None) -> Credential | None:
        self.refused = (profile.name, refused)
        return SECRET if profile.name == "work" else None


def storage_of(uri: DataUri) -> Storage:
    if uri.scheme != "file":
        raise UsageError(f"No connector is installed for {uri.scheme}://")
    return LocalStorage()


@pytest.fixture
def company() -> Company:
    return Company()


@contextmanager
def bridge_to(company: Company) -> Iterator[Bridge]:
    ours, theirs = socket.socketpair()
    app = SimpleNamespace(profiles=company, storage=storage_of)
    threading.Thread(target=serve, args=(app, theirs), daemon=True).start()
    found = Bridge(ours)
    yield found
    found.close()
    theirs.close()


@pytest.fixture
def bridge(company: Company) -> Iterator[Bridge]:
    with bridge_to(company) as found:
        yield found


class TestOverTheBridge(StorageContract):
    contract = (1, 1)

    takes_paths_as_written = False

    @pytest.fixture
    def storage(self, bridge: Bridge) -> Storage:
        return bridge.storage(DataUri("file", "/"))

    @pytest.fixture
    def directory(self, tmp_path: Path) -> DataUri:
        return DataUri("file", str(tmp_path))

    @contextmanager
    def unreadable(self, storage: Storage, directory: DataUri) -> Iterator[tuple[Storage, DataUri]]:
        with closed(Path(directory.path)), bridge_to(Company()) as bridge:  # whose threads have this one's rights
            yield bridge.storage(directory), directory


def test_large_files_and_many_readers_at_once(bridge: Bridge, tmp_path: Path) -> None:
    content = os.urandom(3_000_001)
    (tmp_path / "large").write_bytes(content)
    uri = DataUri("file", str(tmp_path / "large"))
    storage = bridge.storage(uri)
    readers = [storage.open(uri, offset) for offset in (0, 1, 2_000_000)]
    got = [bytearray() for _ in readers]
    buffer = bytearray(100_000)
    for _ in range(60):  # in turns
        for reader, seen in zip(readers, got, strict=True):
            size = reader.readinto(buffer)
            seen += buffer[:size]
    assert [bytes(part) for part in got] == [content[offset:] for offset in (0, 1, 2_000_000)]
    readers[0].close()
    unread = storage.open(uri)
    unread.readinto(buffer)
    unread.close()
    for number in range(1200):
        (tmp_path / f"f{number}").touch()
    assert len(list(storage.list(DataUri("file", str(tmp_path))))) == 1201
    next(iter(storage.list(DataUri("file", str(tmp_path)))))
    assert storage.stat(uri).size == len(content)


def test_profiles_and_credentials_are_those_of_the_host(bridge: Bridge, company: Company) -> None:
    assert bridge.profile("work") == PROFILE
    assert bridge.profile("other") is None
    assert bridge.credential(PROFILE, None) == SECRET
    assert company.refused == ("work", None)
    bridge.credential(PROFILE, SECRET)
    assert company.refused == ("work", SECRET)
    assert bridge.credential(PROFILE._replace(name="other"), None) is None
    with pytest.raises(ConfigError, match="both have one") as refused:
        bridge.profile("two")
    assert refused.value.hint == "Disable one"
    with pytest.raises(PluginError, match="KeyError"):
        bridge.ask(what="nothing that is known")
    with pytest.raises(PluginError, match="No storage"):
        bridge.ask(what="call", method="__class__", uris=[("file", "/")], options={})


URI = DataUri("file", "/x")


class Unknown(NotFoundError):
    """What the other side has no class for."""


@pytest.mark.parametrize(
    ("error", "kind"),
    [
        (NotFoundError("none", "look"), NotFoundError),
        (Unknown("none"), NotFoundError),
        (TimedOut("late"), TimedOut),
        (PluginError("broken", details="trace"), PluginError),
        (NotADirectory("a file", entry=Entry(URI, Kind.FILE, 3)), NotADirectory),
        (IncompleteListing(URI, {"a": AlgoError("no"), "b": AlgoError("no")}), IncompleteListing),
    ],
)
def test_errors_keep_their_kind(error: AlgoError, kind: type[AlgoError]) -> None:
    found = load_error(dump_error(error))
    assert type(found) is kind
    assert (found.message, found.hint, found.exit_code) == (error.message, error.hint, error.exit_code)
    for name in ("names", "entry"):
        assert getattr(found, name, None) == getattr(error, name, None)


def test_a_process_that_has_ended_is_said_and_waits_for_nobody() -> None:
    ours, theirs = socket.socketpair()
    channel = begin(ours)
    other = accept(theirs)
    assert other is not None
    other.send({"whole": True})
    other._end.sendall(b"j\0\0\0\x09{")  # and ends within a message
    other.close()
    assert channel.receive() == {"whole": True}
    with pytest.raises(Gone):
        channel.receive()
    theirs.close()
    with pytest.raises(Gone):
        Bridge(ours).profile("work")
    assert accept(ours) is None


def test_the_bridge_is_taken_once_and_not_handed_on(monkeypatch: pytest.MonkeyPatch) -> None:
    ours, theirs = socket.socketpair()
    number = os.dup(theirs.fileno())
    os.set_inheritable(number, True)
    monkeypatch.setenv(BRIDGE, str(number))
    app: Any = SimpleNamespace(environ=dict(os.environ), bridge=None)
    take(app, has_storages=False)
    assert BRIDGE not in os.environ
    assert not os.get_inheritable(number)
    assert storage_elsewhere(app, DataUri("acme", "x")) is None  # or it would be asked for what it asks for
    app.bridge.close()
    for end in (ours, theirs):
        end.close()
