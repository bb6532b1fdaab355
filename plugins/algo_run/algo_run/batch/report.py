"""Reports of a batch: progress while it runs, and a summary at its end."""

from __future__ import annotations

import time
from array import array
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from contextlib import ExitStack
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

from algo_core.terminal.progress import DrawnLine, Fact, making_room, terminal_columns
from algo_run.batch.journal import MARKS, failed_request, marks_of

if TYPE_CHECKING:
    from algo_core.terminal.output import Output

LINE_SECONDS = 10.0
"""Seconds between progress reports without a terminal."""

SHARES = (0.5, 0.9, 0.99)
"""Reported percentiles, as shares of the calls."""

MOST_LATENCIES = 100_000
"""Maximum number of stored latencies; beyond it, every second one is dropped."""


class Latencies:
    """Durations of calls in seconds, for percentiles."""

    def __init__(self) -> None:
        self._kept = array("d")
        self._every, self._count = 1, 0

    def add(self, seconds: float) -> None:
        """One more."""
        self._count += 1
        if self._count % self._every == 0:
            self._kept.append(seconds)
            if len(self._kept) > MOST_LATENCIES:
                self._kept = self._kept[::2]
                self._every *= 2

    def __bool__(self) -> bool:
        return bool(self._kept)

    def percentiles(self, *shares: float) -> list[float]:
        """The smallest latency that at least this share (0 to 1) of the calls does not exceed."""
        ordered = sorted(self._kept)
        if not ordered:
            return [0.0 for _ in shares]
        return [ordered[max(0, -int(-share * len(ordered) // 1) - 1)] for share in shares]


class _Line(DrawnLine):
    """The progress of a batch on a terminal."""

    def __init__(self, output: Output, facts: Callable[[float], list[Fact]]) -> None:
        super().__init__(output.drawing, terminal_columns)
        self._facts = facts

    def content(self, now: float) -> tuple[str, list[Fact]]:
        return "", self._facts(now)


class Report:
    """Reports the progress of a batch, which `skipped` so many inputs because their rows are recorded.

    `counts` are those rows by their marks, to which new ones are added; `titles` are those of the latencies of a
    call by their names; `total` is the number of inputs, if known; `first_failure` is the id of the first call that
    failed. With `compares`, the summary says how many outputs
    differ, also if none does.
    """

    def __init__(
        self,
        output: Output,
        *,
        titles: Mapping[str, str] = MappingProxyType({"latency": "latency"}),
        verb: str = "called",
        skipped: int = 0,
        counts: Counter[str] | None = None,
        first_failure: str | None = None,
        total: int | None = None,
        compares: bool = False,
    ) -> None:
        self._output = output
        self._compares = compares
        self._skipped = skipped
        self._titles = titles
        self._verb = verb
        self._total = max(0, total - skipped) if total is not None else None
        self._began = time.monotonic()
        self._shown = self._began
        self._line = _Line(output, self._facts) if output.shows_progress else None
        self._room = ExitStack()
        if self._line:
            self._room.enter_context(making_room(self._line, output.on_terminal))
        self.latencies = {name: Latencies() for name in titles}
        self.done = 0
        self.counts = Counter(counts)
        self.first_failure = first_failure

    def ended(self, row: dict[str, Any], seconds: Mapping[str, float]) -> None:
        """One input's result is recorded; `seconds` are its latencies by name."""
        self.done += 1
        self.counts.update(marks_of(row))
        self.first_failure = self.first_failure or failed_request(row)
        for name, value in seconds.items():
            self.latencies[name].add(value)
        now = time.monotonic()
        if self._line:
            with self._line.lock:
                self._line.draw()
        elif now - self._shown > LINE_SECONDS:
            self._shown = now
            self._output.info(", ".join(fact.text for fact in self._facts(now)))

    def _facts(self, now: float) -> list[Fact]:
        rate = self.done / max(now - self._began, 1e-9)
        facts = [Fact(0, f"{self.done:,} done" + (f" of {self._total:,}" if self._total else ""))]
        if marks := _listed(self.counts).removeprefix(", "):
            facts.append(Fact(2, marks))
        facts.append(Fact(3, f"{rate:,.1f}/s"))
        if self._total and rate:
            facts.append(Fact(1, f"{_span(max(0, self._total - self.done) / rate)} left"))
        return facts

    def clear(self) -> None:
        """Erase the progress line for good."""
        self._room.close()

    def summary(self) -> None:
        """Print the summary."""
        self.clear()
        seconds = time.monotonic() - self._began
        found = {name: each.percentiles(*SHARES) for name, each in self.latencies.items()}
        if self._output.is_json:
            latency = {name: _percentiles(times) for name, times in found.items()}
            self._output.tell(
                summary={
                    "inputs": self.done,
                    "failed": self.counts["failed"],
                    **{name: self.counts[name] for name in MARKS if self.counts[name]},
                    "skipped": self._skipped,
                    **({"first_failed_request": self.first_failure} if self.first_failure else {}),
                    "seconds": round(seconds, 3),
                    "latency": latency if len(found) > 1 else latency["latency"],
                }
            )
            return
        skipped = f", {self._skipped:,} recorded before" if self._skipped else ""
        none = ", 0 differing" if self._compares and not self.counts["differing"] else ""
        others = none + _listed(Counter({name: count for name, count in self.counts.items() if name != "failed"}))
        self._output.info(
            f"{self.done:,} {'input' if self.done == 1 else 'inputs'} {self._verb}, {self.counts['failed']:,} failed"
            f"{others}{skipped} in {_span(seconds)} ({self.done / max(seconds, 1e-9):,.1f}/s)"
        )
        for name, (p50, p90, p99) in found.items():
            if self.latencies[name]:
                self._output.info(f"{self._titles[name]}: median {_time(p50)}, 90 % {_time(p90)}, 99 % {_time(p99)}")


def _listed(counts: Counter[str]) -> str:
    return "".join(f", {counts[name]:,} {name.replace('_', ' ')}" for name in MARKS if counts[name])


def _percentiles(times: Sequence[float]) -> dict[str, float]:
    return {f"p{share * 100:g}": round(seconds, 6) for share, seconds in zip(SHARES, times, strict=True)}


def _span(seconds: float) -> str:
    if seconds < 60:
        return f"{seconds:.1f} s"
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours} h {minutes} min" if hours else f"{minutes} min {rest} s"


def _time(seconds: float) -> str:
    return f"{seconds * 1000:.3g} ms" if seconds < 1 else f"{seconds:.3g} s"
