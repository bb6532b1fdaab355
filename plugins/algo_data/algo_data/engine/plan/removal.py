"""Removes the extra files of the target of a `sync`, after everything else succeeded."""

from __future__ import annotations

from collections.abc import Iterator

from algo_core.errors import AlgoError, NotFoundError
from algo_core.storage.capabilities import LeftoverStorage
from algo_core.storage.contract import Entry, IsADirectory, Kind, NotADirectory
from algo_data.engine.io.spool import Spool
from algo_data.engine.plan.concurrent_map import QUESTIONS, concurrent_map
from algo_data.engine.plan.directories import remove_if_empty
from algo_data.engine.plan.tree import OnError, below
from algo_data.engine.relative import prefix_of
from algo_data.engine.selection import Selection
from algo_data.engine.transfer import Place


def removed(extras: Spool, target: Place, selection: Selection, on_error: OnError, *, is_dry: bool) -> Iterator[Place]:
    """Remove `extras` concurrently; yield each removed file or directory.

    They are paths below the target, and whether each is a directory. Only the selected part of a directory is removed,
    and the directory itself if it is empty then.
    """

    def remove(item: tuple[Place, bool]) -> AlgoError | bool:
        try:
            return is_dry or remove_extra(*item)
        except AlgoError as error:
            return error

    at_once = 1 if target.uri.is_local or is_dry else QUESTIONS
    for (place, _), answer in concurrent_map(remove, _each(extras, target, selection, on_error), at_once):
        if isinstance(answer, AlgoError):
            on_error(place, answer)
        elif answer:
            yield place
    if not is_dry and not selection.is_everything:
        for relative, is_directory in extras:
            if is_directory:
                remove_if_empty(target.child(relative))


def _each(extras: Spool, target: Place, selection: Selection, on_error: OnError) -> Iterator[tuple[Place, bool]]:
    for relative, is_directory in extras:
        place = target.child(relative)
        if not is_directory or selection.is_everything:
            yield place, is_directory
            continue
        yield from _selected(place, relative, selection, on_error)


def _selected(directory: Place, above: str, selection: Selection, on_error: OnError) -> Iterator[tuple[Place, bool]]:
    def enters(relative: str, entry: Entry) -> bool:
        return selection.enters(prefix_of(above) + relative)

    top = Entry(directory.uri, Kind.DIRECTORY)
    with Spool() as found:  # a listing can lose its place when what it lists is removed
        try:
            for relative, entry in below(directory.storage, top, enters=enters, on_error=on_error):
                if not entry.is_directory and selection.takes(prefix_of(above) + relative):
                    found.add(relative)
        except NotADirectory:
            return
        for (relative,) in found:
            yield directory.child(relative), False


def check_unused(directory: Place) -> None:
    """Raises AlgoError if another process is writing a local file below it."""
    storage = directory.storage
    if isinstance(storage, LeftoverStorage) and (found := storage.in_use_below(directory.uri)):
        raise AlgoError(
            f"{directory} is kept: another process is writing {found}",
            "Run the command again when that process is done",
        )


def remove_extra(place: Place, is_directory: bool) -> bool:
    """Remove a file, or a directory with its content; return whether it was removed.

    Partial files of running processes are kept, and so is a file in place of a listed directory, or the other way
    round: it is newer.

    Raises:
        AlgoError: if it cannot be removed, or is a directory in which another process writes.
    """
    storage = place.storage
    if not is_directory and isinstance(storage, LeftoverStorage) and storage.is_leftover(place.uri):
        return storage.remove_leftover(place.uri)
    if is_directory:
        check_unused(place)
    try:
        if is_directory:
            try:
                place.storage.rmdir(place.uri, force=True)
                return True
            except NotADirectory:
                if not place.storage.stat(place.uri).is_directory:
                    return False
                # A link to one is removed like a file.
        place.storage.remove(place.uri)
    except NotFoundError:
        pass
    except IsADirectory:
        return False
    return True
