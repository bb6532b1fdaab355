"""Reports of a batch: progress while it runs, and a summary at its end."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from algo_core.terminal.output import Output

REDRAW_SECONDS = 0.2
LINE_SECONDS = 10.0
"""Seconds between progress reports without a terminal."""

MOST_LATENCIES = 100_000
"""Maximum number of stored latencies; beyond it, every second one is dropped."""


class Latencies:
    """Durations of calls in seconds, for percentiles."""

    def __init__(self) -> None:
        self._kept: list[float] = []
        self._every, self._count = 1, 0

    def add(self, seconds: float) -> None:
        """One more."""
        self._count += 1
        if self._count % self._every == 0:
            self._kept.append(seconds)
            if len(self._kept) > MOST_LATENCIES:
                self._kept = self._kept[::2]
                self._every *= 2

    def percentiles(self, *shares: float) -> list[float]:
        """The smallest latency that at least this share (0 to 1) of the calls does not exceed."""
        ordered = sorted(self._kept)
        if not ordered:
            return [0.0 for _ in shares]
        return [ordered[max(0, -int(-share * len(ordered) // 1) - 1)] for share in shares]


class Report:
    """Reports the progress of a batch. `total` is the number of inputs, if known."""

    def __init__(self, output: Output, *, skipped: int = 0, total: int | None = None) -> None:
        self._output = output
        self._skipped = skipped
        self._total = total
        self._began = time.monotonic()
        self._shown = self._began
        self._is_drawn = False
        self.latencies = Latencies()
        self.done = 0
        self.failed = 0

    def ended(self, row: dict[str, Any], seconds: float | None) -> None:
        """One input's result is recorded."""
        self.done += 1
        self.failed += "error" in row
        if seconds is not None:
            self.latencies.add(seconds)
        now = time.monotonic()
        if now - self._shown > (REDRAW_SECONDS if self._output.shows_progress else LINE_SECONDS):
            self._shown = now
            self._tell(now)

    def _tell(self, now: float) -> None:
        rate = self.done / (now - self._began)
        text = f"{self.done:,} done" + (f" of {self._total:,}" if self._total else "")
        text += f", {self.failed:,} failed" if self.failed else ""
        text += f", {rate:,.1f}/s"
        if self._total and rate:
            text += f", {_span((self._total - self.done) / rate)} left"
        if self._output.shows_progress:
            self._output.stderr.write(f"\r\x1b[K{text}")
            self._output.stderr.flush()
            self._is_drawn = True
        else:
            self._output.info(text)

    def clear(self) -> None:
        """Erase the progress line."""
        if self._is_drawn:
            self._output.stderr.write("\r\x1b[K")
            self._output.stderr.flush()
            self._is_drawn = False

    def summary(self) -> None:
        """Print the summary."""
        self.clear()
        seconds = time.monotonic() - self._began
        p50, p90, p99 = self.latencies.percentiles(0.5, 0.9, 0.99)
        if self._output.is_json:
            self._output.tell(
                summary={
                    "inputs": self.done,
                    "failed": self.failed,
                    "skipped": self._skipped,
                    "seconds": round(seconds, 3),
                    "latency": {"p50": round(p50, 6), "p90": round(p90, 6), "p99": round(p99, 6)},
                }
            )
            return
        skipped = f", {self._skipped:,} recorded before" if self._skipped else ""
        self._output.info(
            f"{self.done:,} {'input' if self.done == 1 else 'inputs'} called, {self.failed:,} failed{skipped} "
            f"in {_span(seconds)} ({self.done / max(seconds, 1e-9):,.1f}/s)"
        )
        if self.done:
            self._output.info(f"latency: median {_time(p50)}, 90 % {_time(p90)}, 99 % {_time(p99)}")


def _span(seconds: float) -> str:
    if seconds < 60:
        return f"{seconds:.1f} s"
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours} h {minutes} min" if hours else f"{minutes} min {rest} s"


def _time(seconds: float) -> str:
    return f"{seconds * 1000:.3g} ms" if seconds < 1 else f"{seconds:.3g} s"
