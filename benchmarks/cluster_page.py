"""Writes the page `benchmarks-cluster.md` from what `cluster.py` has measured."""

from __future__ import annotations

import os
import platform
from collections.abc import Sequence
from datetime import date
from pathlib import Path

from call_figures import Found

PAGE = Path(__file__).resolve().parent.parent / "docs" / "benchmarks-cluster.md"

HEAD = """\
<!-- Written by benchmarks/cluster.py --write: change that. -->

# Benchmarks of several processes and nodes

`make benchmarks-cluster` repeats all measurements, and `python benchmarks/cluster.py --write` writes this page.

Front ends, nodes, PostgreSQL and the client share one machine: {machine}, on {day}, with a load of {load:.1f} when it
began. Pages of records are measured over HTTP, with the time of the client.
"""


def write_page(found: Sequence[Found], missing: Sequence[str], load: float) -> None:
    """Write the page; what was not measured is named."""
    machine = f"{os.cpu_count()} cores, {platform.machine()}, {platform.system()}, Python {platform.python_version()}"
    parts = [HEAD.format(machine=machine, day=date.today().isoformat(), load=load)]
    parts += ["| work | compared with | target | measured | |", "| --- | --- | ---: | ---: | --- |"]
    for one in found:
        target = f"{'≥' if one.at_least else '≤'} {one.limit:g}{one.unit}"
        verdict = "met" if one.is_met else "**missed**"
        parts.append(f"| {one.work} | {one.compared} | {target} | {one.value:.3f}{one.unit} | {verdict} |")
    if missing:
        parts += ["", "Not measured, since a part was not installed:", "", *(f"- {text}" for text in missing)]
    PAGE.write_text("\n".join(parts).rstrip() + "\n", "utf-8")
