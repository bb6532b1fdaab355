"""Lists all files and directories below a directory, lazily."""

from __future__ import annotations

from collections.abc import Callable, Iterator

from algo_core.errors import AlgoError
from algo_core.storage.contract import Entry, IncompleteListing, Storage
from algo_data.engine.failures import DirectoryLoop
from algo_data.engine.plan.prefetch import Enters, Prefetcher
from algo_data.engine.relative import joined, prefix_of

__all__ = ["Enters", "OnError", "below"]


OnError = Callable[[object, AlgoError], None]
"""Called with each failed item and its error; processing continues, unless it raises."""

Prepares = Callable[[str, Entry], bool]
"""Called before a directory is entered, which it can prevent, with its path below the top and its entry."""


def below(
    storage: Storage,
    top: Entry,
    *,
    enters: Enters = lambda relative, entry: True,
    prepares: Prepares = lambda relative, entry: True,
    on_error: OnError | None = None,
    is_sorted: bool = False,
) -> Iterator[tuple[str, Entry]]:
    """Everything below a directory, each entry with its relative path; a directory comes before its content.

    One directory per level is listed at a time (of a remote storage, a few more in advance), so that memory does not
    depend on the number of files. With `is_sorted`, entries come in the order of `Storage.list`. A link to a directory
    above it is reported, and not followed.

    Raises:
        AlgoError: if a directory cannot be listed; without `on_error`, also for directories below the top and
            unreadable entries.
    """
    listing = storage.list if is_sorted else storage.scan
    if top.uri.is_local:
        yield from _walk(lambda relative, entry: listing(entry.uri), top, enters, prepares, on_error)
        return
    lookahead = Prefetcher(listing, enters)

    def is_prepared(relative: str, entry: Entry) -> bool:
        if prepares(relative, entry):
            return True
        lookahead.forget(relative)
        return False

    try:
        yield from _walk(lookahead.entries, top, enters, is_prepared, on_error)
    finally:
        lookahead.close()


def _walk(
    entries_of: Callable[[str, Entry], Iterator[Entry]],
    top: Entry,
    enters: Enters,
    prepares: Prepares,
    on_error: OnError | None,
) -> Iterator[tuple[str, Entry]]:
    levels = [("", top, entries_of("", top))]
    while levels:
        prefix, directory, entries = levels[-1]
        try:
            entry = next(entries, None)
        except AlgoError as error:
            if on_error is None or (len(levels) == 1 and not isinstance(error, IncompleteListing)):
                raise
            on_error(directory.uri, error)
            entry = None
        if entry is None:
            levels.pop()
            continue
        relative = joined(prefix, entry.name, is_directory=entry.is_directory)
        if not (entry.is_directory and enters(relative, entry)):
            yield relative, entry
        elif any(entry.version and entry.version == level.version for _, level, _ in levels):
            loop = DirectoryLoop(entry.uri)
            if on_error is None:
                raise loop
            on_error(entry.uri, loop)
        else:
            yield relative, entry
            if prepares(relative, entry):
                levels.append((prefix_of(relative), entry, entries_of(relative, entry)))
