"""`algo mkdir`: make directories (API section 4.5)."""

from __future__ import annotations

import click

from algo_core.context import App, pass_app
from algo_core.errors import AlgoError
from algo_data.operands import is_single, parse, paths_argument
from algo_data.report import Report


@click.command()
@paths_argument("path", required=True)
@pass_app
def mkdir(app: App, path: tuple[str, ...]) -> None:
    """Make directories; for hosted data these are collections, and their names letters, digits and _.

    \b
    Example:
      algo mkdir .my/img_directory
    """
    places = parse(app, path)
    report = Report(app, is_alone=is_single(places))
    for place in places:
        try:
            place.storage.mkdir(place.uri)
        except AlgoError as error:
            report.failed(place, error)
        else:
            report.result(f"Created directory {place}", created=str(place))
    report.finish()
