"""Front ends on several machines over one database: who lives, what is limited, and what happens once."""

from __future__ import annotations

import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, closing, contextmanager
from pathlib import Path
from typing import Any

import psycopg
import pytest
import requests
from support.postgresql import PostgresqlServer, database_of
from support.receiver import Receiver
from support.serving import Served

from algo_core.errors import ExitCode
from algo_local.execution.concurrency import CONCURRENT, SharedConcurrencyLimit
from algo_local.metadata.postgresql.database import PostgresqlDatabase
from algo_local.metadata.postgresql.places import Places
from algo_local.platform import Platform
from algo_local.records import shared_presence
from algo_local.records.shared_presence import MISSED, SharedPresence
from algo_local.refusals import StorageUnavailable, TooManyCalls
from algo_local.state import State


@pytest.fixture
def url(postgresql: PostgresqlServer, monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    monkeypatch.setattr(shared_presence, "BEAT_SECONDS", 3600.0)  # the tests say when somebody looks
    url = postgresql.lend()
    yield url
    postgresql.take_back(url)


@pytest.fixture
def machine(url: str, tmp_path: Path) -> Iterator[Callable[[str], SharedPresence]]:
    """A process on a machine with a directory of its own."""
    with ExitStack() as ends:

        def machine(name: str) -> SharedPresence:
            database = ends.enter_context(closing(PostgresqlDatabase(url)))
            presence = SharedPresence(tmp_path / name, database)
            ends.callback(presence.release)
            return presence

        yield machine


def die(presence: SharedPresence) -> None:
    """End as a killed process does: nothing is said, and the lock is free."""
    presence._ended.set()
    super(SharedPresence, presence).release()


def test_a_process_is_alive_until_it_gives_no_signs(machine: Callable[[str], SharedPresence]) -> None:
    ours, theirs, third = machine("a"), machine("b"), machine("c")
    assert not ours.is_alive(theirs.name), "nothing says that it runs anything"
    for each in (ours, theirs, third):
        each.hold()
        each.hold()
    for _ in range(2 * MISSED):
        theirs.give_sign()
        ours.give_sign()
    assert ours.is_alive(theirs.name)
    assert theirs.is_alive(ours.name)
    assert not theirs.is_alive(third.name), "it has given one sign only"
    third.give_sign()
    assert theirs.is_alive(third.name), "who was only slow says so"
    die(theirs)
    for _ in range(MISSED - 1):
        ours.give_sign()
        third.give_sign()
        assert ours.is_alive(theirs.name)
    ours.give_sign()
    assert not ours.is_alive(theirs.name)
    assert not third.is_alive(theirs.name)


def test_machines_that_do_not_see_each_others_files_are_told(url: str, tmp_path: Path) -> None:
    with ExitStack() as ends:

        def platform(name: str, objects: str | None = None) -> Platform:
            return ends.enter_context(closing(Platform(State(tmp_path / name, url, objects))))

        one = platform("one")
        assert one.account
        assert one.unshared() == ""
        ends.callback(one.records.close)
        one.records._presence.hold()
        assert one.unshared() == platform("one").unshared() == "", "one directory"
        assert "--objects" in platform("two").unshared()
        assert platform("two", "s3://bucket/prefix").unshared() == ""


def test_a_process_that_ends_is_gone_at_once(machine: Callable[[str], SharedPresence]) -> None:
    ours, theirs = machine("a"), machine("b")
    ours.hold()
    theirs.hold()
    assert ours.is_alive(theirs.name)
    theirs.release()
    theirs.release()
    assert not ours.is_alive(theirs.name)
    theirs.hold()
    assert ours.is_alive(theirs.name), "it can be used again"


def test_in_one_directory_a_death_is_seen_at_once_by_all(machine: Callable[[str], SharedPresence]) -> None:
    ours, theirs, far = machine("a"), machine("a"), machine("b")
    ours.hold()
    theirs.hold()
    assert far.is_alive(theirs.name)
    die(theirs)
    theirs._path(theirs.name).touch()  # which a killed process leaves
    assert not ours.is_alive(theirs.name)
    assert not far.is_alive(theirs.name), "the one who saw it has told"


def test_somebody_keeps_the_calls_of_a_process_that_has_ended(machine: Callable[[str], SharedPresence]) -> None:
    """Who has a copy of its descriptor holds its lock; the others of its directory give signs for it."""
    engine, front_end, far = machine("a"), machine("a"), machine("b")
    engine.hold()
    front_end.hold()
    far.hold()
    front_end._ended.set()
    for _ in range(2 * MISSED):
        engine.give_sign()
        far.give_sign()
    assert far.is_alive(front_end.name)


def test_a_server_that_was_away_makes_nobody_dead(
    machine: Callable[[str], SharedPresence], postgresql: PostgresqlServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("algo_local.metadata.postgresql.database.RETRY_SECONDS", 0.0)
    monkeypatch.setattr("algo_local.metadata.postgresql.connections.RETRY_SECONDS", 0.0)
    ours, theirs = machine("a"), machine("b")
    ours.hold()
    theirs.hold()
    ours.give_sign()
    postgresql.stop()
    try:
        for _ in range(2 * MISSED):
            with pytest.raises(StorageUnavailable):
                ours.give_sign()
    finally:
        postgresql.start()
    ours.give_sign()
    assert ours.is_alive(theirs.name)


def test_a_look_whose_transaction_fails_makes_nobody_dead(
    machine: Callable[[str], SharedPresence], monkeypatch: pytest.MonkeyPatch
) -> None:
    ours, theirs = machine("a"), machine("b")
    ours.hold()
    theirs.hold()
    ours.give_sign()
    write = ours._database.write

    @contextmanager
    def failing(**options: bool) -> Iterator[Any]:
        with write(**options) as rows:
            yield rows
            raise StorageUnavailable("The server is away")

    with monkeypatch.context() as patched:
        patched.setattr(ours._database, "write", failing)
        for _ in range(2 * MISSED):
            with pytest.raises(StorageUnavailable):
                ours.give_sign()
    ours.give_sign()
    assert ours.is_alive(theirs.name)


CRASH = """
import sys
from algo_local.opening import open_platform
from algo_local.records.record import Record
from algo_local.records.live_call import Input
from algo_local.state import State
platform = open_platform(State.of())
record = Record("req-1", "jane", "a", "jane", "A", "1.0.0", 1.0, is_void=True, key="k", key_digest="d")
platform.records.accept(record, Input("text", b"x"), "full")
print("on record", flush=True)
sys.stdin.read()
"""


def test_the_calls_of_a_machine_that_is_gone_are_lost_and_those_of_one_that_is_not_are_kept(
    url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("ALGO_LOCAL_METADATA", url)
    monkeypatch.setenv("ALGO_LOCAL_ROOT", str(tmp_path / "far"))
    ours = Platform(State(tmp_path / "near", url))
    assert ours.account
    process = subprocess.Popen([sys.executable, "-c", CRASH], stdin=subprocess.PIPE, stdout=subprocess.PIPE)
    try:
        assert process.stdout
        assert process.stdout.readline() == b"on record\n"
        ours.records.sweep(always=True)
        found = ours.records.find("req-1")
        assert found
        assert found.state == "queued", "its machine has another directory, and it is alive"
        process.kill()
        process.wait()
        presence = ours.records._presence
        assert isinstance(presence, SharedPresence)
        presence.hold()
        for _ in range(MISSED + 2):
            presence.give_sign()
        found = ours.records.find("req-1")
        assert found
        assert found.state == "lost"
    finally:
        process.kill()
        process.communicate()
        ours.close()


# Calls under way


@pytest.fixture
def limits(url: str) -> Iterator[list[SharedConcurrencyLimit]]:
    """Those of two front ends."""
    places = [Places(url), Places(url)]
    yield [SharedConcurrencyLimit(each) for each in places]
    for each in places:
        each.close()


def test_an_account_has_its_calls_at_all_front_ends_together(limits: list[SharedConcurrencyLimit]) -> None:
    with ExitStack() as calls:
        for number in range(CONCURRENT):
            calls.enter_context(limits[number % 3 % 2].counted("Jane"))
        for limit in limits:
            with pytest.raises(TooManyCalls), limit.counted("jane"):
                pass
            with limit.counted("bob"):
                pass
    for limit in limits:
        with ExitStack() as calls:
            for _ in range(CONCURRENT):
                calls.enter_context(limit.counted("jane"))


def test_threads_of_both_never_have_more_than_the_limit(limits: list[SharedConcurrencyLimit]) -> None:
    lock, running, most, refused = threading.Lock(), [0], [0], [0]

    def call(number: int) -> None:
        try:
            with limits[number % 2].counted("jane"):
                with lock:
                    running[0] += 1
                    most[0] = max(most[0], running[0])
                time.sleep(0.01)
                with lock:
                    running[0] -= 1
        except TooManyCalls:
            refused[0] += 1

    with ThreadPoolExecutor(100) as threads:
        list(threads.map(call, range(300)))
    assert running == [0]
    assert most[0] <= CONCURRENT


def test_places_of_a_process_that_ends_are_free_and_those_of_a_lost_connection_are_taken_again(
    url: str, postgresql: PostgresqlServer
) -> None:
    with closing(Places(url)) as ours, closing(Places(url)) as theirs:
        held = [ours.take("jane", 3) for _ in range(2)]
        assert theirs.take("jane", 3) is not None
        assert (ours.take("jane", 3), theirs.take("jane", 3)) == (None, None)
        theirs.close()
        assert theirs.take("jane", 3) is not None
        with postgresql.administration() as connection:
            query = "SELECT pg_terminate_backend(pid, 10000) FROM pg_stat_activity WHERE datname = %s"
            connection.execute(query, (database_of(url),))
        assert ours.take("jane", 3) is not None, "the one of the other, whose connection was lost as well"
        assert theirs.take("jane", 3) is None, "two were taken again"
        for place in held:
            assert place is not None
            ours.give("jane", place)
        assert theirs.take("jane", 3) is not None


# What happens once


@pytest.fixture
def front_ends(
    url: str, root: Path, serve: Callable[..., Served], monkeypatch: pytest.MonkeyPatch
) -> tuple[Served, Served]:
    """Two processes that share a directory and a database."""
    monkeypatch.setenv("ALGO_LOCAL_METADATA", url)
    monkeypatch.setenv("ALGO_LOCAL_NOTIFY_PRIVATE", "on")
    return serve(), serve()


def test_a_call_is_executed_and_told_once_whichever_front_end_is_asked(
    front_ends: tuple[Served, Served], url: str, root: Path, tmp_path: Path, receiver: Receiver
) -> None:
    platform = Platform(State(root, url))
    key = platform.keys.create("jane", "test")[1]
    headers = {"Authorization": f"Simple {key}", "Content-Type": "text/plain", "Idempotency-Key": "once"}

    def call(number: int) -> requests.Response:
        address = f"{front_ends[number % 2].address}/v1/algo/demo/Hello?output=void&notify={receiver.address}/told"
        return requests.post(address, b"you", headers=headers, timeout=60)

    with ThreadPoolExecutor(12) as threads:
        answers = list(threads.map(call, range(24)))
    assert {answer.status_code for answer in answers} <= {200}, [answer.text for answer in answers]
    assert len({answer.json()["request_id"] for answer in answers}) == 1
    deadline = time.monotonic() + 60
    while not receiver.seen and time.monotonic() < deadline:
        time.sleep(0.02)
    for served in front_ends:
        code, said = served.stop()
        assert code == ExitCode.OK, said
    assert len(receiver.seen) == 1
    with psycopg.connect(url) as connection:
        found: Any = connection.execute("SELECT state, count(*) FROM requests GROUP BY state").fetchall()
    assert found == [("done", 1)]
    platform.close()


def test_a_key_that_one_front_end_revokes_is_refused_by_the_other_at_once(
    front_ends: tuple[Served, Served], url: str, root: Path
) -> None:
    platform = Platform(State(root, url))
    for _ in range(3):
        key, text = platform.keys.create("jane", "test")
        headers = {"Authorization": f"Simple {text}"}
        for served in front_ends:
            for _ in range(20):  # so that it is remembered
                assert requests.get(f"{served.address}/v1/requests", headers=headers, timeout=60).status_code == 200
        platform.keys.delete(key)
        for served in front_ends:
            assert requests.get(f"{served.address}/v1/requests", headers=headers, timeout=60).status_code == 401
    platform.close()
