"""Writes `docs/benchmarks.md`, and its picture, from what was measured."""

from __future__ import annotations

import os
import platform
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import median

from figures import BEST_RCLONE, OLDER, RCLONE, Figures
from picture import Chart, picture

DOCS = Path(__file__).resolve().parent.parent / "docs"
PAGE, PICTURE = DOCS / "benchmarks.md", DOCS / "benchmarks.svg"
GROWTH = "growth: "
MEMORY_LIMIT = 40
"""MiB that moving data may take, whatever its size."""

HEAD = """\
<!-- Written by benchmarks/transfer.py --write: change that. -->

# Benchmarks of data transfers

`make benchmarks-transfer` repeats all measurements, and `python benchmarks/transfer.py --write` writes this page.
`make benchmarks` measures start-up, `make benchmarks-connectors` [S3](benchmarks-connectors.md), reached directly.

Both sides run in turn, as whole processes, against one nginx on loopback, with all data in memory; `algo` is installed
from wheels, the peers from their packages. Times are medians of {rounds} rounds; ratios are medians of the ratios of
each round, because times drift on a shared machine and only runs side by side are comparable. The server and
the client share the machine's processors: {machine}. Before each run the
memory for the files is touched: in a virtual machine the host provides it then and reclaims idle memory, which can
take longer than copying and would hit one side or the other by chance.

Programs: {versions}.
The memory of `algo` is the sum of its processes. rclone reads the same files over WebDAV, without its default pauses
between requests, or over plain HTTP without requesting each file's head, whichever is faster, with the fastest of
several settings. The older command line lists the directory for each file that
it uploads.

Targets relative to the older command line's time for 1 GiB come from a machine on which curl took 0.17 of that time
down, and 0.70 up; the tables show curl's times on this machine.
"""

GROWTH_TEXT = """\
## Growth

![Seconds for more files, for larger ones, and the memory of both](benchmarks.svg)

Beyond the start-up time, time grows in proportion to files and bytes; memory does not grow.
"""


@dataclass(frozen=True)
class Target:
    """What a block is to reach: so many times the time of `base`, where it took part."""

    title: str
    base: str
    limit: float


TARGETS = (
    Target("1024 MiB down", "curl -o", 1.05),
    Target("1024 MiB down", OLDER, 0.17),
    Target("1024 MiB down, TLS", OLDER, 0.22),
    Target("1024 MiB up", "curl -T", 1.0),
    Target("1024 MiB up", OLDER, 0.70),
    Target("1024 MiB up, TLS", "curl -T", 1.2),
    Target("1024 MiB down, 100 MB/s for each connection", "one stream", 0.15),
    Target("1000 files of 4 KiB down", BEST_RCLONE, 1.0),
    Target("1000 files of 4 KiB down", OLDER, 0.11),
    Target("1000 files of 4 KiB up", BEST_RCLONE, 0.75),
    Target("1000 files of 4 KiB up", OLDER, 0.11),
    Target("5000 files of 4 KiB down", BEST_RCLONE, 0.75),
    Target("5000 files of 4 KiB up", BEST_RCLONE, 0.50),
    Target("1000 files of 4 KiB down, 20 ms for each answer", OLDER, 0.02),
    Target("listing of 100000 files", "curl and json", 1.2),
)


def write_page(figures: Sequence[Figures], rounds: int, versions: Mapping[str, str]) -> None:
    """Write the page; the picture only if growth was measured."""
    machine = f"{os.cpu_count()} cores, {platform.machine()}, {platform.system()}, Python {platform.python_version()}"
    said = ", ".join(f"{name} {version}" for name, version in versions.items())
    blocks = [one for one in figures if not one.title.startswith(GROWTH)]
    growing = [one for one in figures if one.title.startswith(GROWTH)]
    parts = [HEAD.format(rounds=rounds, machine=machine, versions=said), "## Targets\n", *_targets(blocks), ""]
    for block in blocks:
        parts += [f"## {block.title[0].upper()}{block.title[1:]}\n", *_table(block), ""]
    if growing:
        PICTURE.write_text(picture(charts(growing)), "utf-8")
        parts += [GROWTH_TEXT, *_growth_table(growing)]
    PAGE.write_text("\n".join(parts).rstrip() + "\n", "utf-8")


def _targets(blocks: Sequence[Figures]) -> Iterator[str]:
    yield "| work | compared with | target | measured | |"
    yield "| --- | --- | ---: | ---: | --- |"
    known = {block.title: block for block in blocks}
    for target in TARGETS:
        block = known.get(target.title)
        if block is None or not (target.base in block.sides or target.base == BEST_RCLONE):
            continue
        base = block.reference() if target.base == BEST_RCLONE else target.base
        found = block.ratio(_ours(block), base)
        verdict = "met" if found <= target.limit else "**missed**"
        yield f"| {target.title} | {base} | ≤ {target.limit:.2f} | {found:.3f} | {verdict} |"
    most = max(median(spent.memory for spent in block.sides[_ours(block)]) for block in blocks) / (1 << 20)
    yield f"| memory, the most of all below | | ≤ {MEMORY_LIMIT} MiB | {most:.0f} MiB | {_verdict(most)} |"


def _verdict(memory: float) -> str:
    return "met" if memory <= MEMORY_LIMIT else "**missed**"


def _ours(block: Figures) -> str:
    return next(iter(block.sides))


def _table(block: Figures) -> Iterator[str]:
    yield f"| | x {block.reference()} | seconds | of the processors | MiB |"
    yield "| --- | ---: | ---: | ---: | ---: |"
    for name in block.sides:
        yield f"| {' | '.join(block.row(name))} |"
    if "listing" in block.title:
        first = median(spent.first for spent in block.sides[_ours(block)])
        yield f"\nThe first line is there after {first:.3f} seconds."


def charts(growing: Sequence[Figures]) -> list[Chart]:
    """Seconds by number of files, seconds by size, and memory by number of files."""
    files = {int(one.title.split()[1]): one for one in growing if "files" in one.title}
    sizes = {int(one.title.split()[1]): one for one in growing if "MiB" in one.title}
    counts = {float(count): f"{count:,}".replace(",", " ") for count in files}
    named = {float(size): f"{size} MiB" if size < 1024 else f"{size // 1024} GiB" for size in sizes}
    return [
        Chart("many files of 4 KiB, down", "files", "seconds", _lines(files), counts),
        Chart("one file, down", "size", "seconds", _lines(sizes), named),
        Chart("memory for many files", "files", "MiB", _lines(files, is_memory=True), counts),
    ]


def _lines(blocks: Mapping[int, Figures], *, is_memory: bool = False) -> dict[str, list[tuple[float, float]]]:
    names = next(iter(blocks.values())).sides
    return {
        name: [
            (
                float(at),
                median(s.memory for s in block.sides[name]) / (1 << 20) if is_memory else block.seconds(name),
            )
            for at, block in sorted(blocks.items())
        ]
        for name in names
    }


def _growth_table(growing: Sequence[Figures]) -> Iterator[str]:
    yield "| | algo: seconds | MiB | peer | seconds | MiB |"
    yield "| --- | ---: | ---: | --- | ---: | ---: |"
    for block in growing:
        ours, other = list(block.sides)
        cells = []
        for name in (ours, other):
            memory = median(spent.memory for spent in block.sides[name]) / (1 << 20)
            cells.append(f"{block.seconds(name):.3f} | {memory:.0f}")
        peer = other if other != RCLONE else "rclone, http"
        yield f"| {block.title.removeprefix(GROWTH)} | {cells[0]} | {peer} | {cells[1]} |"
