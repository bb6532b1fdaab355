"""`algo rm`: remove files (API section 4.7)."""

from __future__ import annotations

import click

from algo_core.context import App, pass_app
from algo_core.errors import AlgoError
from algo_core.storage import IsADirectory
from algo_data.operands import expanded, is_single, parse, paths_argument
from algo_data.report import Report


@click.command()
@paths_argument("path", required=True)
@pass_app
def rm(app: App, path: tuple[str, ...]) -> None:
    """Remove files. Quote wildcards, so that they are matched where the files are.

    \b
    Example:
      algo rm '.my/img_directory/*.png'
    """
    places = parse(app, path)
    report = Report(app, is_alone=is_single(places))
    for place, entry in expanded(places, report):
        try:
            if entry and entry.is_directory:
                raise IsADirectory(f"{place} is a directory", f"Remove it with: algo rmdir {place}")
            place.storage.remove(place.uri)
        except AlgoError as error:
            report.failed(place, error)
        else:
            report.result(f"Deleted {place}", deleted=str(place))
    report.finish()
