"""`algo local reset` of a platform whose rows are on a server: its own tables go, and nothing else that is there."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import psycopg
import pytest
from support.postgresql import PostgresqlServer

from algo_core.errors import ConfigError, ExitCode, PlatformError
from algo_core.testing import Home
from algo_local.backups.tables import DERIVED, KEYS
from algo_local.maintenance import delete_everything
from algo_local.platform import Platform
from algo_local.state import State

TABLES = [*KEYS, *DERIVED]
QUERY = "SELECT table_name FROM information_schema.tables WHERE table_schema = 'public'"
FUNCTIONS = "SELECT proname FROM pg_proc WHERE pronamespace = 'public'::regnamespace AND proname LIKE 'algo%'"


@pytest.fixture
def server_state(postgresql: PostgresqlServer, tmp_path: Path) -> Iterator[State]:
    """Of a platform in a database that has a table of somebody else as well."""
    url = postgresql.create()
    with psycopg.connect(url, autocommit=True) as connection:
        connection.execute("CREATE TABLE mine (x INT)")
    state = State(tmp_path / "platform", url)
    with closing(Platform(state)) as platform:
        platform.ensure_key()
        platform.keys.create(platform.metadata.ensure_account("alice"), "test")
    yield state
    postgresql.drop(url)


def found(state: State, query: str) -> set[str]:
    assert state.metadata
    with psycopg.connect(state.metadata) as connection:
        return {row[0] for row in connection.execute(query)}


def test_all_of_the_platform_goes_and_nothing_else(server_state: State) -> None:
    note = server_state.root / "notes.txt"
    note.write_text("mine")
    delete_everything(server_state, TABLES)
    assert found(server_state, QUERY) == {"mine"}
    assert found(server_state, FUNCTIONS) == set()
    assert sorted(path.name for path in server_state.root.iterdir()) == ["notes.txt", "secrets.key"]
    delete_everything(server_state, TABLES)
    with closing(Platform(server_state)) as platform:
        assert platform.metadata.account("alice") is None
        assert platform.account


def test_a_platform_in_use_stays(server_state: State) -> None:
    with closing(Platform(server_state)) as platform:
        assert platform.account
        with pytest.raises(PlatformError, match="in use: its database has 1 other connection"):
            delete_everything(server_state, TABLES)
        assert platform.metadata.account("alice")


def test_a_database_of_something_else_stays(postgresql: PostgresqlServer, tmp_path: Path) -> None:
    url = postgresql.create()
    with psycopg.connect(url, autocommit=True) as connection:
        connection.execute("CREATE TABLE accounts (x INT)")
    with pytest.raises(ConfigError, match="is not this platform's"):
        delete_everything(State(tmp_path, url), TABLES)
    assert found(State(tmp_path, url), QUERY) == {"accounts"}
    postgresql.drop(url)


def test_the_question_names_the_places(server_state: State, algo_home: Home) -> None:
    assert server_state.metadata
    shown = server_state.metadata.replace("//algo@", "//***@")
    algo_home.environ |= {
        "ALGO_LOCAL_METADATA": server_state.metadata.replace("algo@", "algo:hush@"),
        "ALGO_LOCAL_ROOT": str(server_state.root),
    }
    assert f"metadata       {shown}\n" in algo_home.run("local", "status").text
    asked = algo_home.run("local", "reset")
    assert asked.code == ExitCode.USAGE
    assert f"{server_state.root}, {shown}" in asked.stderr
    assert found(server_state, QUERY) > {"mine", "accounts"}
    done = algo_home.run("local", "reset", "--yes")
    assert (done.code, "hush" in done.stderr) == (ExitCode.OK, False), done.stderr
    assert found(server_state, QUERY) == {"mine"}
