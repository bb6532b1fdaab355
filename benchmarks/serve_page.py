"""Writes `docs/benchmarks-serve.md` from what `serve.py` has measured."""

from __future__ import annotations

import os
import platform
from collections.abc import Mapping, Sequence
from datetime import date
from pathlib import Path
from statistics import median

from call_figures import Found

PAGE = Path(__file__).resolve().parent.parent / "docs" / "benchmarks-serve.md"

HEAD = """\
<!-- Written by benchmarks/serve.py --write: change that. -->

# Benchmarks of the served platform

`make benchmarks-serve` repeats all measurements, and `python benchmarks/serve.py --write` writes this page. With
`--baseline CHECKOUT` an older state of the project takes part: here that of before listings were read once.

All servers run on one machine, which they share with the client and with each other, on loopback with all data in
memory; they are measured in turn, a round each, and ratios are medians of those of each round: {machine}, on {day},
with a load of {load:.1f} when it began. Processor time is that of the server's processes alone, without that of the
processes that run algorithms. nginx and Starlette check no keys; nginx computes no MD5 of what it stores, the platform
and the trivial application of Starlette do. Descriptors grow with the workers and connections to the database that
were used at once, and threads go some seconds after their clients. Two processes share the machine with the client,
whose 15 µs for a request are part of both sides.
"""

UNITS = {
    "in all": "µs for each request of eight clients",
    "processors": "µs of processor time",
    "4 KiB": "µs of processor time",
    "call": "µs of processor time",
    "256 MiB": "seconds",
    "names": "ms of processor time",
}


def write_page(found: Sequence[Found], taken: Mapping[str, Mapping[str, Sequence[float]]], load: float) -> None:
    """Write the page."""
    machine = f"{os.cpu_count()} cores, {platform.machine()}, {platform.system()}, Python {platform.python_version()}"
    parts = [HEAD.format(machine=machine, day=date.today().isoformat(), load=load)]
    parts += ["| work | compared with | target | measured | |", "| --- | --- | ---: | ---: | --- |"]
    for one in found:
        verdict = "met" if one.is_met else "**missed**"
        parts.append(f"| {one.work} | {one.compared} | ≤ {one.limit:g} | {one.value:.3f} | {verdict} |")
    parts += ["", "## Medians", "", "| work | unit | server | median |", "| --- | --- | --- | ---: |"]
    for work, values in taken.items():
        unit = next(unit for end, unit in UNITS.items() if work.endswith(end))
        parts += [f"| {work} | {unit} | {name} | {median(value):.3g} |" for name, value in values.items()]
    PAGE.write_text("\n".join(parts).rstrip() + "\n", "utf-8")
