"""Tests to inherit for every implementation of the database (`algo_local.metadata.database.Database`). Needs pytest."""

# ruff: noqa: D102, PT012 - a test says what it is for in its name, and transactions that fail have several lines

from __future__ import annotations

import os
import signal
import warnings
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from multiprocessing import get_context
from typing import Any

import pytest

from algo_local.metadata.database import Database, IntegrityError, Rows
from algo_local.refusals import StorageUnavailable

PATIENCE = 60.0
"""Seconds in which everything happens that a test waits for."""


class DatabaseContract:
    """Tests that every database passes.

    The fixture `opener` is a function that opens the same empty database each time that it is called, in processes
    that were forked as well. `database` is one of them.

        class TestOurs(DatabaseContract):
            @pytest.fixture
            def opener(self, tmp_path):
                return partial(OurDatabase, tmp_path / "rows")
    """

    @pytest.fixture
    def opener(self) -> Callable[[], Database]:
        """Opens the database; to be overridden."""
        raise NotImplementedError

    @pytest.fixture
    def database(self, opener: Callable[[], Database]) -> Iterator[Database]:
        database = opener()
        yield database
        database.close()

    @pytest.fixture
    def other(self, opener: Callable[[], Database]) -> Iterator[Database]:
        """A second one, as another process has it."""
        other = opener()
        yield other
        other.close()

    # Transactions

    def test_a_transaction_is_seen_when_it_is_committed(self, database: Database, other: Database) -> None:
        with database.write() as rows:
            _put(rows, "a", "1")
            assert _value(other, "a") is None
            assert _value(database, "a") is None, "not by another connection of this one either"
        assert _value(other, "a") == _value(database, "a") == "1"

    def test_nothing_remains_of_a_block_that_raises(self, database: Database) -> None:
        for error in (ValueError, KeyboardInterrupt):
            with pytest.raises(error), database.write() as rows:
                _put(rows, "a", "1")
                raise error
            assert _value(database, "a") is None
        with database.write(to_disk=True) as rows:
            _put(rows, "a", "2")
        assert _value(database, "a") == "2", "and the next one is not held up"

    def test_a_query_sees_what_was_committed_before_it(self, database: Database, other: Database) -> None:
        with database.read() as rows:
            assert rows.execute("SELECT count(*) FROM settings").fetchone() == (0,)
            with other.write() as written:
                _put(written, "a", "1")
            assert rows.execute("SELECT count(*) FROM settings").fetchone() == (1,)

    def test_a_transaction_sees_its_own_changes_and_a_query_inside_it_does_not(self, database: Database) -> None:
        with database.write() as rows:
            _put(rows, "a", "1")
            assert rows.execute("SELECT value FROM settings").fetchall() == [("1",)]
            with database.read() as outside, database.read() as nested:
                assert outside.execute("SELECT value FROM settings").fetchall() == []
                assert nested.execute("SELECT value FROM settings").fetchall() == []

    def test_a_guard_refuses_changes_in_their_transaction(self, database: Database, other: Database) -> None:
        seen = []

        def guard(rows: Rows) -> None:
            seen.append(rows.execute("SELECT value FROM settings WHERE name = 'a'").fetchall())
            raise StorageUnavailable("Not now")

        with database.write() as rows:
            _put(rows, "a", "1")
        database.guard = guard
        with pytest.raises(StorageUnavailable), database.write() as rows:
            _put(rows, "b", "2")
        assert seen == [[("1",)]]
        with database.write(is_guarded=False) as rows:
            _put(rows, "c", "3")
        assert (_value(other, "b"), _value(other, "c")) == (None, "3")
        with other.write() as rows:  # the guard is its own, and holds nothing up
            _put(rows, "d", "4")

    @pytest.mark.parametrize("to_disk", [False, True])
    def test_writers_of_threads_and_processes_take_turns(
        self, database: Database, opener: Callable[[], Database], to_disk: bool
    ) -> None:
        with database.write() as rows:
            _put(rows, "n", "0")
        with _processes(_count_up, *[(opener, 20, to_disk)] * 2), ThreadPoolExecutor(8) as threads:
            for each in [threads.submit(_count_up, lambda: database, 5, to_disk) for _ in range(8)]:
                each.result(PATIENCE)
        assert _value(database, "n") == "80", "no increment is lost: who reads inside a transaction is alone"

    def test_a_process_that_is_killed_leaves_nothing_and_holds_up_nobody(
        self, database: Database, opener: Callable[[], Database]
    ) -> None:
        _value(database, "a")
        with _processes(_die_inside, (opener,), ends=-signal.SIGKILL):
            pass
        assert _value(database, "a") is None
        with database.write() as rows:
            _put(rows, "a", "2")
        assert _value(database, "a") == "2"

    def test_it_is_made_by_many_at_once(self, opener: Callable[[], Database]) -> None:
        with _processes(_first_use, *[(opener,)] * 3):
            _first_use(opener)

    def test_a_snapshot_sees_the_rows_of_one_moment(self, database: Database, other: Database) -> None:
        with database.snapshot() as rows:
            result = rows.execute("SELECT name, value FROM settings")
            assert [column[0] for column in result.description] == ["name", "value"]
            for number in range(3):
                _set(lambda: other, f"n{number}", "x")
                assert rows.execute("SELECT count(*) FROM settings").fetchone() == (0,)
        with database.snapshot() as rows:
            assert rows.execute("SELECT count(*) FROM settings").fetchone() == (3,)
        with pytest.raises(ValueError), database.snapshot():
            raise ValueError
        _set(lambda: database, "n4", "x")

    def test_numbers_are_not_given_twice(self, database: Database) -> None:
        insert = "INSERT INTO event_listeners (owner, attributes, credentials) VALUES ('jane', '', ?) RETURNING id"
        numbered = "INSERT INTO event_listeners (id, owner, attributes, credentials) VALUES (70, 'jane', '', ?)"
        with database.write() as rows:
            rows.execute("INSERT INTO accounts (name, created_at, id) VALUES ('jane', 1, '1')")
            (first,) = rows.execute(insert, (b"",)).fetchone()
            assert rows.execute(insert, (b"",)).fetchone() == (first + 1,)
            rows.executemany(numbered, [(b"",)])
            assert rows.execute(insert, (b"",)).fetchone() == (71,), "a row of a copy brings its number"
            rows.execute("DELETE FROM event_listeners")
            assert rows.execute(insert, (b"",)).fetchone() == (72,)

    # Failures

    def test_a_constraint_that_is_broken_is_an_integrity_error(self, database: Database) -> None:
        with database.write() as rows:
            _put(rows, "a", "1")
            rows.execute("INSERT INTO accounts (name, created_at, id) VALUES ('jane', 1, '1')")
        for sql, values in (
            ("INSERT INTO settings VALUES (?, ?)", ("a", "2")),
            ("INSERT INTO settings VALUES (?, ?)", ("b", None)),
            ("INSERT INTO accounts (name, created_at, id) VALUES (?, ?, ?)", ("JANE", 1.0, "2")),
            ("INSERT INTO organizations VALUES (?, ?, NULL, '')", ("jane", "no such type")),
        ):
            with pytest.raises(IntegrityError), database.write() as rows:
                _put(rows, "c", "3")
                rows.execute(sql, values)
            assert (_value(database, "a"), _value(database, "b"), _value(database, "c")) == ("1", None, None)
        with pytest.raises(IntegrityError), database.write() as rows:
            rows.executemany("INSERT INTO settings VALUES (?, ?)", [("d", "1"), ("a", "1"), ("e", "1")])
        assert _value(database, "d") is None

    def test_it_can_be_used_again_after_it_was_closed(self, database: Database) -> None:
        for number in range(3):
            with database.write() as rows:
                _put(rows, f"n{number}", "x")
            assert database.remembered(("n", number), lambda number=number: _value(database, f"n{number}")) == "x"  # type: ignore[misc]
            database.close()
            database.close()

    def test_both_processes_go_on_after_a_fork(self, database: Database) -> None:
        with database.write() as rows:
            _put(rows, "n", "0")
        assert database.remembered(("n",), lambda: _value(database, "n")) == "0"
        with _processes(_count_up, *[(lambda: database, 5)] * 2):
            _count_up(lambda: database, 5)
        assert _value(database, "n") == "15"

    # Values

    @pytest.mark.parametrize(
        "text",
        [
            "",
            "a\0b",
            "\0",
            "\uffff",
            "\uffff0",
            "\0\uffff\0",
            "é\U0001f600",
            "'",
            "?",
            "%s",
            "100 %",
            "\\",
            "\r\n",
            "x" * 70_000,
        ],
        ids=ascii,
    )
    def test_texts_come_back_as_they_were(self, database: Database, text: str) -> None:
        with database.write() as rows:
            rows.execute("INSERT INTO settings VALUES ('single', ?)", (text,))
            rows.executemany("INSERT INTO settings VALUES (?, ?)", [("many", text)])
        with database.read() as rows:
            found = rows.execute("SELECT name FROM settings WHERE value = ? ORDER BY name", (text,)).fetchall()
            assert found == [("many",), ("single",)]
            assert [value for (value,) in rows.execute("SELECT value FROM settings")] == [text] * 2
            assert rows.execute("SELECT value FROM settings WHERE name = 'many'").fetchone() == (text,)

    def test_numbers_bytes_and_truth_values_have_their_types(self, database: Database) -> None:
        values: tuple[Any, ...]
        for values in (
            (2**62, 1.5, b"\0\xff", True),
            (-1, 1e-7, b"", False),
            (0, 1700000000.123456, bytes(range(256)), 1),
        ):
            with database.write() as rows:
                rows.execute("DELETE FROM request_contents")
                rows.execute("INSERT INTO request_contents VALUES ('d', ?, ?, ?)", values[:3])
                rows.execute("DELETE FROM features")
                rows.execute("INSERT INTO features VALUES ('f', '', ?)", values[3:])
            with database.read() as rows:
                found = rows.execute("SELECT size, used_at, data FROM request_contents").fetchone()
                (is_on,) = rows.execute("SELECT enabled FROM features").fetchone()
                total = rows.execute("SELECT sum(size), count(*), max(used_at) FROM request_contents").fetchone()
                (condition,) = rows.execute("SELECT size = ? FROM request_contents", (values[0],)).fetchone()
                (nothing,) = rows.execute("SELECT sum(size) FROM request_contents WHERE size > ?", (2**62,)).fetchone()
            assert (found, is_on, condition, nothing) == (values[:3], int(values[3]), 1, None)
            assert total == (values[0], 1, values[1])
            assert [type(value) for value in (*found, is_on, *total, condition)] == [
                int,
                float,
                bytes,
                int,
                int,
                int,
                float,
                int,
            ]

    def test_rows_are_tuples_and_changes_are_counted(self, database: Database) -> None:
        with database.write() as rows:
            rows.executemany("INSERT INTO settings VALUES (?, ?)", ((str(number), "x") for number in range(5)))
            rows.executemany("INSERT INTO settings VALUES (?, ?)", [])
            assert rows.execute("UPDATE settings SET value = 'y' WHERE name < '2'").rowcount == 2
            assert rows.execute("DELETE FROM settings WHERE name = 'none'").rowcount == 0
            result = rows.execute("SELECT name, value FROM settings ORDER BY name")
            assert (result.fetchone(), result.fetchone()) == (("0", "y"), ("1", "y"))
            assert [type(row) for row in result.fetchall()] == [tuple] * 3
            assert (result.fetchone(), result.fetchall()) == (None, [])
            query = "INSERT INTO settings VALUES ('new', 'a?%s') RETURNING name, value"
            assert rows.execute(query).fetchone() == ("new", "a?%s"), "question marks in texts are no places of values"

    def test_names_compare_without_case_and_sort_by_their_letters(self, database: Database) -> None:
        names = ["b", "A", "a_b", "aB", "a1", "C-"]
        with database.write() as rows:
            rows.executemany(
                "INSERT INTO accounts (name, created_at, id) VALUES (?, 1, ?)", [(name, name.lower()) for name in names]
            )
            rows.executemany(
                "INSERT INTO settings VALUES (?, '')", [(text,) for text in ("b", "B", "a", "_", "1", "é", "z")]
            )
        with database.read() as rows:
            assert rows.execute("SELECT name FROM accounts WHERE name = ?", ("A_B",)).fetchall() == [("a_b",)]
            assert rows.execute("SELECT name FROM accounts WHERE name = 'É'").fetchall() == []
            found = [name for (name,) in rows.execute("SELECT name FROM accounts ORDER BY name")]
            assert found == sorted(names, key=str.lower), "as lower-case letters"
            found = [name for (name,) in rows.execute("SELECT name FROM settings ORDER BY name")]
            assert found == ["1", "B", "_", "a", "b", "z", "é"], "others by code points"
            assert rows.execute("SELECT count(*) FROM settings WHERE name = 'A'").fetchone() == (0,)
            assert rows.execute("SELECT count(*) FROM settings WHERE name > 'a/' AND name < 'a0'").fetchone() == (0,)

    # What is remembered

    def test_what_is_remembered_is_asked_for_again_after_any_change(
        self, database: Database, other: Database, opener: Callable[[], Database], monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr("algo_local.metadata.memory.WORTH_REMEMBERING", 0)
        asked = []

        def ask() -> str | None:
            asked.append(1)
            return _value(database, "a")

        def known() -> str | None:
            return database.remembered(("a",), ask)

        assert (known(), known(), len(asked)) == (None, None, 1)
        for number, changed in enumerate([database, other, database, other]):
            with changed.write() as rows:
                _put(rows, "a", str(number))
                assert known() == (str(number - 1) if number else None), "not before it is committed"
            assert (known(), known()) == (str(number), str(number))
        with _processes(_set, (opener, "a", "elsewhere")):
            pass
        assert known() == "elsewhere"
        before = len(asked)
        with pytest.raises(ValueError), other.write() as rows:
            _put(rows, "a", "never")
            raise ValueError
        assert (known(), known()) == ("elsewhere", "elsewhere")
        assert len(asked) <= before + 1

    def test_a_pinned_block_asks_once_and_is_as_new_as_its_begin(
        self, database: Database, other: Database, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr("algo_local.metadata.memory.WORTH_REMEMBERING", 0)

        def known() -> str | None:
            return database.remembered(("a",), lambda: _value(database, "a"))

        assert known() is None
        _set(lambda: other, "a", "1")
        with database.pinned():
            assert known() == "1"
            _set(lambda: other, "a", "2")
            assert known() == "1"
        assert known() == "2"

    # Its care

    def test_it_is_compacted_while_it_is_used(self, database: Database, other: Database) -> None:
        with database.write() as rows:
            rows.execute("INSERT INTO request_contents VALUES ('d', 3000000, 1, ?)", (os.urandom(3_000_000),))
        assert database.size() > 3_000_000
        with database.write() as rows:
            rows.execute("DELETE FROM request_contents")
        with other.read() as rows:
            assert rows.execute("SELECT count(*) FROM settings").fetchone() == (0,)
            database.compact()
        _set(lambda: other, "a", "1")
        assert _value(database, "a") == "1"


def _put(rows: Rows, name: str, value: str) -> None:
    rows.execute(
        "INSERT INTO settings VALUES (?, ?) ON CONFLICT (name) DO UPDATE SET value = excluded.value", (name, value)
    )


def _value(database: Database, name: str) -> str | None:
    with database.read() as rows:
        found = rows.execute("SELECT value FROM settings WHERE name = ?", (name,)).fetchone()
    return found[0] if found else None


def _set(opener: Callable[[], Database], name: str, value: str) -> None:
    with opener().write() as rows:
        _put(rows, name, value)


def _count_up(opener: Callable[[], Database], times: int, to_disk: bool = False) -> None:
    database = opener()
    for _ in range(times):
        with database.write(to_disk=to_disk) as rows:
            (number,) = rows.execute("SELECT value FROM settings WHERE name = 'n'").fetchone()
            _put(rows, "n", str(int(number) + 1))


def _die_inside(opener: Callable[[], Database]) -> None:
    with opener().write() as rows:
        _put(rows, "a", "1")
        os.kill(os.getpid(), signal.SIGKILL)


def _first_use(opener: Callable[[], Database]) -> None:
    database = opener()
    _set(lambda: database, "found", "it")
    assert _value(database, "found") == "it"
    database.close()


@contextmanager
def _processes(work: Callable[..., None], *arguments: tuple[Any, ...], ends: int = 0) -> Iterator[None]:
    """Processes that do some work beside the block, one for each of these arguments, and end in this way."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)  # of forks with threads, whose locks none of these needs
        children = [get_context("fork").Process(target=work, args=each) for each in arguments]
        for child in children:
            child.start()
    yield
    for child in children:
        child.join(PATIENCE)
    assert [child.exitcode for child in children] == [ends] * len(children)
