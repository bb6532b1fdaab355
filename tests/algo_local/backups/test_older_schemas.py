"""Backups that older versions have made are restored: their rows go through the migrations of the schema."""

from __future__ import annotations

import base64
import hashlib
import json
import sqlite3
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

import pytest

from algo_local.backups.archive import DirectoryStore, add_lines
from algo_local.backups.manifest import Damaged, Manifest
from algo_local.backups.restore import Restoration, check
from algo_local.backups.tables import DERIVED
from algo_local.metadata.sqlite import SqliteDatabase
from algo_local.platform import Platform
from algo_local.state import State

from .conftest import nothing

STATES = Path(__file__).parent.parent / "metadata" / "states"
ALICES = "simGizpOmHmvGDJL2SpROOQQ067r"
"""Her key, in each state."""

Change = Callable[[dict[str, list[bytes]]], None]


def older_backup(directory: Path, state: str, schema: int, change: Change = lambda tables: None) -> Manifest:
    """A backup in `directory` as the algo-local of a schema makes it, whose rows `change` may change before."""
    database = SqliteDatabase(directory.with_suffix(".sqlite3"), schema)
    with closing(sqlite3.connect(database.path)) as connection:
        connection.executescript((STATES / f"{state}.sql").read_text())
    tables = {}
    with closing(database), database.read() as rows:
        query = "SELECT name FROM sqlite_master WHERE type = 'table' AND name NOT LIKE 'sqlite_%' ORDER BY rowid"
        for table in [name for (name,) in rows.execute(query) if name not in DERIVED]:
            found = rows.execute(f"SELECT * FROM {table}")
            names = [column[0] for column in found.description]
            tables[table] = [line(dict(zip(names, row, strict=True))) for row in found]
    change(tables)
    store, digest = DirectoryStore(directory), hashlib.sha256()
    store.begin()
    parts = {table: add_lines(store, iter(lines)) for table, lines in tables.items()}
    for table, part in parts.items():
        digest.update(f"{table} {part.lines} {part.sha256}\n".encode())
    manifest = Manifest(schema, "jane", True, parts, add_lines(store, iter(())), 0, digest.hexdigest())
    store.finish(manifest)
    return manifest


def line(row: dict[str, object]) -> bytes:
    packed = {
        name: {"base64": base64.b64encode(value).decode()} if isinstance(value, bytes) else value
        for name, value in row.items()
    }
    return json.dumps(packed, sort_keys=True).encode() + b"\n"


@pytest.mark.parametrize("metadata_url", ["sqlite", "postgresql"], indirect=True)
@pytest.mark.parametrize(
    ("state", "schema"), [("schema_2", 2), ("schema_2", 3), ("schema_4", 4), ("schema_4", 9), ("schema_4", 14)]
)
def test_a_backup_of_an_older_schema_is_restored(
    state: str, schema: int, metadata_url: str | None, root: Path, tmp_path: Path
) -> None:
    manifest = older_backup(tmp_path / "backup", state, schema)
    assert check(tmp_path / "backup", manifest.digest, nothing) == manifest
    Restoration(State(root, metadata_url), replace=False, report=nothing).run(tmp_path / "backup", manifest.digest)
    assert not (root / "restoring").exists()
    with closing(Platform(State(root, metadata_url))) as platform:
        assert [account.name for account in platform.accounts.people()] == ["Alice", "demo", "jane"]
        assert platform.keys.find(ALICES)
        algorithm = platform.registry.algorithm("alice", "echo")
        assert algorithm
        assert [version.text for version in platform.registry.versions(algorithm)] == ["2.0.0", "1.1.0", "1.0.0"]
        assert [connector.name for connector in platform.connectors.of("Alice")] == ["s3+store"]


def _without_builds(tables: dict[str, list[bytes]]) -> None:
    tables["builds"] = []


def _without_a_column(tables: dict[str, list[bytes]]) -> None:
    tables["keys"] = [line({"id": 1})]


def _twice(tables: dict[str, list[bytes]]) -> None:
    tables["accounts"] *= 2


def _elsewhere(tables: dict[str, list[bytes]]) -> None:
    tables["builds"] = [text.replace(b'"source": "', b'"source": "../') for text in tables["builds"]]


def _newer_table(tables: dict[str, list[bytes]]) -> None:
    tables["requests"] = []


def _no_table(tables: dict[str, list[bytes]]) -> None:
    tables["settings WHERE 1 = 1; DROP TABLE keys; --"] = []


def _one_table_less(tables: dict[str, list[bytes]]) -> None:
    del tables["versions"]


@pytest.mark.parametrize(
    "change", [_without_builds, _without_a_column, _twice, _elsewhere, _newer_table, _no_table, _one_table_less]
)
def test_rows_that_do_not_fit_together_change_nothing(change: Change, root: Path, tmp_path: Path) -> None:
    older_backup(tmp_path / "backup", "schema_4", 4, change)
    with pytest.raises(Damaged):
        check(tmp_path / "backup", "", nothing)
    with pytest.raises(Damaged):
        Restoration(State(root), replace=False, report=nothing).run(tmp_path / "backup")
    assert not root.exists()
