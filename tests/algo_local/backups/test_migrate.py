"""A platform moves between a directory and servers, all of it, while it is used."""

from __future__ import annotations

import io
import itertools
import os
import random
import shlex
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import closing
from dataclasses import replace
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

import pytest
from support.doomed import Doomed
from support.ports import free_ports
from support.postgresql import PostgresqlServer

from algo_core.errors import AlgoError, AlreadyExists, ExitCode, UsageError
from algo_core.testing import Home
from algo_local.algorithms.build import Build
from algo_local.algorithms.source_trees.archives import FILE, TreeEntry
from algo_local.backups import migrate
from algo_local.backups.migrate import Migrated, Migration
from algo_local.backups.placement import Placement
from algo_local.backups.restore import Restoration
from algo_local.callers import Caller
from algo_local.commands.migrate import state_of
from algo_local.data.path_resolver import FileLocation
from algo_local.metadata.database import Rows
from algo_local.metadata.store import EVERYBODY
from algo_local.metadata.write_stop import allow_writes, give_up_stop, stop_writes, write_stop
from algo_local.platform import Platform
from algo_local.records.live_call import Input
from algo_local.records.record import FULL, Answer, Record
from algo_local.records.resumption import Resumption
from algo_local.refusals import StorageUnavailable
from algo_local.serving.schedules import call_due
from algo_local.state import State
from algo_local.web import app
from algo_local.web.http import Request
from algo_local.webhooks import rows as webhooks

from .conftest import Filled, back_up, nothing, put


@pytest.fixture(autouse=True)
def _soon(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(migrate, "_SETTLE_SECONDS", 0.05)


@pytest.fixture(scope="module")
def s3_url() -> Iterator[str]:
    """The URL of a bucket of a server that speaks S3."""
    import boto3
    from botocore.exceptions import EndpointConnectionError

    (port,) = free_ports(1)
    command = [sys.executable, "-m", "moto.server", "-H", "127.0.0.1", "-p", str(port)]
    with subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) as server:
        endpoint = f"http://127.0.0.1:{port}"
        client = boto3.client(
            "s3", endpoint_url=endpoint, region_name="us-east-1", aws_access_key_id="A", aws_secret_access_key="b"
        )
        ends = time.monotonic() + 60
        while True:
            try:
                client.create_bucket(Bucket="bucket")
                break
            except EndpointConnectionError:
                assert server.poll() is None and time.monotonic() < ends
                time.sleep(0.05)
        options = {"endpoint_url": endpoint, "region": "us-east-1"}
        with pytest.MonkeyPatch.context() as patch:
            patch.setenv("AWS_ACCESS_KEY_ID", "A")
            patch.setenv("AWS_SECRET_ACCESS_KEY", "b")
            yield f"s3://bucket/PREFIX?{urlencode(options)}"
        server.kill()


_numbers = itertools.count()


@pytest.fixture
def servers(postgresql: PostgresqlServer, s3_url: str) -> Iterator[Callable[..., State]]:
    """A new state on servers, or partly: `servers(root, metadata=True, objects=False)`."""
    lent: list[str] = []

    def new(root: Path, *, metadata: bool = True, objects: bool = True) -> State:
        if metadata:
            lent.append(postgresql.lend())
        prefix = f"p{next(_numbers)}"
        return State(root, lent[-1] if metadata else None, s3_url.replace("PREFIX", prefix) if objects else None)

    yield new
    for url in lent:
        postgresql.take_back(url)


@pytest.fixture
def moving(backed_up: Filled, root: Path) -> State:
    Restoration(State(root), replace=False, report=nothing).run(backed_up.backup)
    return State(root)


def move(origin: State, target: State) -> Migrated:
    moved = Migration(origin, target, nothing).run()
    assert moved
    return moved


def digest(state: State, scratch: Path) -> str:
    with closing(Platform(state)) as platform:
        return back_up(platform, scratch / f"digest-{next(_numbers)}").digest


