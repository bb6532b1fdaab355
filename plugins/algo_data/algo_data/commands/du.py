"""`algo du`: add up the sizes of files."""

from __future__ import annotations

import click

from algo_core.context import App, pass_app
from algo_core.errors import AlgoError
from algo_core.storage.contract import Entry
from algo_core.terminal.options import human, human_option
from algo_data.commands.operands import expanded, parse, paths_argument
from algo_data.engine.plan.tree import below
from algo_data.engine.transfer import Place
from algo_data.reporting.answers import answer
from algo_data.reporting.report import Report


@click.command()
@human_option
@paths_argument("path", required=True)
@pass_app
def du(app: App, is_human: bool, path: tuple[str, ...]) -> None:
    """Show the total size and number of files in directories.

    \b
    Examples:
      algo du .my/img_directory
      algo du -h 's3://bucket/2026-*'
    """
    places = parse(app, path)
    report = Report(app, is_alone=False)
    for place, matched in expanded(places, report):
        try:
            size, files = _sum(place, matched or place.storage.stat(place.uri), report)
        except AlgoError as error:
            report.failed(place, error)
        else:
            shown = human(size) if is_human else str(size)
            count = f"{files} {'file' if files == 1 else 'files'}"
            answer(app, (shown, count, str(place)), uri=str(place), bytes=size, files=files)
    report.finish()


def _sum(place: Place, top: Entry, report: Report) -> tuple[int, int]:
    """Total bytes and number of files; files without a size, such as pipes, count as files."""
    if not top.is_directory:
        return top.size or 0, 1
    size = files = 0
    for _, entry in below(place.storage, top, on_error=report.failed):
        if not entry.is_directory:
            size, files = size + (entry.size or 0), files + 1
    return size, files
