"""State directories of older versions go on working: each `states/schema_N.sql` is the database of one."""

from __future__ import annotations

import sqlite3
import subprocess
import sys
import threading
from pathlib import Path
from typing import Any

import pytest

from algo_core.errors import ConfigError
from algo_local.callers import Caller
from algo_local.metadata.keys import EVERYTHING
from algo_local.metadata.migrations import MIGRATIONS
from algo_local.metadata.sqlite import SCHEMA_VERSION
from algo_local.platform import Platform
from algo_local.state import DATABASE

STATES = sorted(Path(__file__).with_name("states").glob("schema_*.sql"))
KEY = "simGizpOmHmvGDJL2SpROOQQ067r"
"""Alice's, in every state."""


def restore(state: Path, root: Path) -> Path:
    root.mkdir(mode=0o700)
    connection = sqlite3.connect(root / DATABASE)
    connection.executescript(state.read_text())
    connection.close()
    return root


@pytest.fixture(params=STATES, ids=lambda state: state.stem)
def older_state(request: pytest.FixtureRequest, root: Path) -> Path:
    return restore(request.param, root)


def test_there_is_a_state_of_the_version_that_was_released() -> None:
    assert STATES[0].stem == "schema_2"
    assert len(MIGRATIONS) == SCHEMA_VERSION


def test_all_that_was_there_is_there(older_state: Path) -> None:
    platform = Platform(older_state)
    assert platform.account == "jane"
    assert [account.name for account in platform.accounts.people()] == ["Alice", "demo", "jane"]
    assert len({account.id for account in platform.accounts.people()}) == 3
    assert platform.metadata.is_administrator("jane")
    assert not platform.metadata.is_administrator("Alice")
    key = platform.keys.find(KEY)
    assert key
    assert (key.owner, key.permissions, key.expires_at) == ("Alice", EVERYTHING, None)
    algorithm = platform.registry.algorithm("alice", "echo")
    assert algorithm
    versions = platform.registry.versions(algorithm)
    assert [(version.text, version.public) for version in versions] == [
        ("2.0.0", True),
        ("1.1.0", False),
        ("1.0.0", True),
    ]
    assert versions[1].build_id == versions[2].build_id != versions[0].build_id
    assert "Built Alice/Echo" in versions[0].build.log
    (collection,) = platform.metadata.collection_records("Alice")
    assert (collection.name, collection.acl, len(collection.id)) == ("papers", (), 36)
    assert [connector.name for connector in platform.connectors.of("Alice")] == ["s3+store"]
    platform.close()


def test_what_is_new_works_beside_it(older_state: Path, tmp_path: Path) -> None:
    platform = Platform(older_state)
    source = tmp_path / "echo"
    (source / "src").mkdir(parents=True)
    (source / "src" / "Echo.py").write_text("def apply(input):\n    return input\n")
    (source / "src" / "__init__.py").write_text("")
    algorithm = platform.registry.algorithm("Alice", "Echo")
    assert algorithm
    before = {version.build.commit: version.build_id for version in platform.registry.versions(algorithm)}
    published = platform.publish(source, "Alice", "Echo", "3.0.0")
    assert before[published.build.commit] == published.build_id, "the same source is the same build"
    platform.organizations.create("acme", platform.organizations.types()[0][0], {}, None, ["Alice"])
    assert platform.metadata.roles("Alice") == {"acme": "owner"}
    assert platform.hosted.delete(Caller("Alice"), [".my", "papers"], force=True) == 0
    platform.close()


def version_of(root: Path) -> int:
    connection = sqlite3.connect(root / DATABASE)
    (version,) = connection.execute("PRAGMA user_version").fetchone()
    connection.close()
    return int(version)


def schema(path: Path) -> dict[str, Any]:
    connection = sqlite3.connect(path)
    tables = [name for (name,) in connection.execute("SELECT name FROM sqlite_master WHERE type = 'table'")]
    found = {
        name: (
            connection.execute(f"PRAGMA table_info({name})").fetchall(),
            sorted(connection.execute(f"PRAGMA foreign_key_list({name})").fetchall()),
            sorted(row[1:3] for row in connection.execute(f"PRAGMA index_list({name})").fetchall()),
        )
        for name in sorted(tables)
    }
    connection.close()
    return found


def test_a_migrated_database_is_like_a_fresh_one(older_state: Path, tmp_path: Path) -> None:
    fresh = Platform(tmp_path / "fresh")
    migrated = Platform(older_state)
    assert fresh.account
    assert migrated.account
    fresh.close()
    migrated.close()
    assert schema(older_state / DATABASE) == schema(tmp_path / "fresh" / DATABASE)


OPEN = "import sys; from pathlib import Path; from algo_local.platform import Platform; print(Platform(Path(sys.argv[1])).account)"


def test_many_processes_and_threads_migrate_at_once(older_state: Path) -> None:
    processes = [
        subprocess.Popen([sys.executable, "-c", OPEN, str(older_state)], stdout=subprocess.PIPE, stderr=subprocess.PIPE)
        for _ in range(4)
    ]
    platform = Platform(older_state)
    seen: list[str] = []
    threads = [threading.Thread(target=lambda: seen.append(platform.account)) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert [process.communicate() for process in processes] == [(b"jane\n", b"")] * 4
    assert seen == ["jane"] * 4
    platform.close()


@pytest.mark.parametrize("number", range(1, SCHEMA_VERSION + 1))
def test_a_migration_that_breaks_off_leaves_the_older_database(
    older_state: Path, monkeypatch: pytest.MonkeyPatch, number: int
) -> None:
    """At each step: the next start finds what there was before."""
    before = schema(older_state / DATABASE)
    broken = [*MIGRATIONS]
    broken[number - 1] += "; SELECT nonsense FROM nowhere"
    monkeypatch.setattr("algo_local.metadata.migrations.MIGRATIONS", tuple(broken))
    platform = Platform(older_state)
    if number <= version_of(older_state):
        assert platform.account == "jane"
        platform.close()
        return
    with pytest.raises(Exception, match="nowhere"):
        _ = platform.account
    assert schema(older_state / DATABASE) == before
    monkeypatch.undo()
    again = Platform(older_state)
    assert again.account == "jane"
    again.close()


def test_rows_that_refer_to_nothing_are_told(older_state: Path) -> None:
    connection = sqlite3.connect(older_state / DATABASE)
    connection.execute("DELETE FROM builds")
    connection.commit()
    connection.close()
    with pytest.raises(ConfigError, match="damaged"):
        _ = Platform(older_state).account
