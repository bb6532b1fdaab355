"""A server that is frozen ends no connection: nothing waits for it without end, and nothing is lost."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from contextlib import closing

import pytest
from support.postgresql import PostgresqlServer

from algo_local.metadata.postgresql import watched
from algo_local.metadata.postgresql.database import PostgresqlDatabase
from algo_local.metadata.postgresql.places import Places
from algo_local.refusals import CommonFailure, StorageUnavailable


@pytest.fixture
def url(postgresql: PostgresqlServer) -> Iterator[str]:
    url = postgresql.lend()
    yield f"{url}&connect_timeout=2"
    postgresql.take_back(url)


@pytest.fixture(autouse=True)
def _soon(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(watched, "QUIET_SECONDS", 0.2)


def test_all_who_wait_for_a_frozen_server_are_told_and_it_is_used_again(url: str, postgresql: PostgresqlServer) -> None:
    told: list[str] = []

    def ask() -> None:
        with pytest.raises(StorageUnavailable) as caught, database.read() as rows:
            rows.execute("SELECT 1")
        told.append(caught.value.message)

    def take() -> None:
        with pytest.raises(StorageUnavailable) as caught:
            places.take("jane", 80)
        told.append(caught.value.message)

    with closing(PostgresqlDatabase(url)) as database, closing(Places(url)) as places:
        with database.write() as rows:
            rows.execute("INSERT INTO settings VALUES ('a', 'x')")
        assert places.take("jane", 80) is not None
        waiting = [threading.Thread(target=each, daemon=True) for each in (ask, take, take, take, take, take)]
        with postgresql.frozen():
            for thread in waiting:
                thread.start()
            for thread in waiting:
                thread.join(60)
        assert len(told) == len(waiting)
        assert all("cannot be" in each for each in told), told
        with database.write() as rows:
            assert rows.execute("SELECT count(*) FROM settings").fetchone()[0] == 1
        assert places.take("jane", 80) is not None


def test_a_statement_takes_its_time_while_the_server_answers_others(url: str) -> None:
    with closing(PostgresqlDatabase(url)) as database, database.read() as rows:
        assert rows.execute("SELECT 'done' FROM pg_sleep(0.7)").fetchone()[0] == "done"


def test_threads_that_queue_fail_with_the_first() -> None:
    failure, lock, tries = CommonFailure(), threading.Lock(), []

    def ask() -> None:
        began = time.monotonic()
        with pytest.raises(StorageUnavailable, match="away"), lock, failure.shared(began):
            tries.append(began)
            raise StorageUnavailable("away")

    with lock:
        threads = [threading.Thread(target=ask) for _ in range(8)]
        for thread in threads:
            thread.start()
        while sum(thread.is_alive() for thread in threads) < len(threads):
            pass
        time.sleep(0.05)  # until all of them have looked at the clock
    for thread in threads:
        thread.join(30)
    assert len(tries) == 1
    ask()
    assert len(tries) == 2, "one that comes later tries for itself"
