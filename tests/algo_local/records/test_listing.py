"""Which calls a listing has, on both databases, and that no listing reads all of them."""

from __future__ import annotations

import random
from collections.abc import Sequence
from typing import Any

import psycopg
import pytest

from algo_local.platform import Platform
from algo_local.records.record import STATES, Record
from algo_local.records.rows import Question, listed, listed_of_owner, row_of, store

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


# What a page costs

CALLS, FAMILY, PAGE = 20_000, 3000, 50
_FILL = f"""
INSERT INTO requests (id, account, algorithm, owner, name, version, created_at, state, parent, is_void, platform, worker,
                      printed, error, key_digest, insights)
WITH RECURSIVE counted (n) AS (SELECT 0 UNION ALL SELECT n + 1 FROM counted WHERE n < {CALLS - 1})
SELECT 'req-' || (100000 + n),
       CASE WHEN n % 1000 < 900 THEN 'jane' WHEN n % 1000 < 999 THEN 'bob' ELSE 'eve' END,
       CASE WHEN n % 2 = 0 THEN 'a-big' WHEN n % 20 = 1 THEN 'a-failing' WHEN n % 1000 = 999 THEN 'a-rare' ELSE 'a-other' END,
       'bench', 'A', '1.0.0', n / 10.0,
       CASE WHEN n >= {CALLS - 30} THEN 'running' WHEN n % 20 = 1 THEN 'failed' WHEN n % {CALLS // 5} = 7 THEN 'lost'
            ELSE 'done' END,
       CASE WHEN n BETWEEN {CALLS // 2} AND {CALLS // 2 + FAMILY} THEN 'req-parent' WHEN n % 10 = 3 THEN 'req-' || n
            ELSE '' END,
       0, 'p', 'w', '', '', '', CASE WHEN n % 500 = 4 THEN '[["a", 1]]' ELSE '' END
FROM counted
"""
"""Most calls are one account's, and half of them one algorithm's; failures are another one's, and few are lost."""

_PLACES: list[dict[str, Any]] = [
    {},
    {"before": (CALLS / 20.0, "req-110000")},
    {"before": (0.3, "req-100003")},
    {"since": CALLS / 20.0},
    {"since": CALLS / 10.0 - 1},
    {"since": CALLS / 40.0, "before": (CALLS / 20.0, "req-110000")},
]
"""The first page, a deep one, the last one, and those of the calls since a moment."""

OFFERED = [
    *(
        Question(accounts, algorithm, states)
        for accounts in (None, ["jane"], ["eve"])
        for algorithm in ("", "a-failing", "a-rare")
        for states in ((), ("done",), ("lost",), ("running", "failed"))
    ),
    *(Question(["jane"], "", states, parent="req-parent") for states in ((), ("lost",), ("done",), ("failed", "lost"))),
    *(Question(algorithm=algorithm, with_insights=True) for algorithm in ("a-big", "a-rare")),
]
"""The listings that the API offers, with which its clients and its pages are made."""


@pytest.fixture
def with_calls(platform: Platform) -> Platform:
    with platform.database.write() as rows:
        rows.execute(_FILL)
    if platform.state.metadata:
        with psycopg.connect(platform.state.metadata, autocommit=True) as connection:
            connection.execute("VACUUM ANALYZE requests")
    return platform


class Explained:
    """Rows of PostgreSQL that find out how many of the table their queries read."""

    def __init__(self, rows: Any) -> None:
        self._rows = rows
        self.read = 0
        self.scans: list[str] = []

    def execute(self, query: str, values: Sequence[Any] = ()) -> Any:
        explained = self._rows.execute(f"EXPLAIN (ANALYZE, FORMAT JSON, TIMING OFF) {query}", values).fetchone()[0]
        self._look(explained[0]["Plan"])
        return []

    def _look(self, node: dict[str, Any]) -> None:
        if "Relation Name" in node or "Index Name" in node:
            found = node["Actual Rows"] + node.get("Rows Removed by Filter", 0)
            self.read += round(found * node["Actual Loops"])
            self.scans.append(f"{node['Node Type']} {node.get('Index Name', '')}")
        for below in node.get("Plans", []):
            self._look(below)


