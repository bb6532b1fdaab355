"""`algo acl`: who may read a collection (API section 4.6)."""

from __future__ import annotations

import click

from algo_core.context import App, pass_app
from algo_core.errors import AlgoError
from algo_data.commands.operands import expanded, is_single, parse, paths_argument
from algo_data.hosted.acl import NAMES, READERS, name_of, read_acl, write_acl
from algo_data.reporting.answers import answer
from algo_data.reporting.report import Report


@click.group()
def acl() -> None:
    """Show and change who may read a collection of hosted data; only its owner ever writes to it.

    \b
    private   the owner, and algorithms that the owner calls
    my-algos  the owner's algorithms as well, whoever calls them (default)
    public    everybody

    \b
    Examples:
      algo acl get .my/pictures
      algo acl set public .my/pictures
    """


@acl.command()
@paths_argument("path", required=True)
@pass_app
def get(app: App, path: tuple[str, ...]) -> None:
    """Show who may read collections.

    \b
    Example:
      algo acl get .my/img_directory
    """
    places = parse(app, path)
    report = Report(app, is_alone=is_single(places))
    is_one = is_single(places)
    for place, _ in expanded(places, report):
        try:
            readers = read_acl(app.api, place.uri)
        except AlgoError as error:
            report.failed(place, error)
        else:
            name = name_of(readers)
            answer(app, (name,) if is_one else (name, str(place)), uri=str(place), acl=name, read=readers)
    report.finish()


@acl.command("set")
@click.argument("readers", metavar="ACL", type=click.Choice(NAMES))
@paths_argument("path", required=True)
@pass_app
def set_(app: App, readers: str, path: tuple[str, ...]) -> None:
    """Set who may read collections.

    \b
    Example:
      algo acl set public .my/img_directory
    """
    places = parse(app, path)
    report = Report(app, is_alone=is_single(places))
    for place, _ in expanded(places, report):
        try:
            write_acl(app.api, place.uri, readers)
        except AlgoError as error:
            report.failed(place, error)
        else:
            report.result(f"{place} is {readers} now", uri=str(place), acl=readers, read=list(READERS[readers]))
    report.finish()
