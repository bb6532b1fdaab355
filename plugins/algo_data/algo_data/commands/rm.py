"""`algo rm`: remove files, and trees (API section 4.7)."""

from __future__ import annotations

from collections.abc import Iterator

import click

from algo_core.context import App, pass_app
from algo_core.errors import AlgoError, NotFoundError, RequestRefused
from algo_core.storage.contract import Entry, IsADirectory, Kind, NotADirectory
from algo_core.storage.uri import DataUri, pasted
from algo_data.commands.operands import expanded, is_single, parse, paths_argument
from algo_data.engine.io.spool import Spool
from algo_data.engine.plan.concurrent_map import QUESTIONS, concurrent_map
from algo_data.engine.transfer import UNNAMED, Place
from algo_data.reporting.report import Report


@click.command()
@click.option("-r", "-R", "--recursive", is_flag=True, help="Remove directories and their contents.")
@click.option("-f", "--force", is_flag=True, help="Ignore paths that do not exist.")
@click.option("--dry-run", is_flag=True, help="Show what would be removed; change nothing.")
@paths_argument("path", required=True)
@pass_app
def rm(app: App, recursive: bool, force: bool, dry_run: bool, path: tuple[str, ...]) -> None:
    """Remove files. Quote wildcards of hosted data, so that the shell does not expand them.

    \b
    Examples:
      algo rm '.my/img_directory/*.png'
      algo rm -r .my/img_directory
    """
    places = parse(app, path)
    report = Report(app, is_alone=is_single(places))

    def remove(found: tuple[Place, Entry | None]) -> AlgoError | None:
        try:
            _remove(*found, recursive=recursive, is_dry=dry_run)
        except AlgoError as error:
            if isinstance(error, IsADirectory):  # what a storage advises is of use for an empty one only
                error.hint = _how_to_remove(found[0])
            return error
        return None

    at_once = 1 if all(place.uri.is_local for place in places) else QUESTIONS
    for (place, _), error in concurrent_map(remove, _when_all_are_known(places, report, force=force), at_once):
        if error is None:
            report.deleted(place, is_dry=dry_run)
        elif not (force and isinstance(error, NotFoundError)):
            report.failed(place, error)
    report.finish()


def _when_all_are_known(places: list[Place], report: Report, *, force: bool) -> Iterator[tuple[Place, Entry | None]]:
    """The entries to remove. A listing is read to its end before any of its entries is removed.

    A storage may page a listing by count: removing files in between would skip others.
    """
    for place in places:
        with Spool() as spool:
            for found, entry in expanded([place], report, may_be_missing=force):
                spool.add(found.uri.scheme, found.uri.path, found.uri.label, entry.is_directory if entry else None)
            for *parts, is_directory in spool:
                uri = DataUri(*parts)
                kind = Kind.DIRECTORY if is_directory else Kind.FILE
                yield Place(place.storage, uri), None if is_directory is None else Entry(uri, kind)


def _remove(place: Place, entry: Entry | None, *, recursive: bool, is_dry: bool) -> None:
    storage, uri = place.storage, place.uri
    if recursive or (is_dry and not uri.names_directory):
        entry = entry or storage.stat(uri)
    elif is_dry and not entry:
        storage.open(uri).close()  # a key that ends in a slash is a file only for this and for its removal
    if entry and entry.is_directory:
        if not recursive:
            raise IsADirectory(f"{place} is a directory", _how_to_remove(place))
        if uri.name in UNNAMED and not storage.paths_are_keys:
            raise RequestRefused(f"{place} is not removed", "Name the directory itself")
        if not is_dry:
            _remove_tree(place)
    elif not is_dry:
        storage.remove(uri)


def _how_to_remove(place: Place) -> str:
    operand = pasted(place)
    return f"Remove it with its content: algo rm -r {operand}; or, if it is empty: algo rmdir {operand}"


def _remove_tree(place: Place) -> None:
    try:
        place.storage.rmdir(place.uri, force=True)
    except NotADirectory:  # a link to a directory: the link goes, and not what it leads to
        place.storage.remove(place.uri)
