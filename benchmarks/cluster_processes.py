"""Several front ends against one: requests by what they take of the processors, and memory while they serve."""

from __future__ import annotations

import contextlib
import os
import time
from collections.abc import Iterator, Sequence
from dataclasses import astuple, dataclass
from pathlib import Path
from statistics import median

from call_figures import Found
from capacity_measure import LASTING, SMALL, busy, call, clock, descendants, drive, publish, until_loaded
from serve_sides import Side, platform

FRONT_ENDS, CLIENTS, WORKERS = 4, 16, 4
SECONDS, ROUNDS = 2.0, 9
WARM_UP, REQUESTS, SAMPLES = 100_000, 400_000, 8
"""Requests of which memory is known to grow, those after it, and looks at the memory meanwhile."""

MEBIBYTE = 1 << 20


@dataclass(frozen=True)
class Rate:
    """What some seconds of requests came to."""

    each_second: float
    cost: float
    """Processor seconds of a request: of front ends, engine and workers."""
    used: float
    """Processors that these used."""
    left: float
    """Processors that the client, and programs that have nothing to do with it, left to them."""


def front_ends(base: Path) -> Iterator[Found]:
    """Requests of four front ends, by what one needs for a request and by the processors that there are for them.

    Both platforms run all the time and take turns, so that a machine that slows down slows both; the figures are the
    medians of the rounds.
    """
    with contextlib.ExitStack() as served:
        sides = [served.enter_context(_served(base / str(count), count)) for count in (1, FRONT_ENDS)]
        works = [_requests(side) for side in sides]
        for work in works[0]:
            rounds = _rounds(sides, [requests[work] for requests in works])
            one, several = (_median(rates) for rates in zip(*rounds, strict=True))
            ratio = median(of.each_second * by.cost / of.left for by, of in rounds)
            what = f"{work} of {FRONT_ENDS} front ends, {several.each_second:,.0f} a second"
            against = f"those of one, {one.each_second:,.0f}, by its processor time and {several.left:.2f} processors"
            yield Found(what, against, ratio, 0.9, at_least=True)
            what = f"processors that {FRONT_ENDS} front ends and what is behind them use for {work}, {several.used:.2f}"
            used = median(of.used / of.left for _, of in rounds)
            yield Found(what, f"those left to them, {several.left:.2f}", used, 0.9, at_least=True)


@contextlib.contextmanager
def _served(directory: Path, count: int) -> Iterator[Side]:
    """A platform of so many processes whose workers are loaded."""
    directory.mkdir(parents=True)
    options = ["--processes", str(count)] if count > 1 else []
    with platform(f"{count} processes", directory, options=options, settings=LASTING) as side:
        publish(directory, {"Echo": WORKERS})
        until_loaded(side, {"Echo": WORKERS})
        yield side


def _requests(side: Side) -> dict[str, bytes]:
    connection = side.connect()
    connection.send("PUT", "/v1/data/.my/bench/small", SMALL)
    return {"GETs of 4 KiB": connection.request("GET", "/v1/data/.my/bench/small"), "warm calls": call(side, "Echo")}


def _rounds(sides: Sequence[Side], requests: Sequence[bytes]) -> list[list[Rate]]:
    """For each round, the rate of each side; every second round in reverse order."""
    processes = [list({child for top in side.processes for child in (top, *descendants(top))}) for side in sides]
    for side, request in zip(sides, requests, strict=True):
        drive([side], request, CLIENTS, SECONDS / 3)
    rounds = []
    for number in range(ROUNDS):
        order = range(len(sides)) if number % 2 == 0 else reversed(range(len(sides)))
        found = {index: _rate(sides[index], processes[index], requests[index]) for index in order}
        rounds.append([found[index] for index in range(len(sides))])
    return rounds


def _rate(side: Side, processes: Sequence[int], request: bytes) -> Rate:
    before = clock(processes), time.process_time(), busy(), time.perf_counter()
    rate = drive([side], request, CLIENTS, SECONDS)
    after = clock(processes), time.process_time(), busy(), time.perf_counter()
    theirs, own, everybody, seconds = (end - begin for begin, end in zip(before, after, strict=True))
    others = max(0.0, everybody - theirs - own)
    left = (os.cpu_count() or 1) - (own + others) / seconds
    return Rate(rate, theirs / seconds / rate, theirs / seconds, left)


def _median(rates: Sequence[Rate]) -> Rate:
    return Rate(*(median(each) for each in zip(*map(astuple, rates), strict=True)))


def memory(base: Path) -> Iterator[Found]:
    """The memory of two front ends and their engine while they serve, against that after they have warmed up."""
    base.mkdir(parents=True, exist_ok=True)
    with platform("memory", base, options=["--processes", "2"]) as side:
        publish(base, {"Echo": WORKERS})
        until_loaded(side, {"Echo": WORKERS})
        named = {process: Path(f"/proc/{process}/comm").read_text().strip() for process in side.processes}
        parts = {process: name for process, name in named.items() if name.startswith(("algo-front", "algo-engine"))}
        seen: list[dict[int, float]] = []
        count = 0
        while len(seen) <= SAMPLES:
            count += _serve(side, count)
            if count >= WARM_UP + len(seen) * REQUESTS / SAMPLES:
                seen.append({process: _memory(process) for process in parts})
    for title in ("algo-front", "algo-engine"):
        courses = [[each[process] for each in seen] for process, name in parts.items() if name.startswith(title)]
        course = max(courses, key=lambda taken: taken[-1] / taken[0])
        sampled = ", ".join(f"{each / MEBIBYTE:.1f}" for each in course)
        what = "a front end" if title == "algo-front" else "the engine"
        work = f"memory of {what} in {count - WARM_UP:,} requests, in MiB: {sampled}"
        yield Found(work, f"after the first {WARM_UP:,}", course[-1] / course[0], 1.1)


def _serve(side: Side, number: int) -> int:
    """Calls, and PUTs and GETs of a file that is new, from new connections; how many there were."""
    connection = side.connect()
    path = f"/v1/data/.my/bench/memory{number % 1000}"
    sent: Sequence[bytes] = (
        connection.request("PUT", path, SMALL),
        connection.request("GET", path),
        call(side, "Echo"),
        connection.request("GET", "/v1/requests?limit=10"),
    )
    connection.exchange(sent[0])
    connection.close()
    return sum(int(drive([side], request, CLIENTS, 0.5) * 0.5) for request in sent)


def _memory(process: int) -> float:
    """Bytes that a process has in memory."""
    return int(Path(f"/proc/{process}/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")
