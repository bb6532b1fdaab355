"""The current activity of a platform, for `algo local top`: queue, running calls, rates, latencies, workers.

It is computed from the records of calls, which all processes of the platform write, served or embedded.
"""

from __future__ import annotations

import time
from collections import Counter, defaultdict
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from algo_local.execution.workers.process_tree import children, command_of, resident_bytes
from algo_local.records.rows import BY_TIME

if TYPE_CHECKING:
    from algo_local.metadata.database import Rows

SHARES = (0.5, 0.9, 0.99)
MOST_ROWS = 20_000
"""Recent calls that are looked at."""

PROGRAM = b"supervisor.py"
"""What a worker's process runs, with a sandbox and without."""

WORKER_SECONDS = 3600.0
"""A worker that has served no call for so long is not looked for."""


@dataclass(slots=True)
class VersionActivity:
    """One version. Latencies are in seconds, from the arrival of a call to its end."""

    queued: int = 0
    running: int = 0
    done: int = 0
    failed: int = 0
    """Calls that have ended within the window, `failed` those without a result."""
    workers: int = 0
    memory: int = 0
    """Resident memory of its workers in bytes."""
    latencies: list[float] = field(default_factory=list)


@dataclass(frozen=True, slots=True)
class Activity:
    """All versions by name, and the seconds of the window."""

    at: float
    window: float
    versions: dict[str, VersionActivity]

    def as_dict(self) -> dict[str, Any]:
        """For `--json`."""
        total = self.total()
        return {
            "at": self.at,
            "window": self.window,
            **_figures(total, self.window),
            "versions": [
                {"version": name, **_figures(found, self.window)} for name, found in sorted(self.versions.items())
            ],
        }

    def total(self) -> VersionActivity:
        """All versions together."""
        total = VersionActivity()
        for found in self.versions.values():
            total.queued += found.queued
            total.running += found.running
            total.done += found.done
            total.failed += found.failed
            total.workers += found.workers
            total.memory += found.memory
            total.latencies += found.latencies
        return total


def _figures(found: VersionActivity, window: float) -> dict[str, Any]:
    latency = percentiles(found.latencies)
    return {
        "queued": found.queued,
        "running": found.running,
        "workers": found.workers,
        "memory": found.memory,
        "calls_per_second": round((found.done + found.failed) / window, 3),
        "failed": found.failed,
        "latency": {f"p{share * 100:g}": value for share, value in zip(SHARES, latency, strict=True)}
        if latency
        else None,
    }


def percentiles(latencies: Sequence[float]) -> list[float]:
    """The latencies at the percentiles `SHARES`; empty without calls."""
    ordered = sorted(latencies)
    return [round(ordered[max(0, -int(-share * len(ordered) // 1) - 1)], 6) for share in SHARES] if ordered else []


def activity(rows: Rows, window: float, memory_of: Callable[[str], int] | None = None) -> Activity:
    """Calls under way or finished within `window` seconds; `memory_of` gives a worker's memory, 0 if it has ended."""
    now = time.time()
    versions: defaultdict[str, VersionActivity] = defaultdict(VersionActivity)
    for owner, name, version, state, count in rows.execute(
        "SELECT owner, name, version, state, count(*) FROM requests WHERE state IN ('queued', 'running')"
        " GROUP BY owner, name, version, state"
    ):
        found = versions[_label(owner, name, version)]
        if state == "queued":
            found.queued += count
        else:
            found.running += count
    recent = rows.execute(
        "SELECT owner, name, version, state, created_at, finished_at FROM requests"
        f" WHERE {BY_TIME} AND state NOT IN ('queued', 'running') AND created_at > ? ORDER BY created_at DESC LIMIT ?",
        (now - window - WORKER_SECONDS, MOST_ROWS),
    )
    for owner, name, version, state, created_at, finished_at in recent:
        if finished_at is None or finished_at < now - window:
            continue
        found = versions[_label(owner, name, version)]
        if state == "done":
            found.done += 1
        else:
            found.failed += 1
        found.latencies.append(max(0.0, finished_at - created_at))
    _add_workers(rows, now, versions, memory_of or worker_memory)
    return Activity(now, window, dict(versions))


def _add_workers(
    rows: Rows,
    now: float,
    versions: defaultdict[str, VersionActivity],
    memory_of: Callable[[str], int],
) -> None:
    """Add the running workers, each to the version that it served last."""
    query = (
        "SELECT worker, owner, name, version FROM (SELECT worker, owner, name, version,"
        " row_number() OVER (PARTITION BY worker ORDER BY created_at DESC) AS place FROM"
        f" (SELECT * FROM requests WHERE {BY_TIME} AND created_at > ? ORDER BY created_at DESC LIMIT ?) AS latest"
        " WHERE worker != '') AS placed WHERE place = 1"
    )
    for worker, owner, name, version in rows.execute(query, (now - WORKER_SECONDS, MOST_ROWS)).fetchall():
        if memory := memory_of(worker):
            found = versions[_label(owner, name, version)]
            found.workers += 1
            found.memory += memory


def worker_memory(worker: str) -> int:
    """The resident memory of a worker's processes in bytes; 0 if it has ended, or its process id was reused."""
    if not worker.isdecimal() or PROGRAM not in command_of(int(worker)):
        return 0
    waiting, seen = [int(worker)], Counter[int]()
    while waiting:
        pid = waiting.pop()
        if not seen[pid]:
            seen[pid] += 1
            waiting += children(pid)
    return sum(resident_bytes(pid) for pid in seen)


def _label(owner: str, name: str, version: str) -> str:
    return f"{owner}/{name}/{version}"
