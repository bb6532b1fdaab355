"""The summary at the end of a copying command."""

from __future__ import annotations

import time
from types import TracebackType

import click

from algo_core.context import App
from algo_core.errors import AlgoError
from algo_core.terminal.options import human
from algo_data.engine.transfer import Tally

MANY = 20
"""Minimum number of files for repeating failures at the end."""

MOST_FAILURES = 50


class Summary:
    """Counts results while a command runs, and reports them at its end, on stderr.

    There is no summary for a single file, except with `--json`. After Ctrl-C, the final message contains the counts.
    With `has_patterns`, include or exclude patterns were given.
    """

    def __init__(self, app: App, *, has_patterns: bool, is_dry: bool, verb: str = "copied") -> None:
        self._app = app
        self._has_patterns = has_patterns
        self._is_dry = is_dry
        self._verb = verb
        self._began = time.monotonic()
        self.tally = Tally()
        """The planner's count of skipped files."""
        self.planned = self.copied = self.bytes = self.deleted = self.failed = 0
        self._failures: list[str] = []

    def add_failure(self, message: str) -> None:
        """Count a failure."""
        self.failed += 1
        if self.failed <= MOST_FAILURES:
            self._failures.append(message)

    def __enter__(self) -> Summary:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        if isinstance(error, KeyboardInterrupt):
            self._tell_json()
            if self.planned > 1:
                self._app.so_far = f"{_files(self.copied)} {self._verb}{self._others(', ')}"
            return
        is_told = isinstance(error, AlgoError) and (self.copied or self.deleted)
        if error is None or isinstance(error, click.exceptions.Exit) or is_told:
            self._tell_json()
            self._tell()

    def _tell_json(self) -> None:
        if not self._app.output.is_json or self._app.output.quiet:
            return
        members = {
            "copied": self.copied,
            "skipped": self.tally.total,
            "failed": self.failed,
            "deleted": self.deleted,
            "bytes": self.bytes,
            "seconds": round(time.monotonic() - self._began, 3),
        }
        self._app.output.tell(summary={**members, "dry_run": True} if self._is_dry else members)

    def _tell(self) -> None:
        output, seconds = self._app.output, time.monotonic() - self._began
        considered = self.planned + self.tally.total + self.deleted
        if considered <= 1 and (self.failed > 0) != (self.copied > 0):
            return
        if self._failures and self.planned > MANY:
            output.info("Failed:")
            for message in self._failures:
                output.info(f"  {message}")
            if self.failed > MOST_FAILURES:
                output.info(f"  and {self.failed - MOST_FAILURES} more")
        if self.copied and not self._is_dry:
            rate = f", {human(self.bytes / seconds)}/s" if seconds > 0 else ""
            output.info(f"{_files(self.copied)}, {human(self.bytes)} in {seconds:.1f} s{rate}{self._others('; ')}")
            return
        why = ": no file matches --include and --exclude" if self._has_patterns and not considered else ""
        verb = f"would be {self._verb}" if self._is_dry else self._verb
        output.info(f"{_files(self.copied)} {verb}{self._others(', ')}{why if not self.failed else ''}")

    def _others(self, separator: str) -> str:
        counts = {"skipped": self.tally.total, "deleted": self.deleted, "failed": self.failed}
        return "".join(f"{separator}{count} {what}" for what, count in counts.items() if count)


def _files(count: int) -> str:
    return "1 file" if count == 1 else f"{count} files"
