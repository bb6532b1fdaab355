"""Hosted data in object stores: the contract of objects, over real implementations of their protocols."""

from __future__ import annotations

import hashlib
import io
import time
import uuid
from pathlib import Path
from urllib.parse import quote

import pytest
from support.stores import Store

from algo_core.errors import ConfigError
from algo_core.storage.contract import Storage
from algo_local.data import store_objects as store_module
from algo_local.data.contract import LARGE, get, put
from algo_local.data.incoming import Incoming
from algo_local.data.store_objects import StoreObjects
from algo_local.refusals import StorageUnavailable
from algo_local.testing import ObjectsContract


def objects_in(store: Store, place: Path, existing: set[str] | None = None, owner: str = "platform") -> StoreObjects:
    """Objects below a prefix that belongs to a path."""
    prefix = hashlib.sha256(str(place).encode()).hexdigest()
    uri = store.uri(f"objects/{prefix}")
    return StoreObjects(
        store.open(), uri, "s3://somewhere", Incoming(str(place)), lambda: existing or set(), lambda: owner
    )


class _Stored(ObjectsContract):
    store: Store

    def make(self, place: Path) -> StoreObjects:
        return objects_in(self.store, place)


class TestInS3(_Stored):
    writers = 1  # moto compares, and replaces later: of two at once both may succeed

    @pytest.fixture(autouse=True)
    def _opened(self, s3: Store) -> None:
        self.store = s3


class TestInMemory(_Stored):
    """A file system of fsspec, whose directories have to be made."""

    compares = False
    atomic = False

    @pytest.fixture(autouse=True)
    def _opened(self) -> None:
        self.store = Store("memory", {}, uuid.uuid4().hex)


@pytest.mark.parametrize("kind", ["seaweed", "gs", "azureblob"])
def test_other_stores_keep_it_where_they_differ(kind: str, request: pytest.FixtureRequest, tmp_path: Path) -> None:
    contract = _Stored()
    contract.store = request.getfixturevalue(kind)
    objects, another = contract.make(tmp_path), contract.make(tmp_path)
    contract.test_every_name_comes_back_as_it_was(objects, another, objects.collection("jane", "a", "1"))
    contract.test_content_of_any_size(objects, another, objects.collection("jane", "a", "2"), len(LARGE))
    contract.test_content_of_any_size(objects, another, objects.collection("jane", "a", "3"), 0)
    contract.test_a_part_of_a_large_file_is_read(objects, objects.collection("jane", "a", "4"))
    contract.test_pages_have_every_file_that_stays_once(objects, another, objects.collection("jane", "a", "5"))
    contract.test_the_spaces_of_algorithms(objects)
    contract.test_a_file_is_replaced_on_a_condition(objects, another, objects.collection("jane", "a", "6"))
    if kind == "seaweed":
        contract.test_of_several_at_once_one_succeeds(objects, another, objects.collection("jane", "a", "7"))
    contract.test_a_directory_is_cleared_removed_and_discarded(objects, another)


