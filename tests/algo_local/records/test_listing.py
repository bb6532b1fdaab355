"""Which calls a listing has, on both databases, and that no listing reads all of them."""

from __future__ import annotations

import random
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest

from algo_local.metadata.sqlite import SqliteDatabase
from algo_local.platform import Platform
from algo_local.records.record import STATES, Record
from algo_local.records.rows import Question, listed, row_of, store

ON_BOTH_DATABASES = True

QUESTIONS = [
    Question(accounts, algorithm, states)
    for accounts in (None, ["jane"], ["jane", "bob"])
    for algorithm in ("", "a1")
    for states in (
        (),
        ("lost",),
        ("lost", "failed"),
        ("done",),
        ("done", "lost"),
        ("lost", "lost"),
        ("queued", "running"),
    )
]


def records(count: int) -> list[Record]:
    """Calls of three accounts and algorithms; many at the same moment."""
    chance = random.Random(count)
    return [
        Record(
            *(f"req-{number:04}", chance.choice(["jane", "bob", "eve"]), f"a{number % 3}", "jane", "A", "1.0.0"),
            *(float(number // 5), chance.choice(STATES)),
        )
        for number in range(count)
    ]


def matching(found: Sequence[Record], question: Question) -> list[str]:
    """The ids, newest first, as a reader of the question would choose them."""
    return [
        each.id
        for each in sorted(found, key=lambda each: (each.created_at, each.id), reverse=True)
        if (question.accounts is None or each.account in question.accounts)
        and question.algorithm in ("", each.algorithm)
        and (not question.states or each.state in question.states)
    ]


def test_pages_have_the_calls_that_match_newest_first(platform: Platform) -> None:
    made = records(200)
    with platform.database.write() as rows:
        store(rows, map(row_of, made), [])
    with platform.database.read() as rows:
        for question in QUESTIONS:
            expected, before, got = matching(made, question), None, []
            while page := listed(rows, question._replace(before=before), 7):
                got += [each.id for each in page]
                before = (page[-1].created_at, page[-1].id)
            assert got == expected, question


class Explained:
    """Rows that keep how their queries are answered."""

    def __init__(self, rows: Any) -> None:
        self._rows = rows
        self.plans: list[str] = []

    def execute(self, query: str, values: Sequence[Any] = ()) -> Any:
        plan = self._rows.execute(f"EXPLAIN QUERY PLAN {query}", values).fetchall()
        self.plans.append("; ".join(row[3] for row in plan))
        return self._rows.execute(query, values)


@pytest.mark.parametrize("question", QUESTIONS, ids=lambda question: f"{question.states}")
def test_no_listing_reads_or_sorts_calls_that_it_does_not_show(question: Question, tmp_path: Path) -> None:
    database = SqliteDatabase(tmp_path / "platform.sqlite3")
    with database.read() as rows:
        explained = Explained(rows)
        listed(explained, question, 50)
    database.close()
    for plan in explained.plans:
        assert "USING INDEX requests_by_" in plan, plan
        if question.states and "done" not in question.states:
            assert "requests_by_state (state=?)" in plan, "rare states are not looked for among all calls"
        if len(question.accounts or [""]) == 1:
            assert "USE TEMP B-TREE FOR ORDER BY" not in plan, plan
