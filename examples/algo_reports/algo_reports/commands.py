"""`algo reports`: the command line."""

from __future__ import annotations

import re
from collections.abc import Callable
from datetime import datetime
from typing import Any, TypeVar

import click
from click_option_group import optgroup

from algo_core import App, pass_app
from algo_core.storage.uri import HOSTED, DataUri, parse_data_uri
from algo_reports.completion import complete_directory
from algo_reports.usage import Filter, OverLimit, Usage, files_below, usage_of

Command = TypeVar("Command", bound=Callable[..., Any])


def size(text: str) -> int:
    """Bytes, from what people write: `500`, `20k`, `1.5M`, `2G` (powers of 1000)."""
    found = re.fullmatch(r"(\d+(?:\.\d+)?)\s*([kMG]?)B?", text)
    if not found:
        raise click.BadParameter(f"{text!r} is not a size: write 500, 20k, 1.5M or 2G")
    return int(float(found[1]) * 1000 ** " kMG".index(found[2] or " "))


def place(text: str) -> DataUri:
    """A directory as the data commands take it."""
    return parse_data_uri(text, bare=HOSTED)


def which_files(command: Command) -> Command:
    """The argument and the option group that all reports share."""
    for decorate in (
        optgroup.option("--since", type=click.DateTime(), metavar="DATE", help="Changed on this day (UTC) or later."),
        optgroup.option("--min-size", type=size, default="0", metavar="SIZE", help="At least this large, such as 20k."),
        optgroup.group("Which files", help="Only these are counted."),
        click.argument("directory", default=".my", type=place, shell_complete=complete_directory),
    ):
        command = decorate(command)
    return command


@click.group()
def reports() -> None:
    """Report what takes up the space in hosted data, or in any other storage."""


def _added_up(app: App, directory: DataUri, wanted: Filter) -> list[Usage]:
    with app.output.progress(f"Adding up {directory}") as progress:
        return usage_of(app.storage(directory), directory, wanted, progress.advance)


@reports.command()
@click.option("--limit", type=size, metavar="SIZE", help="End with exit code 64 if more is used, such as 2G.")
@which_files
@pass_app
def usage(app: App, directory: DataUri, limit: int | None, min_size: int, since: datetime | None) -> None:
    """Add up the files in each directory below DIRECTORY.

    \b
    Examples:
      algo reports usage
      algo reports usage data://.my --since 2024-01-01 --json
    """
    rows = _added_up(app, directory, Filter(min_size, since))
    if app.output.is_json:
        app.output.json([{"directory": str(row.directory), "files": row.files, "bytes": row.bytes} for row in rows])
    else:
        app.output.table(["Directory", "Files", "Bytes"], [[row.directory, row.files, row.bytes] for row in rows])
    used = sum(row.bytes for row in rows)
    if limit is not None and used > limit:
        raise OverLimit(used, limit)


@reports.command()
@click.option("-n", "--number", type=click.IntRange(1), default=10, show_default=True, help="How many to list.")
@which_files
@pass_app
def largest(app: App, directory: DataUri, min_size: int, since: datetime | None, number: int) -> None:
    """List the largest files below DIRECTORY.

    \b
    Example:
      algo reports largest .my -n 3
    """
    found = files_below(app.storage(directory), directory, Filter(min_size, since))
    files = sorted(found, key=lambda file: -(file.size or 0))
    if app.output.is_json:
        app.output.json([{"file": str(file.uri), "bytes": file.size} for file in files[:number]])
    else:
        app.output.table(["Bytes", "File"], [[file.size or "?", file.uri] for file in files[:number]])


@reports.command()
@click.argument("destination", metavar="FILE")
@click.option("--through", metavar="ALGORITHM", help="Publish what this algorithm makes of the report.")
@click.option("--yes", is_flag=True, help="Replace FILE without asking.")
@which_files
@pass_app
def publish(
    app: App,
    directory: DataUri,
    destination: str,
    through: str | None,
    yes: bool,
    min_size: int,
    since: datetime | None,
) -> None:
    """Write the report of `usage` to FILE, a path or a data URI.

    \b
    Examples:
      algo reports publish data://.my/reports/usage.json
      algo reports publish --through .my/Chart ./usage.png data://.my/pictures
    """
    from algo_reports.publishing import exists, publish, rendered

    if not yes and exists(app, destination) and not app.ask.confirm(f"Replace {destination}?", instead="--yes"):
        return
    content = rendered(app, _added_up(app, directory, Filter(min_size, since)), through)
    summary = publish(app, content, destination)
    if app.output.is_json:
        app.output.json({"file": destination, "bytes": summary.bytes})
    else:
        app.output.print(f"{destination}: {summary.bytes} bytes")
