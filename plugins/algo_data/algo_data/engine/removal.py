"""Removing what is only at the target of a `sync`, after everything else has gone well."""

from __future__ import annotations

import marshal
import tempfile
from collections.abc import Iterator
from types import TracebackType

from algo_core.errors import AlgoError, NotFoundError
from algo_core.storage import Entry, Kind, NotADirectory
from algo_data.engine.ahead import QUESTIONS, answered
from algo_data.engine.directories import remove_if_empty
from algo_data.engine.selection import Selection
from algo_data.engine.transfer import Place
from algo_data.tree import Refuse, below


class Extras:
    """What is to be removed, in a temporary file: there can be as much of it as of files."""

    def __init__(self) -> None:
        self._file = tempfile.TemporaryFile()  # noqa: SIM115 - `__exit__` closes it
        self.count = 0

    def add(self, relative: str, is_directory: bool) -> None:
        """Remember a path below the target."""
        try:
            marshal.dump((relative, is_directory), self._file)
        except OSError as error:
            raise AlgoError(f"No room to remember what is to be removed: {error.strerror}") from error
        self.count += 1

    def __iter__(self) -> Iterator[tuple[str, bool]]:
        self._file.seek(0)
        for _ in range(self.count):
            yield marshal.load(self._file)

    def __enter__(self) -> Extras:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._file.close()


def removed(extras: Extras, target: Place, selection: Selection, refuse: Refuse, *, is_dry: bool) -> Iterator[Place]:
    """Remove them, several at a time; each file, or directory with all that was in it, that was removed.

    Of a directory only what the selection takes is removed, and the directory itself if nothing is left in it.
    """

    def remove(item: tuple[Place, bool]) -> AlgoError | None:
        if is_dry:
            return None
        try:
            _remove(*item)
        except AlgoError as error:
            return error
        return None

    at_once = 1 if target.uri.is_local or is_dry else QUESTIONS
    for (place, _), error in answered(remove, _each(extras, target, selection, refuse), at_once):
        if error:
            refuse(place, error)
        else:
            yield place
    if not is_dry and not selection.is_everything:
        for relative, is_directory in extras:
            if is_directory:
                remove_if_empty(target.child(relative))


def _each(extras: Extras, target: Place, selection: Selection, refuse: Refuse) -> Iterator[tuple[Place, bool]]:
    for relative, is_directory in extras:
        place = target.child(relative)
        if not is_directory or selection.is_everything:
            yield place, is_directory
            continue
        yield from _selected(place, relative, selection, refuse)


def _selected(directory: Place, above: str, selection: Selection, refuse: Refuse) -> Iterator[tuple[Place, bool]]:
    def enters(relative: str, entry: Entry) -> bool:
        return selection.enters(f"{above}/{relative}")

    top = Entry(directory.uri, Kind.DIRECTORY)
    for relative, entry in below(directory.storage, top, enters=enters, refuse=refuse):
        if not entry.is_directory and selection.takes(f"{above}/{relative}"):
            yield Place(directory.storage, entry.uri), False


def _remove(place: Place, is_directory: bool) -> None:
    try:
        if is_directory:
            try:
                place.storage.rmdir(place.uri, force=True)
                return
            except NotADirectory:  # a link to one, which is removed like a file
                pass
        place.storage.remove(place.uri)
    except NotFoundError:
        pass
