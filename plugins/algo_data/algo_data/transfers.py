"""What `cp` says while it copies and when a file is done."""

from __future__ import annotations

import time
from collections.abc import Sequence

from algo_core.context import App
from algo_core.errors import AlgoError
from algo_core.output import shown
from algo_core.storage import Entry, IsADirectory
from algo_data.engine.streams import STREAM
from algo_data.engine.transfer import Transfer
from algo_data.progress import Progress, human
from algo_data.report import Report

SEVERAL = 20
"""Lines that a person reads: no more results are told on a terminal, and failures once more at the end."""

MOST_FAILURES = 50


class TransferReport:
    """The engine's observer: progress while files move, a line when one is there, a message when it failed."""

    def __init__(self, app: App, progress: Progress, *, is_alone: bool) -> None:
        self._app = app
        self._report = Report(app, is_alone=is_alone)
        self._progress = progress
        self._is_read = app.output.is_terminal and not app.output.is_json and not app.verbose
        self._lock = progress.lock
        self._began = time.monotonic()
        self._planned = self._copied = self._bytes = 0
        self._failures: list[str] = []
        self._failed = 0

    def planned(self, transfer: Transfer | None) -> None:
        """Count it for what is to come."""
        with self._lock:
            if transfer is None:
                self._progress.all_planned()
            else:
                self._planned += 1
                self._progress.planned(transfer.entry.size if transfer.entry else None)

    def started(self, transfer: Transfer) -> None:
        """Show its name."""
        with self._lock:
            self._progress.begin(transfer, transfer.source.uri.name or "-")

    def advanced(self, transfer: Transfer, position: int, size: int | None) -> None:
        """Show how far it is."""
        with self._lock:
            self._progress.advance(transfer, position, size)

    def finished(self, transfer: Transfer, entry: Entry) -> None:
        """Say so, unless stdout carries the file itself."""
        with self._lock:
            self._progress.done(transfer)
            self._tell(transfer, entry)

    def copied(self, several: Sequence[tuple[Transfer, Entry]]) -> None:
        """Say so of each."""
        with self._lock:
            self._progress.passed(len(several), sum(entry.size or 0 for _, entry in several))
            for transfer, entry in several:
                self._tell(transfer, entry)

    def _tell(self, transfer: Transfer, entry: Entry) -> None:
        self._copied += 1
        self._bytes += entry.size or 0
        if not self._report.tells_results or transfer.target.uri == STREAM:
            return
        if self._is_read:
            if self._copied > SEVERAL:
                return  # a person sees how it goes, and at the end how it went
            self._progress.end()
        action, text = _said(transfer)
        self._report.result(
            text, action=action, source=str(transfer.source), destination=str(transfer.target), bytes=entry.size
        )

    def failed(self, what: object, error: AlgoError) -> None:
        """Say why; the others go on."""
        with self._lock:
            self._progress.end()
            if isinstance(error, IsADirectory) and not error.hint and error.message.startswith(f"{what} "):
                error.hint = f"Copy it with all that is in it: algo cp -r {what} DEST"
            self._report.failed(what, error)
            self._failed += 1
            if self._failed <= MOST_FAILURES:
                self._failures.append(error.message)

    def finish(self) -> None:
        """Sum up what was more than one file, and end the command with the exit code of the first failure."""
        if self._planned > 1 or (self._failed and self._copied):
            self._sum_up(time.monotonic() - self._began)
        self._report.finish()

    def _sum_up(self, seconds: float) -> None:
        output = self._app.output
        if output.is_json:
            return  # each object has told its own, and the last line on stderr is an error, if there was one
        if self._failures and self._planned > SEVERAL:
            output.info("What failed:")
            for message in self._failures:
                output.info(f"  {shown(message)}")
            if self._failed > MOST_FAILURES:
                output.info(f"  and {self._failed - MOST_FAILURES} more")
        files = "1 file" if self._copied == 1 else f"{self._copied} files"
        rate = f", {human(self._bytes / seconds)}/s" if seconds > 0 else ""
        failed = f"; {self._failed} failed" if self._failed else ""
        output.info(f"{files}, {human(self._bytes)} in {seconds:.1f} s{rate}{failed}")


def _said(transfer: Transfer) -> tuple[str, str]:
    source, target = transfer.source, transfer.target
    if transfer.removes_source:
        return "moved", f"Moved {source} to {target}"
    from_here = source.uri.is_local or source.uri == STREAM
    if from_here and not target.uri.is_local:
        return "uploaded", f"Uploaded {target}"
    if not from_here and target.uri.is_local:
        return "downloaded", f"Downloaded {target}"
    return "copied", f"Copied {source} to {target}"
