"""Path operands of commands."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator, Sequence
from typing import Any, TypeVar

import click

from algo_core.context import App
from algo_core.errors import AlgoError, NotFoundError
from algo_core.storage.contract import Entry
from algo_core.storage.uri import HOSTED, DataUri, parse_data_uri
from algo_data.commands.completion import complete_path
from algo_data.engine.io.streams import STREAM, StandardStreams
from algo_data.engine.plan.globs import expand, has_magic
from algo_data.engine.transfer import Place
from algo_data.reporting.report import Report

_Function = TypeVar("_Function", bound=Callable[..., Any])


def paths_argument(
    name: str, *, required: bool, nargs: int = -1, metavar: str | None = None
) -> Callable[[_Function], _Function]:
    """A click argument for paths, with completion."""
    shown = f"{name.upper()}..." if nargs == -1 else name.upper()
    return click.argument(
        name,
        nargs=nargs,
        required=required,
        metavar=metavar or (shown if required else f"[{shown}]"),
        shell_complete=complete_path,
        type=click.UNPROCESSED,
    )


def parse(app: App, paths: Sequence[str], streams: StandardStreams | None = None) -> list[Place]:
    """The places of path operands; without a scheme they are hosted data, unless they begin with `/`, `./` or `../`.

    Where `streams` are given, `-` names them.

    Raises:
        UsageError: if one is invalid, or its scheme is unknown; nothing has been done.
    """
    places = []
    for path in paths:
        if streams and path == "-":
            places.append(Place(streams, STREAM))
            continue
        uri = parse_data_uri(path, bare=HOSTED)
        places.append(Place(app.storage(uri), uri))
    return places


def standard_streams(app: App) -> StandardStreams:
    """Standard input and output as bytes."""
    return StandardStreams(sys.stdin.buffer if sys.stdin else None, app.output.binary)


def expanded(
    places: Sequence[Place], report: Report, *, may_be_missing: bool = False
) -> Iterator[tuple[Place, Entry | None]]:
    """The places of operands with expanded wildcards, and their entries if a listing gave them. Patterns without a
    match are reported.

    With `may_be_missing`, a pattern without a match is ignored.
    """
    for place in places:
        if not has_magic(place.uri):
            yield place, None
            continue
        try:
            for entry in expand(place.storage, place.uri, report.failed):
                yield Place(place.storage, entry.uri), entry
        except AlgoError as error:
            if not (may_be_missing and isinstance(error, NotFoundError)):
                report.failed(place, error)


def is_single(places: Sequence[Place]) -> bool:
    """Whether there is a single operand without wildcards."""
    return len(places) == 1 and not has_magic(places[0].uri)


def short(uri: DataUri) -> str:
    """A path as shown in listings: hosted data without `data://` (API section 9.2)."""
    return uri.path if uri.scheme == HOSTED else str(uri)
