"""`algo cat`: print the content of files."""

from __future__ import annotations

import click

from algo_core.context import App, pass_app
from algo_core.errors import AlgoError, UsageError
from algo_core.storage.contract import IsADirectory
from algo_data.commands.operands import expanded, is_single, parse, paths_argument, standard_streams
from algo_data.engine.io.streams import STREAM
from algo_data.engine.options import CopyOptions
from algo_data.engine.run.worker import execute
from algo_data.engine.transfer import Place, Transfer
from algo_data.reporting.report import Report


@click.command()
@paths_argument("path", required=True)
@pass_app
def cat(app: App, path: tuple[str, ...]) -> None:
    """Print files one after the other, byte for byte; - is standard input.

    \b
    Example:
      algo cat .my/notes/monday.txt ./tuesday.txt
    """
    if path.count("-") > 1:
        raise UsageError("Standard input can be read only once")
    streams = standard_streams(app)
    places = parse(app, path, streams)
    report = Report(app, is_alone=is_single(places))
    target = Place(streams, STREAM)
    options = CopyOptions(tries=int(app.setting("retries").value))
    for place, entry in expanded(places, report):
        try:
            if entry and entry.is_directory:
                raise IsADirectory(f"{place} is a directory")
            execute(Transfer(place, target), lambda position, size: None, options)
        except AlgoError as error:
            report.failed(place, error)
    report.finish()
