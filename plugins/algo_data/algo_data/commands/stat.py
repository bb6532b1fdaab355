"""`algo stat`: metadata of files and directories."""

from __future__ import annotations

import click

from algo_core.context import App, pass_app
from algo_core.errors import AlgoError
from algo_core.storage.contract import Entry
from algo_data.commands.operands import expanded, is_single, parse, paths_argument
from algo_data.reporting.answers import answer
from algo_data.reporting.report import Report


@click.command()
@paths_argument("path", required=True)
@pass_app
def stat(app: App, path: tuple[str, ...]) -> None:
    """Show type, size in bytes, time (UTC), checksum and version of files, as far as they are known.

    \b
    Example:
      algo stat .my/img_directory/friends.jpg
    """
    places = parse(app, path)
    report = Report(app, is_alone=is_single(places))
    for place, _ in expanded(places, report):
        try:
            facts = _facts(place.storage.stat(place.uri))
        except AlgoError as error:
            report.failed(place, error)
        else:
            known = {name: value for name, value in facts.items() if value is not None}
            answer(app, *((f"{name + ':':<10}{value}",) for name, value in known.items()), **facts)
    report.finish()


def _facts(entry: Entry) -> dict[str, str | int | None]:
    checksum = entry.checksum
    return {
        "uri": str(entry.uri),
        "type": entry.kind.value,
        "size": entry.size,
        "modified": entry.modified.strftime("%Y-%m-%dT%H:%M:%SZ") if entry.modified else None,
        "checksum": f"{checksum.algorithm}:{checksum.digest}" if checksum else None,
        "version": entry.version if not entry.is_directory else None,
    }
