"""The contract of databases, kept by SQLite and by PostgreSQL."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from algo_local.metadata.database import Database
from algo_local.metadata.sqlite import SqliteDatabase
from algo_local.testing import DatabaseContract

if TYPE_CHECKING:
    from support.postgresql import PostgresqlServer


class TestSqlite(DatabaseContract):
    @pytest.fixture
    def opener(self, tmp_path: Path) -> Callable[[], Database]:
        return partial(SqliteDatabase, tmp_path / "state" / "platform.sqlite3")


class TestPostgresql(DatabaseContract):
    @pytest.fixture
    def opener(self, postgresql: PostgresqlServer) -> Iterator[Callable[[], Database]]:
        from algo_local.metadata.postgresql.database import PostgresqlDatabase

        url = postgresql.lend()
        yield partial(PostgresqlDatabase, url)
        postgresql.take_back(url)

    def test_it_is_made_by_many_at_once(self, opener: Callable[[], Database], postgresql: PostgresqlServer) -> None:
        from algo_local.metadata.postgresql.database import PostgresqlDatabase

        url = postgresql.create()  # without the schema that the others begin with
        super().test_it_is_made_by_many_at_once(partial(PostgresqlDatabase, url))
        postgresql.drop(url)
