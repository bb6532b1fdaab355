"""Poolers that do not keep sessions are refused; PgBouncer is stood for by what two of its clients see."""

from __future__ import annotations

import random
from collections.abc import Iterator
from contextlib import closing, contextmanager
from types import SimpleNamespace
from typing import Any

import psycopg
import pytest
from support.postgresql import PostgresqlServer

from algo_core.errors import ConfigError, PlatformError
from algo_local.metadata.postgresql import poolers
from algo_local.metadata.postgresql.database import PostgresqlDatabase
from algo_local.metadata.postgresql.poolers import check_sessions

URL = "postgresql://jane:hush@pooler/algo"


class Pool:
    """Connections with a server, by the numbers of its processes; the one that was given back last is given first."""

    def __init__(self, mode: str, size: int = 20, traffic: int = 0) -> None:
        self.mode = mode
        self.idle = list(range(100, 100 + size))
        self.chance = random.Random(size + traffic)
        self.traffic = traffic

    def take(self) -> int:
        assert self.idle, "it would wait for ever"
        if self.traffic and len(self.idle) > 1 and self.chance.randrange(self.traffic) == 0:
            self.chance.shuffle(self.idle)  # others have used them meanwhile
        return self.idle.pop()


class Client:
    """A connection with a pooler, which numbers its clients by itself."""

    def __init__(self, pool: Pool) -> None:
        self.info = SimpleNamespace(backend_pid=7)
        self._pool = pool
        self._kept: int | None = pool.take() if pool.mode == "session" else None

    def execute(self, query: str, **options: Any) -> Any:
        number = self._pool.take() if self._kept is None else self._kept
        if self._kept is None:
            self._pool.idle.append(number)
        return SimpleNamespace(fetchone=lambda: (number,))

    @contextmanager
    def transaction(self) -> Iterator[None]:
        if self._pool.mode == "statement":
            raise psycopg.OperationalError("transaction blocks not allowed in statement pooling mode")
        before = self._kept
        self._kept = self._pool.take() if before is None else before
        yield
        if before is None:
            self._pool.idle.append(self._kept)
        self._kept = before

    def close(self) -> None: ...


@pytest.mark.parametrize("traffic", [0, 1, 3])
@pytest.mark.parametrize(("mode", "size"), [("transaction", 1), ("transaction", 20), ("statement", 20)])
def test_a_pooler_that_does_not_keep_sessions_is_refused(mode: str, size: int, traffic: int) -> None:
    pool = Pool(mode, size, traffic)
    with pytest.raises(ConfigError, match="behind a pooler") as caught:
        check_sessions(Client(pool), lambda: Client(pool), URL)  # type: ignore[arg-type,return-value]
    assert "session" in (caught.value.hint or "")
    assert "hush" not in caught.value.message


def test_one_that_keeps_sessions_is_used() -> None:
    pool = Pool("session")
    check_sessions(Client(pool), lambda: Client(pool), URL)  # type: ignore[arg-type,return-value]


def test_the_start_and_a_reset_look_for_poolers(postgresql: PostgresqlServer, monkeypatch: pytest.MonkeyPatch) -> None:
    url = postgresql.lend()
    with closing(PostgresqlDatabase(url)) as database:
        database.check_alone()
        with database.read():  # from here on, it is known
            pass
        monkeypatch.setattr(poolers, "_process", lambda connection: 1)
        with pytest.raises(PlatformError, match="through a connection pooler") as caught:
            database.check_alone()
        assert "the address of the server itself" in (caught.value.hint or "")
    with closing(PostgresqlDatabase(url)) as database, pytest.raises(ConfigError, match="behind a pooler"):
        database.now()
    monkeypatch.undo()
    postgresql.take_back(url)