@pytest.mark.parametrize("days", [20, 0.2, -20])
def test_what_is_old_is_told_by_the_clock_of_the_store(
    days: float, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Of several machines, one whose clock is wrong removes nothing that others use, and what the dead have left."""
    store = Store("memory", {}, uuid.uuid4().hex)
    objects, wrong = objects_in(store, tmp_path), objects_in(store, tmp_path)
    session, space = objects.session_space("req-1"), objects.algorithm_space("jane", "A", "temp", "bob")
    right = time.time
    monkeypatch.setattr(time, "time", lambda: right() + days * 86400)
    for place in (session, space, objects.collection("jane", "being", "made")):
        objects.make(place)
        put(objects, place, "f", b"x")
    wrong._sweep()
    wrong.forget_older(space, 3600)
    assert left_over(wrong) == []
    assert objects.names(session) == objects.names(space) == ["f"]
    monkeypatch.setattr(store_module, "SESSION_SECONDS", -60)
    wrong._sweep()
    assert (objects.names(session), objects.names(space)) == ([], ["f"])


def left_over(objects: StoreObjects) -> list[str]:
    return sorted(name for name, _ in objects.leftovers())


def test_a_deletion_that_was_killed_is_completed_by_the_next_process(s3: Store, tmp_path: Path) -> None:
    killed = objects_in(s3, tmp_path)
    many, space = killed.collection("jane", "many", "id-1"), killed.algorithm_space("jane", "Hello", "perm", "bob")
    for directory in (many, space):
        for name in "abc":
            put(killed, directory, name, b"x")
        killed.set_aside(directory)
    assert left_over(killed) == sorted(f"trash/{quote(place, safe='')}" for place in (many, space))
    following = objects_in(s3, tmp_path)
    put(following, following.collection("jane", "other", "id-2"), "f", b"x")
    deadline = time.monotonic() + 60
    while following.exists(many) or following.exists(space) or left_over(following):
        assert time.monotonic() < deadline
        time.sleep(0.02)


def test_a_deletion_that_never_came_about_is_not_completed(s3: Store, tmp_path: Path) -> None:
    objects = objects_in(s3, tmp_path)
    directory = objects.collection("jane", "kept", "id-1")
    put(objects, directory, "f", b"x")
    noted = objects.set_aside(directory)
    assert objects_in(s3, tmp_path, {directory}).remove_leftover(noted)
    assert objects.names(directory) == ["f"]
    assert left_over(objects) == []


def test_what_was_written_after_a_deletion_began_stays(
    s3: Store, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    objects = objects_in(s3, tmp_path)
    directory = objects.algorithm_space("jane", "Hello", "perm", "bob")
    put(objects, directory, "before", b"x")
    noted = objects.set_aside(directory)
    put(objects, directory, "after", b"x")
    modified = store_module.modified_at
    monkeypatch.setattr(
        store_module, "modified_at", lambda entry: modified(entry) + (entry.name == "after") * 2
    )  # stores tell whole seconds
    assert objects.remove_leftover(noted)
    assert objects.names(directory) == ["after"]


def test_leftovers_are_files_whose_time_is_over_and_collections_that_do_not_exist(
    s3: Store, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    objects = objects_in(s3, tmp_path, {"data/jane.kept.id-2"})
    session = objects.session_space("req-1")
    space = objects.algorithm_space("jane", "Hello", "temp", "bob")
    kept = [objects.collection("jane", "kept", "id-2"), objects.algorithm_space("jane", "Hello", "perm", "bob")]
    for directory in (objects.collection("jane", "gone", "id-1"), session, space, *kept):
        put(objects, directory, "ü", b"xy")
    assert left_over(objects) == []
    for name in ("SESSION_SECONDS", "TEMP_SECONDS", "LEFTOVER_SECONDS"):
        monkeypatch.setattr(store_module, name, -60)
    found = dict(objects.leftovers())
    assert found == {"data/jane.gone.id-1": 2, f"{session}/ü": 2, f"{space}/ü": 2}
    assert all(objects.remove_leftover(name) for name in found)
    assert left_over(objects) == []
    assert [objects.names(directory) for directory in kept] == [["ü"], ["ü"]]


def test_a_process_that_stays_looks_for_leftovers_again(
    s3: Store, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    objects = objects_in(s3, tmp_path)
    put(objects, "data/jane.c.id", "f", b"x")
    objects.set_aside("data/jane.gone.id")
    put(objects, "data/jane.c.id", "f", b"x")
    assert left_over(objects) == ["trash/data%2Fjane.gone.id"]
    monkeypatch.setattr(store_module, "SWEEP_SECONDS", 0.0)
    put(objects, "data/jane.c.id", "f", b"x")
    deadline = time.monotonic() + 60
    while left_over(objects):
        assert time.monotonic() < deadline
        time.sleep(0.02)


def test_a_store_of_another_platform_is_refused_and_left_alone(s3: Store, tmp_path: Path) -> None:
    mine, another = objects_in(s3, tmp_path), objects_in(s3, tmp_path, owner="another")
    mine.check()
    mine.check()
    put(mine, "data/jane.c.id", "f", b"x")
    for use in (another.check, another.leftovers().__next__, lambda: put(another, "data/jane.c.id", "f", b"y")):
        with pytest.raises(ConfigError, match="belongs to another platform"):
            use()
    assert get(mine, "data/jane.c.id", "f") == b"x"


def test_a_page_is_one_request_however_many_files_there_are(
    s3: Store, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    objects = objects_in(s3, tmp_path)
    for number in range(12):
        put(objects, "data/jane.c.id", f"f{number:02}", b"")
    client = objects._storage.client  # type: ignore[attr-defined]  # an S3Storage
    sent: list[tuple[str, str]] = []
    send = client._answered
    monkeypatch.setattr(
        client, "_answered", lambda method, *rest: sent.append((method, rest[1])) or send(method, *rest)
    )
    pages = []
    marker: str | None = ""
    while marker is not None:
        page = objects.page("data/jane.c.id", marker, 5)
        pages.append(len(page.files))
        marker = page.marker
    assert (pages, len(sent)) == ([5, 5, 2], 3)
    sent.clear()
    for use in (
        lambda: put(objects, "data/jane.c.id", "f00", b"xyz"),
        lambda: objects.open("data/jane.c.id", "f00"),
        lambda: objects.open("data/jane.c.id", "f00", whole=False),
        lambda: objects.info("data/jane.c.id", "f00"),
        lambda: objects.remove("data/jane.c.id", "f00"),
        lambda: objects.discard(objects.set_aside("data/jane.c.id")),
    ):
        sent.append(("", ""))
        use()
    requests = "".join(method[:1] or " " for method, _ in sent).split()
    assert requests == ["P", "G", "G", "H", "HD", "PHGGPHD"], "docs/scaling.md has these figures"


def test_objects_that_are_not_the_platforms_are_no_files(s3: Store, tmp_path: Path) -> None:
    objects = objects_in(s3, tmp_path)
    for name in (*(f".algo-probe-{number}" for number in range(5)), "%zz", "file"):
        objects._storage.write_small(objects._place.child(f"data/jane.c.id/{name}"), b"x")
    assert [info.name for info in objects.page("data/jane.c.id", None, 2).files] == ["file"]
    assert objects.page("data/jane.c.id", "file", 2) == ([], None)
    assert objects.names("data/jane.c.id") == ["file"]


def test_a_large_file_is_read_on_after_its_connection_broke(
    s3: Store, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from algo_connectors.common.stream import StreamReader
    from algo_core.errors import NetworkError

    objects = objects_in(s3, tmp_path)
    put(objects, "data/jane.c.id", "f", LARGE)
    opened = objects.open("data/jane.c.id", "f")
    assert opened
    file = opened[0]
    assert not isinstance(file, bytes)
    readinto, breaks = StreamReader.readinto, iter([False, True, False, True, True])

    def broken(reader: StreamReader, buffer: bytearray) -> int:
        if next(breaks, False):
            raise NetworkError("gone")
        return readinto(reader, memoryview(buffer)[: len(LARGE) // 3])

    monkeypatch.setattr(StreamReader, "readinto", broken)
    assert b"".join(iter(lambda: file.read(len(LARGE)), b"")) == LARGE
    monkeypatch.setattr(StreamReader, "readinto", lambda reader, buffer: 0)
    file.seek(5)
    with pytest.raises(StorageUnavailable, match=r"s3://somewhere cannot be used: .* ended too early, at byte 5"):
        file.read(10)
    file.close()
    put(objects, "data/jane.c.id", "small", b"content")
    with pytest.raises(StorageUnavailable, match="ended too early"):
        objects.open("data/jane.c.id", "small")


def test_a_file_that_is_replaced_before_a_part_is_asked_for_is_not_mixed(s3: Store, tmp_path: Path) -> None:
    objects = objects_in(s3, tmp_path)
    put(objects, "data/jane.c.id", "f", LARGE)
    opened = objects.open("data/jane.c.id", "f", whole=False)
    assert opened
    file = opened[0]
    assert not isinstance(file, bytes)
    put(objects, "data/jane.c.id", "f", LARGE[::-1])
    file.seek(100)
    with pytest.raises(StorageUnavailable, match="was replaced while it was read"):
        file.read(10)
    file.close()


@pytest.mark.parametrize("failing", ["write", "open", "stat", "list", "remove"])
def test_a_bucket_that_does_not_exist_is_no_missing_file(failing: str, s3: Store, tmp_path: Path) -> None:
    objects = objects_in(Store("s3", s3.options, "no-such-bucket"), tmp_path)
    uses = {
        "write": lambda: put(objects, "data/jane.c.id", "f", b"x"),
        "open": lambda: objects.open("data/jane.c.id", "f"),
        "stat": lambda: objects.info("data/jane.c.id", "f"),
        "list": lambda: objects.names("data/jane.c.id"),
        "remove": lambda: objects.remove("data/jane.c.id", "f"),
    }
    with pytest.raises(StorageUnavailable, match=r"s3://somewhere cannot be used: .* the store has no such bucket"):
        uses[failing]()


def test_what_cannot_be_sent_is_not_there(s3: Store, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    objects = objects_in(s3, tmp_path)
    put(objects, "data/jane.c.id", "f", b"old")
    storage: Storage = objects._storage
    monkeypatch.setattr(type(storage), "part_size", 256 << 10)
    client = storage.client  # type: ignore[attr-defined]  # an S3Storage
    upload_part = client.upload_part

    def fails(*place: object) -> str:
        if place[3] == 3:
            raise ConnectionResetError("gone")
        return str(upload_part(*place))

    monkeypatch.setattr(client, "upload_part", fails)
    with (
        pytest.raises(StorageUnavailable, match="cannot be used"),
        objects.receive(io.BytesIO(LARGE).read) as received,
    ):
        objects.place(received, "data/jane.c.id", "f")
    assert get(objects, "data/jane.c.id", "f") == b"old"
    assert list(tmp_path.iterdir()) == []
