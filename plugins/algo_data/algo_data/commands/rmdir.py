"""`algo rmdir`: remove directories (API section 4.7)."""

from __future__ import annotations

import click

from algo_core.context import App, pass_app
from algo_core.errors import AlgoError
from algo_data.commands.operands import expanded, is_single, parse, paths_argument
from algo_data.reporting.report import Report


@click.command()
@click.option("-f", "--force", is_flag=True, help="Remove the files in them as well.")
@paths_argument("path", required=True)
@pass_app
def rmdir(app: App, force: bool, path: tuple[str, ...]) -> None:
    """Remove empty directories; with -f also directories that contain files.

    \b
    Example:
      algo rmdir -f .my/img_directory
    """
    places = parse(app, path)
    report = Report(app, is_alone=is_single(places))
    for place, _ in expanded(places, report):
        try:
            count = place.storage.rmdir(place.uri, force=force)
        except AlgoError as error:
            report.failed(place, error)
        else:
            report.result(f"Deleted directory {place}", action="deleted", path=str(place), files=count)
    report.finish()
