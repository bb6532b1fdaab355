"""What was measured of calls, and the page and picture made from it."""

from __future__ import annotations

import os
import platform
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date
from pathlib import Path

from picture import Chart, picture

DOCS = Path(__file__).resolve().parent.parent / "docs"
PAGE, PICTURE = DOCS / "benchmarks-calls.md", DOCS / "benchmarks-calls.svg"

HEAD = """\
<!-- Written by benchmarks/calls.py --write: change that. -->

# Benchmarks of calls

`make benchmarks-calls` repeats all measurements, and `python benchmarks/calls.py --write` writes this page.

Both sides of a comparison run in turn, on one machine that they share with the server: {machine}, on {day}, with a load
of {load:.1f} when it began. Figures of clients are of whole processes, start-up included, against a server that only
answers; those of the platform are of `algo local serve`'s server with its record of calls.
"""

CLIENTS = """
## Many calls from one command

![Seconds by number of calls](benchmarks-calls.svg)

The loop of curl is measured for 100 calls; its time for more is in proportion.
"""


@dataclass(frozen=True)
class Found:
    """One figure; `limit` is to be reached, from below unless `at_least`."""

    work: str
    compared: str
    value: float
    limit: float
    at_least: bool = False
    unit: str = ""

    @property
    def is_met(self) -> bool:
        """Whether the target is met."""
        return self.value >= self.limit if self.at_least else self.value <= self.limit

    def __str__(self) -> str:
        sign = "≥" if self.at_least else "≤"
        verdict = "met" if self.is_met else "MISSED"
        return f"{self.work} / {self.compared}: {self.value:.3f}{self.unit} (target {sign} {self.limit:g}): {verdict}"


def write_page(found: Sequence[Found], charts: Sequence[Chart], load: float, sections: Sequence[str] = ()) -> None:
    """Write the page, with further sections, and the picture if there are charts."""
    machine = f"{os.cpu_count()} cores, {platform.machine()}, {platform.system()}, Python {platform.python_version()}"
    parts = [HEAD.format(machine=machine, day=date.today().isoformat(), load=load)]
    parts += ["| work | compared with | target | measured | |", "| --- | --- | ---: | ---: | --- |"]
    for one in found:
        target = f"{'≥' if one.at_least else '≤'} {one.limit:g}{one.unit}"
        verdict = "met" if one.is_met else "**missed**"
        parts.append(f"| {one.work} | {one.compared} | {target} | {one.value:.3f}{one.unit} | {verdict} |")
    parts += sections
    if charts:
        PICTURE.write_text(picture(charts), "utf-8")
        parts.append(CLIENTS)
    PAGE.write_text("\n".join(parts).rstrip() + "\n", "utf-8")