def test_a_page_reads_no_more_than_it_shows_wherever_it_is(with_calls: Platform, metadata_url: str | None) -> None:
    """Each branch of a query reads a page at most, and a few calls of the same moment; SQLite counts its own steps."""
    limit = PAGE + 1
    with with_calls.database.read() as rows:
        for question in (each._replace(**place) for each in OFFERED for place in _PLACES):
            if metadata_url:
                explained = Explained(rows)
                listed(explained, question, limit)
                assert explained.read <= (limit + 5) * len(STATES), (question, explained.read, explained.scans)
                assert "Seq Scan " not in explained.scans, question
            else:
                assert steps_of(rows, question, limit) <= 100 * limit * len(STATES), question


def test_failures_of_an_accounts_algorithms_take_two_queries_and_no_scan(
    platform: Platform, metadata_url: str | None
) -> None:
    """The same answers as asking for each of many algorithms, though most calls are others', or older, or went well."""
    chance, many = random.Random(1), 300
    platform.metadata.ensure_account("jane")
    platform.metadata.ensure_account("eve")
    made = [
        Record(
            *(f"req-{number:05}", "bob", f"a{chance.randrange(many)}", "jane", "A", "1.0.0"),
            *(float(number // 3), chance.choice(("done", "done", "running", "failed", "lost", "cancelled"))),
        )
        for number in range(6000)
    ]
    with platform.database.write() as rows:
        # Those of eve have as many failures, which are not jane's.
        ids = [(f"a{number}", "eve" if number % 3 == 0 else "jane", f"A{number}") for number in range(many)]
        rows.executemany("INSERT INTO algorithms (id, owner, name, created_at) VALUES (?, ?, ?, 0)", ids)
        store(rows, map(row_of, made), [])
    if metadata_url:
        with psycopg.connect(metadata_url, autocommit=True) as connection:
            connection.execute("VACUUM ANALYZE")
    states, janes = ("failed", "lost", "cancelled"), {identifier for identifier, owner, _ in ids if owner == "jane"}
    with platform.database.read() as found:
        for since, limit in ((0.0, 200), (1500.0, 200), (1990.0, 200), (1500.0, 3), (3000.0, 200)):
            counted = Counted(found)
            got = listed_of_owner(counted, "JANE", states, since, limit)
            expected = sorted(
                (
                    (each.created_at, each.id)
                    for each in made
                    if each.algorithm in janes and each.state in states and each.created_at >= since
                ),
                reverse=True,
            )
            assert [(each.created_at, each.id) for each in got] == expected[:limit]
            assert len(counted.asked) <= 2
            for query, values in counted.asked:
                if metadata_url:
                    explained = Explained(found)
                    explained.execute(query, values)
                    assert explained.read <= 10 * many, "of 6000 calls"
                    plan = str(explained.scans)
                else:
                    plan = str(found.execute(f"EXPLAIN QUERY PLAN {query}", values).fetchall())
                assert "SCAN requests" not in plan
                assert "requests_by_algorithm" in plan
        assert listed_of_owner(found, "nobody", states, 0.0, 200) == []


class Counted:
    """Rows that note what they are asked."""

    def __init__(self, rows: Any) -> None:
        self._rows = rows
        self.asked: list[tuple[str, Sequence[Any]]] = []

    def execute(self, query: str, values: Sequence[Any] = ()) -> Any:
        self.asked.append((query, values))
        return self._rows.execute(query, values)


def steps_of(rows: Any, question: Question, limit: int) -> int:
    """The instructions of SQLite's virtual machine; to look at all calls, it takes five for each."""
    taken: list[None] = []
    rows.set_progress_handler(lambda: taken.append(None), 100)
    listed(rows, question, limit)
    rows.set_progress_handler(None, 100)
    return len(taken) * 100
