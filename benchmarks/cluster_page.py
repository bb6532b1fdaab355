"""Writes the page `benchmarks-cluster.md` from what `cluster.py` has measured."""

from __future__ import annotations

import os
import platform
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from pathlib import Path

from call_figures import Found

PAGE = Path(__file__).resolve().parent.parent / "docs" / "benchmarks-cluster.md"

HEAD = """\
<!-- Written by benchmarks/cluster.py --write: change that. -->

# Benchmarks of several processes and nodes

`make benchmarks-cluster` repeats all measurements, and `python benchmarks/cluster.py --write` writes this page; with
the name of a part (`ray`, `nodes`, `front-ends`, `memory`, `listing`), that part of it. Front ends, nodes, PostgreSQL
and the client share one machine, whose load when a part began stands with it.
"""

TEXTS: Mapping[str, tuple[str, str]] = {
    "ray": (
        "Calls through HTTP and Ray",
        """\
A platform with a cluster of one node, and beside it a process that calls bare actors of the same cluster. Both take
turns, a round each, and the figure is the median of the rounds' ratios. One at a time, it is the time of a warm call
on the clock; with several under way, it is the time divided by the number of calls: bare actors get a call each, and
all results are fetched at once; HTTP clients send their next call when they have an answer.""",
    ),
    "nodes": (
        "Two nodes against one",
        """\
Nodes declare their processors, and a worker takes one. Sleepers use none, so nodes on one machine are as good as
machines: what is measured is whether the platform keeps all workers of both busy.""",
    ),
    "front-ends": (
        "Four front ends against one",
        """\
The target is 0.9 times the processors. The client, workers and other programs use a part of this machine's; the rest
is left to front ends. The first figure of each kind is what four front ends answer in it, and 1 would be as much as
one front end answers in that much processor time. The second one is how much of it they use (for calls, together with
the engine and workers). For calls, a front end hands each one over to the engine, which one process does not.""",
    ),
    "memory": (
        "Memory of a front end",
        """\
Two front ends and their engine serve calls, PUTs and GETs of files, and listings of calls, over new connections. The
figure is that of the process that has grown most, at the end against after the warm-up.""",
    ),
    "listing": (
        "Pages of the record of calls",
        """\
Fifty calls a page, or all failures of an algorithm up to 200, over HTTP with the time of the client. A fourth of the
calls is by 20 other accounts, a hundredth is of the algorithm asked for, and one of 500 has failed.""",
    ),
}
"""Title and explanation of each part, in order."""


@dataclass(frozen=True)
class Part:
    """Figures that were measured together, and the load of the machine before."""

    name: str
    found: Sequence[Found]
    missing: str
    """Why figures are missing."""
    load: float
    is_broken: bool = False
    """Whether they are missing since something failed."""


def write_page(parts: Sequence[Part]) -> None:
    """Write these parts of the page; what was not measured is named, others stay as they are."""
    sections = _sections(PAGE.read_text("utf-8")) if PAGE.exists() else {}
    for part in parts:
        if not part.missing or part.name not in sections:
            title, text = TEXTS[part.name]
            sections[part.name] = "\n".join([f"## {title}", "", text, "", *_lines(part)])
    PAGE.write_text(
        "\n\n".join([HEAD.rstrip(), *(sections[name] for name in TEXTS if name in sections)]) + "\n", "utf-8"
    )


def _sections(page: str) -> dict[str, str]:
    """The parts of a page, by name."""
    named = {title: name for name, (title, _) in TEXTS.items()}
    found = (part.rstrip() for part in re.split(r"^(?=## )", page, flags=re.MULTILINE)[1:])
    return {named[title]: part for part in found if (title := part.partition("\n")[0].removeprefix("## ")) in named}


def _lines(part: Part) -> Iterator[str]:
    machine = f"{os.cpu_count()} processors, {platform.machine()}, {platform.system()}"
    python = f"Python {platform.python_version()}"
    yield f"On {machine}, {python}, on {date.today().isoformat()}, with a load of {part.load:.1f} before it began."
    if part.missing:
        yield from ("", f"Not measured, since a part was not installed. {part.missing}")
    if part.found:
        yield from ("", "| work | compared with | target | measured | |", "| --- | --- | ---: | ---: | --- |")
    for one in part.found:
        target = f"{'≥' if one.at_least else '≤'} {one.limit:g}{one.unit}"
        verdict = "met" if one.is_met else "**missed**"
        yield f"| {one.work} | {one.compared} | {target} | {one.value:.3f}{one.unit} | {verdict} |"