@pytest.mark.parametrize(
    ("metadata", "objects", "shares_root"),
    [(True, True, False), (True, True, True), (True, False, True), (False, True, True), (False, False, False)],
)
def test_there_and_back(
    moving: State, servers: Callable[..., State], tmp_path: Path, metadata: bool, objects: bool, shares_root: bool
) -> None:
    before = digest(moving, tmp_path)
    target = servers(moving.root if shares_root else tmp_path / "elsewhere", metadata=metadata, objects=objects)
    moved = move(moving, target)
    assert (moved.digest, moved.missing, moved.running) == (before, [], 0)
    assert digest(target, tmp_path) == before == digest(moving, tmp_path)
    with closing(Platform(moving)) as old:
        with pytest.raises(StorageUnavailable, match="has been moved"):
            put(old, ["jane", "files", "plain"], b"too late")
        space = old.objects.collection("jane", "files", "")
        assert old.objects.open(space, "plain")  # reading goes on
    with closing(Platform(target)) as new:
        algorithm = new.registry.algorithm("JANE", "greet")
        assert algorithm
        assert new.secrets.environment(algorithm.id) == {"TOKEN": "s3cret"}
        assert len(new.repositories.log(algorithm)) == 2
        if metadata and objects:
            change_elsewhere(target, tmp_path / "elsewhere else")
            assert len(new.repositories.log(algorithm)) == 3
        commits = new.repositories.log(algorithm)
        put(new, ["jane", "empty", "more"], b"more")
        new.keys.create("jane", "numbers go on")
        back = digest(target, tmp_path)
    home = State(tmp_path / "home again")
    assert move(target, home).digest == back == digest(home, tmp_path)
    with closing(Platform(home)) as again:
        assert [each.id for each in again.repositories.log(algorithm)] == [each.id for each in commits]
        space = again.objects.collection("jane", "files", "")
        info = again.objects.info(space, "large")
        assert info
        assert again.metadata.media_type("data/jane/files/large", info.identity) == "application/x-large"
        assert again.objects.info(again.objects.collection("jane", "empty", ""), "more")


def change_elsewhere(state: State, root: Path) -> None:
    """Change a repository on a machine that has never seen it."""
    root.mkdir()
    (root / "secrets.key").write_bytes((state.root / "secrets.key").read_bytes())
    with closing(Platform(replace(state, root=root))) as platform:
        algorithm = platform.registry.algorithm("jane", "Greet")
        assert algorithm
        assert len(platform.repositories.log(algorithm)) == 2
        platform.repositories.commit(algorithm, [TreeEntry("src/Greet.py", FILE, b"# more\n")], "jane", "2")


def test_a_backup_is_restored_onto_servers(backed_up: Filled, servers: Callable[..., State], tmp_path: Path) -> None:
    target = servers(tmp_path / "p")
    Restoration(target, replace=False, report=nothing).run(backed_up.backup)
    assert digest(target, tmp_path) == backed_up.manifest.digest
    with pytest.raises(AlreadyExists):
        Restoration(target, replace=False, report=nothing).run(backed_up.backup)
    with pytest.raises(UsageError) as refused:
        Restoration(target, replace=True, report=nothing).run(backed_up.backup)
    hint = refused.value.hint or ""
    assert all(word in hint for word in ("ALGO_LOCAL_METADATA and ALGO_LOCAL_OBJECTS", "createdb", "without --replace"))
    change_elsewhere(target, tmp_path / "elsewhere")
    with closing(Platform(target)) as platform:
        algorithm = platform.registry.algorithm("jane", "Greet")
        assert algorithm
        assert len(platform.repositories.log(algorithm)) == 3


