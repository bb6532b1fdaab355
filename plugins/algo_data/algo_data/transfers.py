"""What `cp` says while it copies and when a file is done."""

from __future__ import annotations

from algo_core.context import App
from algo_core.errors import AlgoError
from algo_core.storage import Entry, IsADirectory
from algo_data.engine.planner import Transfer
from algo_data.engine.streams import STREAM
from algo_data.progress import Progress
from algo_data.report import Report


class TransferReport:
    """The engine's observer: progress while a file moves, a line when it is there, a message when it failed."""

    def __init__(self, app: App, progress: Progress, *, is_alone: bool) -> None:
        self._report = Report(app, is_alone=is_alone)
        self._progress = progress

    def started(self, transfer: Transfer) -> None:
        """Show its name."""
        self._progress.begin(transfer.source.uri.name or "-")

    def advanced(self, position: int, size: int | None) -> None:
        """Show how far it is."""
        self._progress.advance(position, size)

    def finished(self, transfer: Transfer, entry: Entry) -> None:
        """Say so, unless stdout carries the file itself."""
        self._progress.end()
        if transfer.target.uri == STREAM:
            return
        action, text = _said(transfer)
        self._report.result(
            text, action=action, source=str(transfer.source), destination=str(transfer.target), bytes=entry.size
        )

    def failed(self, what: object, error: AlgoError) -> None:
        """Say why; the others go on."""
        self._progress.end()
        if isinstance(error, IsADirectory) and not error.hint:
            error.hint = f"Copy the files in it: algo cp '{str(what).rstrip('/')}/*' DEST"
        self._report.failed(what, error)

    def finish(self) -> None:
        """End the command with the exit code of the first failure, if there was one."""
        self._report.finish()


def _said(transfer: Transfer) -> tuple[str, str]:
    source, target = transfer.source, transfer.target
    from_here = source.uri.is_local or source.uri == STREAM
    if from_here and not target.uri.is_local:
        return "uploaded", f"Uploaded {target}"
    if not from_here and target.uri.is_local:
        return "downloaded", f"Downloaded {target}"
    return "copied", f"Copied {source} to {target}"
