"""Answers of the database that are remembered: never longer than they are true, whoever changes it."""

from __future__ import annotations

import subprocess
import sys
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from algo_local.algorithms import lifecycle
from algo_local.metadata import memory as module
from algo_local.metadata.sqlite import SqliteDatabase
from algo_local.metadata.store import Metadata
from algo_local.opening import open_platform
from algo_local.platform import Platform

ON_BOTH_DATABASES = True


def test_an_answer_is_asked_for_once_until_something_changes(tmp_path: Path) -> None:
    path = tmp_path / "platform.sqlite3"
    ours, theirs = SqliteDatabase(path), SqliteDatabase(path)
    asked: list[int] = []

    def ask() -> int:
        asked.append(1)
        with ours.read() as rows:
            found: int = rows.execute("SELECT count(*) FROM settings WHERE name LIKE 'x%'").fetchone()[0]
        return found

    def known() -> int:
        return ours.remembered(("count",), ask)

    assert (known(), known(), len(asked)) == (0, 0, 1)
    for number, (changed, to_disk) in enumerate([(ours, False), (theirs, False), (ours, True), (theirs, True)], 1):
        with changed.write(to_disk=to_disk) as rows:
            rows.execute("INSERT INTO settings VALUES (?, '')", (f"x{number}",))
            assert known() == number - 1, "not before it is committed"
        assert (known(), known()) == (number, number)
    ours.close()
    assert known() == 4, "it can be used again"
    code = 'import sqlite3, sys; c = sqlite3.connect(sys.argv[1]); c.execute("DELETE FROM settings"); c.commit()'
    subprocess.run([sys.executable, "-c", code, str(path)], check=True)
    assert known() == 0


def test_what_is_remembered_is_bounded_and_failures_are_not(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "REMEMBERED", 10)
    database = SqliteDatabase(tmp_path / "platform.sqlite3")
    for number in range(100):
        assert database.remembered((number,), lambda number=number: number) == number  # type: ignore[misc]
    assert len(database._memory._found) <= 10
    tries = iter([ValueError, None])

    def ask() -> str:
        if error := next(tries):
            raise error
        return "now"

    with pytest.raises(ValueError):
        database.remembered(("fails",), ask)
    assert database.remembered(("fails",), ask) == "now"


def test_threads_that_read_and_write_see_no_older_answer(tmp_path: Path) -> None:
    database = SqliteDatabase(tmp_path / "platform.sqlite3")
    with database.write() as rows:
        rows.execute("INSERT INTO settings VALUES ('n', '0')")
    written, wrong = [0], []

    def ask() -> int:
        with database.read() as rows:
            return int(rows.execute("SELECT value FROM settings WHERE name = 'n'").fetchone()[0])

    def read() -> None:
        while written[0] < 100:
            least = written[0]
            if database.remembered(("n",), ask) < least:
                wrong.append(least)

    readers = [threading.Thread(target=read) for _ in range(3)]
    for reader in readers:
        reader.start()
    for number in range(1, 101):
        with database.write() as rows:
            rows.execute("UPDATE settings SET value = ? WHERE name = 'n'", (str(number),))
        written[0] = number
    for reader in readers:
        reader.join()
    assert wrong == []


def test_what_another_process_changes_holds_at_once(
    platform: Platform, account: Callable[[str], Any], publish: Callable[..., None]
) -> None:
    publish("jane/Echo", "def apply(input):\n    return input\n", public=False)
    jane, bob = account("jane"), account("bob")
    assert jane.run("jane/Echo/1.0.0", b"x").json()["result"] == "x"
    assert bob.run("jane/Echo/1.0.0", b"x").status_code == 404
    other = open_platform(platform.state)
    algorithm = other.registry.algorithm("jane", "Echo")
    assert algorithm
    version = other.registry.versions(algorithm)[0]
    with other.database.write() as rows:
        rows.execute("UPDATE versions SET public = 1")
    assert bob.run("jane/Echo/1.0.0", b"x").json()["result"] == "x"
    lifecycle.unpublish(other.registry, version)
    assert jane.run("jane/Echo/1.0.0", b"x").status_code == 404
    with other.database.write() as rows:
        rows.execute("UPDATE keys SET expires_at = 1 WHERE owner = 'bob'")
    assert bob("GET", "requests").status_code == 401
    for key in other.keys.of("jane"):
        other.keys.delete(key)
    assert jane("GET", "requests").status_code == 401
    other.close()


def test_an_account_that_is_no_administrator_any_more_has_no_rights(platform: Platform) -> None:
    metadata = Metadata(platform.database)
    assert metadata.is_administrator(platform.account)
    with platform.database.write() as rows:
        rows.execute("UPDATE accounts SET is_administrator = 0")
    assert not metadata.is_administrator(platform.account)