def test_nothing_that_was_acknowledged_is_lost_while_others_write(
    moving: State, servers: Callable[..., State], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(migrate, "FEW", 10**6)
    target, names = servers(tmp_path / "p", objects=False), itertools.count()
    done, stored, refused, removed, doubted = threading.Event(), set[str](), list[str](), set[str](), set[str]()

    def write() -> None:
        with closing(Platform(moving)) as platform:
            while not done.is_set():
                name = f"new{next(names)}"
                try:
                    put(platform, ["jane", "files", name], name.encode())
                    stored.add(name)
                    if len(name) % 2:
                        space = platform.objects.collection("jane", "files", "")
                        if platform.objects.remove(space, name):
                            removed.add(name)
                except StorageUnavailable as error:
                    refused.append(error.message)
                    doubted.add(name)
                    if "has been moved" in error.message:
                        return

    threads = [threading.Thread(target=write) for _ in range(3)]
    for thread in threads:
        thread.start()
    try:
        moved = move(moving, target)
    finally:
        done.set()
        for thread in threads:
            thread.join()
    assert refused
    assert moved.passes == 3
    with closing(Platform(target)) as new:
        found = {name for name in new.objects.names(new.objects.collection("jane", "files", "")) if "new" in name}
    assert found >= stored - removed
    assert found - (stored - removed) <= doubted, "what was refused as it was stored may have been moved"
    assert digest(target, tmp_path) == moved.digest == digest(moving, tmp_path)


CHANGES: dict[str, Callable[[Platform], object]] = {
    "account": lambda platform: platform.metadata.ensure_account("late"),
    "key": lambda platform: platform.keys.create("jane", "late"),
    "collection": lambda platform: platform.hosted.create(Caller("jane"), [".my"], "late", EVERYBODY),
    "schedule": lambda platform: platform.schedules.create("jane", "demo/Hello", "", "0 * * * *", "UTC", ("json", "1")),
    "version": lambda platform: platform.registry.publish(
        "jane",
        "Late",
        (1, 0, 0),
        Build("0" * 40, platform.root / "sources", Path(sys.executable), "src.Late", ""),
        public=False,
        started_at=0.0,
    ),
    "void call": lambda platform: platform.records.accept(
        Record("req-late", "jane", "a", "jane", "A", "1.0.0", time.time(), is_void=True), Input("json", b"1"), FULL
    ),
    "claim of notifications": lambda platform: platform.records.change(
        lambda rows: webhooks.claim(rows, time.time(), 60.0, 10), is_guarded=True
    ),
}
"""Changes of requests that were let in before writes were stopped."""


def test_a_change_that_begins_before_writes_are_stopped_is_moved_or_refused(
    moving: State, servers: Callable[..., State], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """None is acknowledged at the old place after its rows were copied."""
    target, ended, threads = servers(tmp_path / "p", objects=False), dict[str, object](), list[threading.Thread]()
    running = migrate._running

    def change(old: Platform, name: str) -> None:
        try:
            CHANGES[name](old)
            ended[name] = None
        except StorageUnavailable as error:
            ended[name] = error.message

    with closing(Platform(moving)) as old:
        live = old.records.begin(
            Record("req-1", "jane", "a", "jane", "A", "1.0.0", time.time()), Input("json", b"1"), FULL
        )

        def with_others(rows: Rows) -> int:
            """As the rows are copied, others wait to write."""
            for name in CHANGES:
                threads.append(threading.Thread(target=change, args=(old, name)))
                threads[-1].start()
            time.sleep(0.3)
            assert not ended
            return running(rows)

        monkeypatch.setattr(migrate, "_running", with_others)
        moved = move(moving, target)
        for thread in threads:
            thread.join(60)
        assert set(ended) == set(CHANGES)
        assert all(message and "moved to" in str(message) for message in ended.values()), ended
        live.finished(Answer("json", b"1", None, 0.1, ""))  # a call that runs ends on record where it began
        old.records.flush()
        found = old.records.find("req-1")
        assert found and found.state == "done"
        assert old.records.find("req-late") is None
    with closing(Platform(target)) as new:
        assert new.metadata.account("late") is None
        assert moved.digest == digest(target, tmp_path)


@pytest.mark.parametrize("change", ["put", "delete", "delete all"])
def test_a_file_that_changes_as_writes_are_stopped_is_not_acknowledged(
    moving: State, change: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The last pass over the files may have been there before."""
    with closing(Platform(moving)) as platform:
        name = {"put": "place", "delete": "remove", "delete all": "discard"}[change]
        done = getattr(platform.objects, name)

        def late(*given: Any, **options: Any) -> Any:
            stop_writes(platform.database, "elsewhere", 60.0)
            return done(*given, **options)

        monkeypatch.setattr(platform.objects, name, late)
        with pytest.raises(StorageUnavailable, match="is being moved"):
            if change == "put":
                put(platform, ["jane", "files", "plain"], b"late")
            else:
                path = ["jane", "files", *(["plain"] if change == "delete" else [])]
                platform.hosted.delete(Caller("jane"), path, force=True)


def test_a_last_copy_that_takes_longer_than_writes_are_stopped_is_given_up(
    moving: State, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    before, target = digest(moving, tmp_path), State(tmp_path / "new")
    with monkeypatch.context() as patch:
        patch.setattr(migrate, "STOP_SECONDS", -60.0)
        patch.setattr(migrate, "_ROW_SECONDS", 0.0)
        with pytest.raises(AlgoError, match="nothing was moved"):
            move(moving, target)
    with closing(Platform(moving)) as old:
        old.metadata.ensure_account("goes_on")
        with old.database.write() as rows:
            rows.execute("DELETE FROM accounts WHERE name = 'goes_on'")
    assert move(moving, target).digest == before == digest(target, tmp_path)


def test_what_has_been_moved_is_moved_again_from_there_alone(moving: State, tmp_path: Path) -> None:
    one, two = State(tmp_path / "one"), State(tmp_path / "two")
    move(moving, one)
    with pytest.raises(UsageError, match="has been moved to"):
        move(moving, two)
    assert not two.root.exists(), "nothing is left of what was refused"
    with closing(Platform(moving)) as old, pytest.raises(StorageUnavailable):
        old.metadata.ensure_account("late")
    move(one, two)


def test_of_two_migrations_at_once_one_is_made(moving: State, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    one, two = State(tmp_path / "one"), State(tmp_path / "two")
    last, refused = migrate._Pass.run, list[str]()

    def run(self: Any) -> int:
        if self._rows is None and not refused and self._turn > 1:
            refused.append("")
            with closing(Platform(moving)) as other:
                stop_writes(other.database, str(two), 60.0, "another")
        return last(self)

    with monkeypatch.context() as patch:
        patch.setattr(migrate._Pass, "run", run)
        with pytest.raises(AlgoError, match="is being moved to"):
            move(moving, one)
    with closing(Platform(moving)) as other:
        stop = write_stop(other.database)
        assert stop and (stop.place, stop.owner) == (str(two), "another"), "the other one goes on"


def test_the_stop_of_a_migration_that_was_killed_does_not_hold_up_the_next_one(moving: State, tmp_path: Path) -> None:
    target = State(tmp_path / "one")
    with closing(Platform(moving)) as old:
        stop_writes(old.database, str(target), 600.0, "killed")
    move(moving, target)


def test_writes_that_are_allowed_before_its_last_step_fail_a_migration(
    moving: State, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """By `--reopen`: what was written since is not at the new place."""
    target, describe = State(tmp_path / "new"), Placement.describe

    def reopened(self: Placement, metadata: Any, entries: Any) -> None:
        describe(self, metadata, entries)
        with closing(Platform(moving)) as other:
            allow_writes(other.database)
            other.metadata.ensure_account("later")

    with monkeypatch.context() as patch:
        patch.setattr(Placement, "describe", reopened)
        with pytest.raises(AlgoError, match="allowed again"):
            move(moving, target)
    move(moving, target)
    with closing(Platform(target)) as new:
        assert new.metadata.account("later")


def test_a_failed_migration_leaves_the_stop_before_it(moving: State) -> None:
    """As of a place whose database is also that of the new place."""
    with closing(Platform(moving)) as platform:
        database, here = platform.database, "/srv/a, postgresql://db/algo, s3://bucket/p?region=x"
        stop_writes(database, here, None)
        before = stop_writes(database, "elsewhere", 60.0, "me", "/srv/b, postgresql://db/algo, s3://bucket/p/?region=x")
        assert (write_stop(database) or before) != before
        give_up_stop(database, "me", before)
        stop = write_stop(database)
        assert stop and (stop.place, stop.until) == (here, None)


def test_on_a_platform_whose_writes_are_stopped_all_else_goes_on(
    moving: State, monkeypatch: pytest.MonkeyPatch
) -> None:
    with closing(Platform(moving)) as platform:
        platform.schedules.create("jane", "jane/Greet", "", "* * * * *", "UTC", ("json", "1"))
        with platform.database.write() as rows:
            rows.execute("UPDATE schedules SET next_at = ?", (moment := platform.database.now() - 1,))
        key, _ = platform.keys.create("jane", "unused")
        waiting = Record(
            "req-w",
            "jane",
            "a",
            "jane",
            "A",
            "1.0.0",
            time.time(),
            is_void=True,
            resumption=Resumption("jane", 0, 60.0, False, True, False).text,
        )
        live = platform.records.accept(waiting, Input("json", b"1"), FULL)
        put(platform, ["jane", "files", "new"], os.urandom(1 << 20))
        with platform.database.write() as rows:
            rows.execute("DELETE FROM digests")
        claim = platform.schedules.claim

        def late() -> list[Any]:
            found = claim()
            stop_writes(platform.database, "elsewhere", None)
            return found

        monkeypatch.setattr(platform.schedules, "claim", late)
        assert call_due(platform) == 1
        (left,) = platform.schedules.of("jane")
        assert (left.next_at, left.problem, left.last_request) == (moment, "", ""), "it is called at the new place"
        with pytest.raises(StorageUnavailable):
            live.started("worker")  # likewise what waited for a worker
        location = platform.hosted.find(Caller("jane"), ["jane", "files", "new"])
        assert isinstance(location, FileLocation)
        assert platform.hosted.open(location).md5
        platform.metadata.forget_files("sessions/x")  # as a call with a session ends
        monkeypatch.setattr(platform.database, "write", None)
        platform.keys.note_use(key)  # which would wait for the last copy


@pytest.mark.parametrize(("path", "status"), [("data/.my", 503), ("algo/demo/Hello", 200)])
def test_a_change_whose_platform_is_stopped_meanwhile_is_not_acknowledged_and_a_call_is(
    moving: State, path: str, status: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    with closing(Platform(moving)) as platform:

        def handler(context: Any) -> None:
            stop_writes(platform.database, "elsewhere", 60.0)

        monkeypatch.setattr(app, "_load", lambda name: handler)
        _, key = platform.keys.create("jane", "mine")
        body = b'{"name": "x"}'
        headers = {"authorization": f"Simple {key}", "content-type": "application/json"}
        request = Request("POST", f"/v1/{path}", headers, io.BytesIO(body), len(body))
        assert app.Application(platform).answer(request).status == status


def words_of(state: State) -> str:
    parts = {"root": state.root, "metadata": state.metadata, "objects": state.objects}
    return ",".join(f"{name}={value}" for name, value in parts.items() if value)


@pytest.mark.parametrize("direction", ["there", "back"])
def test_a_migration_to_servers_and_back_is_continued_wherever_it_was_killed(
    moving: State,
    servers: Callable[..., State],
    tmp_path: Path,
    doomed: Doomed,
    direction: str,
    pytestconfig: pytest.Config,
) -> None:
    """Whatever was killed: reading went on, nothing else was a platform before, and both have the same digest then."""
    before, origin, killed = digest(moving, tmp_path), moving, 0
    kills = int(pytestconfig.getoption("--kills")) // 12
    if direction == "back":
        origin = servers(tmp_path / "origin")
        move(moving, origin)

    def target() -> State:
        number = next(_numbers)
        return servers(tmp_path / f"p{number}") if direction == "there" else State(tmp_path / f"p{number}")

    command = ("local", "migrate", "--from", words_of(origin), "--to")
    doomed.start(*command, words_of(target()))
    assert doomed.end()[0] == ExitCode.OK, doomed.said()
    events, chosen = doomed.events, random.Random(direction)
    for _ in range(kills):
        doomed.start("local", "migrate", "--reopen", "--from", words_of(origin))
        assert doomed.end()[0] == ExitCode.OK, doomed.said()
        place = target()
        doomed.start(*command, words_of(place), last=chosen.randrange(1, events))
        code = doomed.end()[0]
        assert code in (-signal.SIGKILL, ExitCode.OK), doomed.said()
        killed += code != ExitCode.OK
        with closing(Platform(origin)) as platform:
            location = platform.hosted.find(Caller("jane"), ["jane", "files", "a b"])
            assert isinstance(location, FileLocation)
            assert platform.hosted.open(location).content == b"a b"
            if (stop := write_stop(platform.database)) and code != ExitCode.OK and stop.until is None:
                assert digest(place, tmp_path) == before, "what is closed for good has been moved"
        doomed.start(*command, words_of(place))
        assert doomed.end()[0] == ExitCode.OK, doomed.said()
        assert digest(place, tmp_path) == before
        assert not (place.root / migrate.DIRECTORY).exists()
    assert killed >= kills // 2


@pytest.mark.parametrize("left", [True, False], ids=["killed before its last step", "ended"])
def test_a_migration_that_has_been_made_is_not_made_again(
    moving: State, tmp_path: Path, left: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What was written at the new place since then stays."""
    target = State(tmp_path / "new")
    with monkeypatch.context() as patch:
        if left:
            patch.setattr(migrate, "remove_tree", lambda place: None)
        move(moving, target)
    assert (target.root / migrate.DIRECTORY).exists() == left
    with closing(Platform(target)) as new:
        put(new, ["jane", "files", "plain"], b"written since")
    before = digest(target, tmp_path)
    assert Migration(moving, target, nothing).run() is None
    assert digest(target, tmp_path) == before
    assert not (target.root / migrate.DIRECTORY).exists()


def test_what_was_copied_is_not_copied_again(moving: State, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    copied: list[str] = []
    place = Placement.put

    def counting(self: Placement, path: str, *arguments: object) -> object:
        if len(copied) == 10:
            raise OSError(28, "No space left on device")
        copied.append(path)
        return place(self, path, *arguments)  # type: ignore[arg-type]

    monkeypatch.setattr(Placement, "put", counting)
    target = State(tmp_path / "p")
    for _ in range(2):
        with pytest.raises(OSError, match="No space"):
            move(moving, target)
    with closing(Platform(moving)) as platform:
        put(platform, ["jane", "files", "more"], b"nothing was moved yet")
    copied[:] = copied[:9]
    monkeypatch.setattr(Placement, "put", lambda self, path, *rest: copied.append(path) or place(self, path, *rest))
    moved = move(moving, target)
    assert len(copied) == len(set(copied))
    assert digest(target, tmp_path) == moved.digest


def test_a_copy_that_is_not_equal_is_no_platform(
    moving: State, servers: Callable[..., State], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    target = servers(tmp_path / "p")
    read = Placement.read
    monkeypatch.setattr(
        Placement, "read", lambda self, path: (found := read(self, path)) and found._replace(sha256="0")
    )
    with pytest.raises(AlgoError, match="from the original"):
        move(moving, target)
    monkeypatch.setattr(Placement, "read", read)
    load = migrate.load
    monkeypatch.setattr(
        migrate,
        "load",
        lambda rows, table, lines: load(rows, table, [*lines][: 3 if table == "requests" else None]),
    )
    with pytest.raises(AlgoError, match="from the original"):
        move(moving, target)
    monkeypatch.undo()
    with closing(Platform(moving)) as platform:
        put(platform, ["jane", "files", "plain"], b"it goes on here")
    assert move(moving, target).digest == digest(moving, tmp_path) == digest(target, tmp_path)


def test_what_is_refused(moving: State, servers: Callable[..., State], tmp_path: Path, backed_up: Filled) -> None:
    for target in (moving, replace(moving, root=moving.root / ".." / moving.root.name)):
        with pytest.raises(UsageError, match="already"):
            move(moving, target)
    with pytest.raises(UsageError, match="no platform"):
        move(State(tmp_path / "nowhere"), State(tmp_path / "p"))
    Restoration(State(tmp_path / "other"), replace=False, report=nothing).run(backed_up.backup)
    for target in (State(tmp_path / "other"), servers(tmp_path / "q", objects=False)):
        if target.metadata:
            with closing(Platform(target)) as platform:
                platform.keys.create(platform.metadata.ensure_account("bob"), "mine")
        with pytest.raises(AlreadyExists):
            move(moving, target)
    with closing(Platform(moving)) as platform:
        put(platform, ["jane", "files", "plain"], b"nothing was moved")


@pytest.mark.parametrize(
    ("text", "root", "metadata", "objects"),
    [
        ("/srv/algo", "/srv/algo", None, None),
        ("root=/srv/a,b", "/srv/a,b", None, None),
        ("postgresql://u@h1,h2/db", None, "postgresql://u@h1,h2/db", None),
        ("postgres:///db,s3://bucket/p", None, "postgres:///db", "s3://bucket/p"),
        ("objects=gs://b,metadata=postgresql:///db,root=/r", "/r", "postgresql:///db", "gs://b"),
        ("s3://bucket/a,b=c", None, None, "s3://bucket/a,b=c"),
    ],
)
def test_states_are_named(text: str, root: str | None, metadata: str | None, objects: str | None) -> None:
    found = state_of(text)
    assert (found.metadata, found.objects) == (metadata, objects)
    assert found.root == (Path(root) if root else State.of().root)


@pytest.mark.parametrize("text", ["", "root=", "metadata=postgresql:///a,postgresql:///b", "/a,root=/b"])
def test_states_that_name_nothing(text: str) -> None:
    with pytest.raises(UsageError):
        state_of(text)


def test_commands(algo_home: Home, backed_up: Filled, tmp_path: Path) -> None:
    root = Path(algo_home.environ["ALGO_LOCAL_ROOT"])
    Restoration(State(root), replace=False, report=nothing).run(backed_up.backup)
    assert algo_home.run("local", "migrate").code == ExitCode.USAGE
    assert algo_home.run("local", "migrate", "--to", root).code == ExitCode.USAGE
    moved = algo_home.run("--json", "local", "migrate", "--to", tmp_path / "p")
    assert moved.code == ExitCode.OK, moved.stderr
    assert '"bytes"' in moved.text and '"digest"' in moved.text
    refused = algo_home.run("cp", "-", "data://.my/files/x", input="x")
    assert refused.code == ExitCode.PLATFORM
    assert "has been moved" in refused.stderr
    assert algo_home.run("run", "jane/Greet", "-d", "x").code == ExitCode.PLATFORM
    assert algo_home.run("ls", "data://jane").code == ExitCode.OK
    assert algo_home.run("local", "migrate", "--reopen").code == ExitCode.OK
    assert algo_home.run("cp", "-", "data://.my/files/x", input="x").code == ExitCode.OK
    unreachable = "postgresql://algo:hush@localhost:1/algo"
    failed = algo_home.run("local", "migrate", "--to", unreachable)
    assert failed.code not in (ExitCode.OK, ExitCode.FAILURE)
    assert "hush" not in failed.stderr
    assert algo_home.run("cp", "-", "data://.my/files/x", input="y").code == ExitCode.OK
    spaced = tmp_path / "with, a space"
    told = algo_home.run("local", "migrate", "--to", spaced)
    assert f"ALGO_LOCAL_ROOT={shlex.quote(str(spaced))} algo local serve" in told.stderr + told.text
