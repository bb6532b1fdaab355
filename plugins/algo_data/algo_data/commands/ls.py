"""`algo ls`: list directories (API sections 4.4 and 9.2)."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import click

from algo_core.context import App, pass_app
from algo_core.errors import AlgoError
from algo_core.storage.contract import Entry, Kind, NotADirectory
from algo_core.storage.uri import DataUri
from algo_core.terminal.options import human, human_option
from algo_data.commands.operands import expanded, is_single, parse, paths_argument, short
from algo_data.engine.plan.tree import below
from algo_data.engine.transfer import Place
from algo_data.reporting.report import Report

SIZE_WIDTH = 12
"""Characters for sizes in columns: nearly a tebibyte, without having to wait for the whole listing."""

MOST_HELD = 512
"""Maximum number of lines written at once."""

TIME = 19
"""Characters of a time: 2026-11-23 21:48:13."""


@click.command()
@click.option("-l", "--long", "is_long", is_flag=True, help="Show the time (UTC) and size of each file.")
@human_option
@click.option("-R", "-r", "--recursive", is_flag=True, help="List subdirectories recursively.")
@paths_argument("path", required=False)
@pass_app
def ls(app: App, is_long: bool, is_human: bool, recursive: bool, path: tuple[str, ...]) -> None:
    """List directories, and files by name. Without PATH: what the account can see, its own name first.

    Paths without a scheme are hosted data; local ones begin with /, ./ or ../

    \b
    Examples:
      algo ls
      algo ls -lh .my/img_directory
      algo ls -R 's3://bucket/2026-*'
    """
    places = parse(app, path or ("data://",))
    report = Report(app, is_alone=is_single(places) and not recursive)
    write = _JsonList(app) if app.output.is_json else _Lines(app, is_long, is_human)
    is_complete = False
    try:
        _list(places, report, write, is_recursive=recursive)
        is_complete = not report.has_failed
    finally:
        write.end(is_complete=is_complete)
    report.finish()


def _list(places: list[Place], report: Report, write: _Lines | _JsonList, *, is_recursive: bool) -> None:
    for place, matched in expanded(places, report):
        try:
            if matched:
                write(matched)
                entries = _below(place, report) if is_recursive and matched.is_directory else iter(())
            elif isinstance(write, _Lines) and not write.is_long and not is_recursive:
                entries = _named(place, write)
            else:
                entries = _entries(place, report, is_recursive=is_recursive)
            for entry in entries:
                write(entry)
        except AlgoError as error:
            report.failed(place, error)


def _entries(place: Place, report: Report, *, is_recursive: bool) -> Iterator[Entry]:
    """The entries of a directory, or the file itself; without an extra request for its kind."""
    try:
        yield from _below(place, report) if is_recursive else place.storage.list(place.uri)
    except NotADirectory as error:
        yield _file(place, error)


def _named(place: Place, write: _Lines) -> Iterator[Entry]:
    """Write the names in a directory; return the entry if it is a file."""
    try:
        for names in place.storage.names(place.uri):
            write.names(place.uri, names)
    except NotADirectory as error:
        yield _file(place, error)


def _file(place: Place, error: NotADirectory) -> Entry:
    """The entry of a path that is not a directory; raises the error if a directory was named."""
    if place.uri.names_directory:
        raise error
    return error.entry or place.storage.stat(place.uri)


def _below(place: Place, report: Report) -> Iterator[Entry]:
    top = Entry(place.uri, Kind.DIRECTORY)
    return (entry for _, entry in below(place.storage, top, on_error=report.failed, is_sorted=True))


class _Lines:
    """One path per line; sizes are aligned only on a terminal.

    Lines are written in growing groups, so that the first appears at once and a long listing takes few writes.
    """

    def __init__(self, app: App, is_long: bool, is_human: bool) -> None:
        self._app = app
        self.is_long = is_long
        self._is_human = is_human
        self._is_terminal = app.output.is_terminal
        self._width = SIZE_WIDTH if self._is_terminal else 0
        self._held: list[str] = []
        self._count = 0
        self._room = 1

    def __call__(self, entry: Entry) -> None:
        path = short(entry.uri)
        if entry.is_directory and not path.endswith("/"):
            path += "/"
        self._held.append(self._long(entry, path) if self.is_long else path)
        self._hand_on(1)

    def names(self, directory: DataUri, names: list[str]) -> None:
        """The same for several names in a directory."""
        if not names:
            return
        start = short(directory.child(""))
        if self._is_terminal:
            self._held.extend([start + name for name in names])
        else:
            self._held.append(start + f"\n{start}".join(names))
        self._hand_on(len(names))

    def _hand_on(self, count: int) -> None:
        self._count += count
        if self._count >= self._room:
            self._room = min(2 * self._room, MOST_HELD)
            self.end()

    def end(self, *, is_complete: bool = True) -> None:
        """Write the held lines."""
        if self._held:
            self._app.output.lines(self._held)
        self._held.clear()
        self._count = 0
        self._app.output.stdout.flush()

    def _long(self, entry: Entry, path: str) -> str:
        if entry.is_directory:
            return f"{'':{TIME + 3 + self._width + 3 if self._width else 0}}{path}"
        modified = entry.modified.isoformat(" ")[:TIME] if entry.modified else "-" * TIME
        size = "-" if entry.size is None else human(entry.size) if self._is_human else str(entry.size)
        return f"{modified}   {size:>{self._width}}   {path}"


class _JsonList:
    """A JSON list, one object per line, written while the listing arrives; each line waits for its comma."""

    def __init__(self, app: App) -> None:
        self._app = app
        self._last = ""

    def __call__(self, entry: Entry) -> None:
        members: dict[str, Any] = {
            "uri": str(entry.uri),
            "type": entry.kind.value,
            "size": entry.size,
            "modified": entry.modified.strftime("%Y-%m-%dT%H:%M:%SZ") if entry.modified else None,
        }
        self._app.output.json_text(f"{self._last},\n" if self._last else "[\n")
        self._last = f"  {json.dumps(members)}"

    def end(self, *, is_complete: bool) -> None:
        """Close the list, also after a failure, to keep the JSON valid. Without a listing, nothing is written."""
        if self._last:
            self._app.output.json_text(f"{self._last}\n]\n")
        elif is_complete:
            self._app.output.json_text("[]\n")
