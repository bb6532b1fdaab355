"""`algo mkdir`: make directories (API section 4.5)."""

from __future__ import annotations

import click

from algo_core.context import App, pass_app
from algo_core.errors import AlgoError
from algo_core.storage.contract import NotADirectory
from algo_core.storage.uri import pasted
from algo_data.commands.operands import is_single, parse, paths_argument
from algo_data.engine.plan.directories import make
from algo_data.engine.transfer import Place
from algo_data.hosted.acl import NAMES, READERS, check_has_acl, write_acl
from algo_data.reporting.report import Report


@click.command()
@click.option("-p", "--parents", is_flag=True, help="Make parent directories as needed; ignore existing ones.")
@click.option("--acl", "readers", type=click.Choice(NAMES), help="Set who may read the collections.")
@paths_argument("path", required=True)
@pass_app
def mkdir(app: App, parents: bool, readers: str | None, path: tuple[str, ...]) -> None:
    """Make directories. In hosted data these are collections; their names are letters, digits and _.

    \b
    Examples:
      algo mkdir .my/img_directory
      algo mkdir --acl public .my/published
    """
    places = parse(app, path)
    if readers:
        for place in places:
            check_has_acl(place.uri)
    report = Report(app, is_alone=is_single(places))
    for place in places:
        try:
            is_new = _make(app, place, readers, with_parents=parents)
            if readers and not is_new:
                write_acl(app.api, place.uri, readers)
        except AlgoError as error:
            report.failed(place, error)
        else:
            if is_new:
                report.result(f"Created directory {place}", created=str(place))
            elif readers:
                report.result(f"{place} is {readers} now", uri=str(place), acl=readers, read=list(READERS[readers]))
    report.finish()


def _make(app: App, place: Place, readers: str | None, *, with_parents: bool) -> bool:
    """Make a directory; return whether it is new."""
    if with_parents:
        there = place.storage.exists(place.uri)
        if there and not there.is_directory:
            raise NotADirectory(f"{place} is a file")
        if there:
            return False
        make(place, with_parents=True)
    else:
        place.storage.mkdir(place.uri)
    if readers:
        _let_read(app, place, readers)
    return True


def _let_read(app: App, place: Place, readers: str) -> None:
    """Set the ACL of a new, still empty directory."""
    try:
        write_acl(app.api, place.uri, readers)
    except AlgoError as error:
        try:
            place.storage.rmdir(place.uri)
        except AlgoError:
            error.hint = f"The directory was made; set its ACL with: algo acl set {readers} {pasted(place)}"
        raise
