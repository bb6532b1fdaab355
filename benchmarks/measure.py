"""Whole-process times of several commands, taken in turn, and their ratios round by round.

Seconds drift on a shared machine; the ratio of two commands that ran side by side does not.
"""

from __future__ import annotations

import os
import subprocess
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from statistics import median


@dataclass(frozen=True)
class Job:
    """A command, the environment that it runs in, and what it reads from standard input."""

    command: Sequence[str]
    environ: Mapping[str, str]


def seconds(job: Job) -> float:
    """CPU time of the process and its children, user and system; wall time would measure the neighbours too.

    Raises:
        RuntimeError: if the command fails.
    """
    process = subprocess.Popen(
        job.command, env=dict(job.environ), stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE
    )
    assert process.stderr
    said = process.stderr.read()
    _, status, usage = os.wait4(process.pid, 0)
    process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode:
        raise RuntimeError(f"{' '.join(job.command)} failed with {process.returncode}: {said.decode()[-500:]}")
    return usage.ru_utime + usage.ru_stime


def wall_seconds(job: Job) -> float:
    """Wall time of the process, for work that waits for others."""
    started = time.perf_counter()
    subprocess.run(job.command, env=dict(job.environ), stdin=subprocess.DEVNULL, capture_output=True, check=True)
    return time.perf_counter() - started


def rounds(jobs: Mapping[str, Job], count: int, measure: object = seconds) -> dict[str, list[float]]:
    """Run all jobs in turn, `count` times after one round that is not counted."""
    assert callable(measure)
    taken: dict[str, list[float]] = {name: [] for name in jobs}
    for number in range(count + 1):
        for name, job in jobs.items():
            spent = measure(job)
            if number:
                taken[name].append(spent)
    return taken


def ratio(taken: Mapping[str, Sequence[float]], name: str, base: str) -> float:
    """The median of one job's times over another's, round by round."""
    return median(a / b for a, b in zip(taken[name], taken[base], strict=True))


def clean_environ(**more: str) -> dict[str, str]:
    """The environment without what distorts start-up times: bytecode is written, no CA bundle is rewritten."""
    dropped = {"PYTHONDONTWRITEBYTECODE", "REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE", "PYTHONPATH", "PYTHONUNBUFFERED"}
    kept = {k: v for k, v in os.environ.items() if k not in dropped and not k.startswith("ALGO")}
    return {**kept, **more}
