"""Conflicts of a `sync`: a directory in place of a file, or a file in place of a directory.

They must be removed before their own copies, so they come last: after all other copies, and only if all conflicts may
be removed and all replacements can be read.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from types import TracebackType
from typing import Any

from algo_core.errors import AlgoError
from algo_core.storage.contract import Entry, Kind
from algo_data.engine.failures import InTheWay, StaysInTheWay
from algo_data.engine.io.spool import Spool
from algo_data.engine.plan.removal import check_unused, remove_extra
from algo_data.engine.plan.tree import OnError, below
from algo_data.engine.relative import prefix_of
from algo_data.engine.selection import Selection
from algo_data.engine.transfer import Place

Obstructed = Callable[[str, bool, "int | None"], None]
"""Called for each conflict with its path below the source, whether it is a directory, and its size in bytes."""


class Directories:
    """Names of directories, added in order and queried in the same order."""

    def __init__(self) -> None:
        self._names = Spool()
        self._rows: Iterator[tuple[Any, ...]] | None = None
        self._head: str | None = None

    def add(self, name: str) -> None:
        """Add a name."""
        self._names.add(name)

    def has(self, name: str) -> bool:
        """Whether there is one of this name."""
        if not self._names.count:
            return False
        if self._rows is None:
            self._rows = iter(self._names)
            self._advance(self._rows)
        while self._head is not None and self._head < name:
            self._advance(self._rows)
        return self._head == name

    def _advance(self, rows: Iterator[tuple[Any, ...]]) -> None:
        (self._head,) = next(rows, (None,))

    def __enter__(self) -> Directories:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._names.__exit__(kind, error, trace)


def in_the_way(source: Place, target: Place, *, of_directory: bool) -> AlgoError:
    """The error for a conflict."""
    return InTheWay(source, target, target.uri, of_directory=of_directory)


def may_be_removed(obstructed: Spool, source: Place, target: Place, selection: Selection, on_error: OnError) -> bool:
    """Whether all conflicts may be removed; reports the others, and removes nothing yet.

    A conflict is kept if a part of it is not selected or being written, if the source has a file and a directory of its
    name, or if its replacement cannot be opened or listed.
    """
    is_all = True
    for relative, is_directory, _ in obstructed:
        place, obstacle = source.child(relative), target.child(relative)
        try:
            if is_directory:
                if not selection.takes(relative):
                    raise StaysInTheWay(obstacle, obstacle.uri, obstacle.uri, of_directory=True)
            else:
                _check_directory(obstacle, relative, selection)
            _check_source(place, relative, selection, is_directory=is_directory)
        except AlgoError as error:
            is_all = False
            on_error(place, error)
    return is_all


def cleared(obstructed: Spool, free: Spool, target: Place, on_error: OnError, *, is_dry: bool) -> Iterator[Place]:
    """Remove the conflicts and yield each removed place. Paths that can be copied now are added to `free`."""
    for relative, is_directory, size in obstructed:
        obstacle = target.child(relative)
        try:
            if not is_dry:
                _remove(obstacle, is_directory=not is_directory)
        except AlgoError as error:
            on_error(obstacle, error)
            continue
        free.add(relative, is_directory, size)
        if not is_dry:
            yield obstacle


def _remove(obstacle: Place, *, is_directory: bool) -> None:
    if not remove_extra(obstacle, is_directory):
        raise AlgoError(f"{obstacle} is in use, or was replaced in the meantime", "Run the command again")


def _check_source(place: Place, relative: str, selection: Selection, *, is_directory: bool) -> None:
    storage, name = place.storage, place.uri.name
    # Object stores can have both: what stands in the way is then no extra, and would be made anew by the next sync.
    if not storage.needs_directories and len({e.kind for e in storage.scan(place.uri.parent) if e.name == name}) > 1:
        raise AlgoError(f"{place} is both a file and a directory; only one of them can be copied", "Rename one of them")
    if not is_directory:
        storage.open(place.uri).close()
        return
    for _ in below(
        storage, storage.stat(place.uri), enters=lambda inner, _: selection.enters(prefix_of(relative) + inner)
    ):
        pass


def _check_directory(obstacle: Place, relative: str, selection: Selection) -> None:
    check_unused(obstacle)
    if selection.is_everything:
        return
    if not selection.enters(relative):
        raise StaysInTheWay(obstacle, obstacle.uri, obstacle.uri, of_directory=False)
    if obstacle.storage.is_link(obstacle.uri):
        return  # only the link goes
    top = Entry(obstacle.uri, Kind.DIRECTORY)
    for inner, entry in below(obstacle.storage, top, enters=lambda _, entry: not obstacle.storage.is_link(entry.uri)):
        path = prefix_of(relative) + inner
        if not (selection.enters(path) if entry.is_directory else selection.takes(path)):
            raise StaysInTheWay(obstacle, obstacle.uri, entry.uri, of_directory=False)
