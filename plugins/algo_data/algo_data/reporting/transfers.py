"""Reports of `cp` during and after each transfer."""

from __future__ import annotations

import time
from collections.abc import Sequence

from algo_core.context import App
from algo_core.errors import AlgoError
from algo_core.storage.contract import Entry, IsADirectory
from algo_core.storage.uri import pasted
from algo_data.engine.io.streams import STREAM
from algo_data.engine.transfer import Transfer
from algo_data.local.descriptors import is_stdout
from algo_data.reporting.progress import Progress
from algo_data.reporting.report import Report
from algo_data.reporting.summary import Summary

SEVERAL = 20
"""Maximum number of results printed on a terminal."""


def is_read(app: App) -> bool:
    """Whether to limit results to the first `SEVERAL`: on a terminal, without `--verbose`."""
    return app.output.is_terminal and not app.output.is_json and not app.verbose


class TransferReport:
    """The engine's observer: shows progress, prints a line per completed file, and a message per failure."""

    def __init__(
        self, app: App, progress: Progress, summary: Summary, *, is_alone: bool, report: Report | None = None
    ) -> None:
        self._summary = summary
        self._report = report or Report(app, is_alone=is_alone)
        self._progress = progress
        self._is_read = is_read(app)
        self._lock = progress.lock
        self._observers = app.observers
        self._running: dict[int, Transfer] = {}  # for observers, by the identity of their sources
        if self._observers:
            from algo_core.events import TransferEnded

            self._ended = TransferEnded

    def planned(self, transfer: Transfer | None) -> None:
        """Count it for what is to come."""
        with self._lock:
            if transfer is None:
                self._progress.all_planned()
            else:
                self._summary.planned += 1
                self._progress.planned(transfer.entry.size if transfer.entry else None)

    def started(self, transfer: Transfer) -> None:
        """Show its name."""
        with self._lock:
            self._progress.begin(transfer, transfer.source.uri.name or "-")
            if self._observers:
                self._running[id(transfer.source)] = transfer

    def advanced(self, transfer: Transfer, position: int, size: int | None) -> None:
        """Show how far it is."""
        with self._lock:
            self._progress.advance(transfer, position, size)

    def finished(self, transfer: Transfer, entry: Entry) -> None:
        """Say so, unless stdout carries the file itself."""
        with self._lock:
            self._progress.done(transfer)
            self._running.pop(id(transfer.source), None)
            self._tell(transfer, entry)

    def copied(self, several: Sequence[tuple[Transfer, Entry]]) -> None:
        """Say so of each."""
        with self._lock:
            self._progress.passed(len(several), sum(entry.size or 0 for _, entry in several))
            for transfer, entry in several:
                self._tell(transfer, entry)

    def kept(self, transfer: Transfer) -> None:
        """Count it as one that was skipped when it was planned."""
        with self._lock:
            self._progress.done(transfer)
            self._running.pop(id(transfer.source), None)
            self._summary.planned -= 1
            self._summary.tally.kept += 1

    def _tell(self, transfer: Transfer, entry: Entry) -> None:
        if self._observers:
            self._observe(str(transfer.source), str(transfer.target), entry)
        summary = self._summary
        summary.copied += 1
        summary.bytes += entry.size or 0
        target = transfer.target.uri
        if not self._report.tells_results or target == STREAM or is_stdout(target):
            return
        if self._is_read:
            if summary.copied > SEVERAL:
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
                error.hint = f"Copy it with its content: algo cp -r {pasted(what)} DEST"
            if self._observers:  # before the report, which raises what ends the command
                known = what if isinstance(what, Transfer) else self._running.pop(id(what), None)
                ends = (str(known.source), str(known.target)) if known else (str(what), "")
                self._observe(*ends, None, error.message)
            self._report.failed(what, error)
            self._summary.add_failure(error.message)

    def _observe(self, source: str, target: str, entry: Entry | None, error: str | None = None) -> None:
        assert self._observers
        size, sum_ = (entry.size, entry.checksum) if entry else (None, None)
        checksum = f"{sum_.algorithm}:{sum_.digest}" if sum_ else None
        self._observers.put(self._ended(source, target, size, checksum, error, time.time()))

    def finish(self) -> None:
        """End the command with the exit code of the first failure."""
        self._report.finish()


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
