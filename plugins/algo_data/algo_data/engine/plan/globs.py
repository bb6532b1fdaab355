"""Expands wildcards as a shell does (`*`, `?`, `[...]`, `**`), equally for local and remote paths."""

from __future__ import annotations

from collections.abc import Iterator

from algo_core.errors import AlgoError, NotFoundError, RequestRefused, UsageError
from algo_core.storage.contract import Entry, IncompleteListing, Kind, NotADirectory, Storage
from algo_core.storage.uri import DataUri
from algo_data.engine.patterns import ANY_DEPTH, is_magic, name_pattern
from algo_data.engine.plan.tree import OnError, below

HELD = 1000
"""Maximum number of matches held back for a file whose name is the pattern itself: a page of a listing."""


def has_magic(uri: DataUri) -> bool:
    """Whether a path holds a wildcard."""
    return is_magic(uri.path)


def spans_directories(uri: DataUri) -> bool:
    """Whether matches of a path can be in several directories, so that names can be equal."""
    return is_magic(uri.path.rstrip("/").rpartition("/")[0])


def expand(storage: Storage, uri: DataUri, on_error: OnError | None = None) -> Iterator[Entry]:
    """The entries that match a path with wildcards, as the listing arrives.

    A wildcard stands for one component or a part of it, and does not match a dot at the beginning of a name. The
    component `**` stands for any number of directories, and at the end for all files below; it goes through no link to
    a directory. A directory that cannot be listed is reported to `on_error`, and the others go on.

    If the pattern itself is the name of a file, only that file matches. It is looked up on this machine, and for
    brackets, which are common in names. Elsewhere the listing shows it; only if there are more matches than a page
    holds, it is requested before any of them is yielded.

    Raises:
        NotFoundError: when nothing matches.
        UsageError: for an invalid pattern.
        AlgoError: if a directory cannot be listed; with `on_error`, only if it is the directory in the path.
    """
    is_looked_up = uri.is_local or "[" in uri.path
    if is_looked_up and (literal := _literal(storage, uri)):
        yield literal
        return
    found = False

    def refused(what: object, error: AlgoError) -> None:
        nonlocal found
        if on_error is None:
            raise error
        found = True
        on_error(what, error)

    matching = _matching(storage, uri, refused)
    if not (is_looked_up or spans_directories(uri) or uri.name == ANY_DEPTH):
        matching = _only_literal(storage, uri, matching)
    for entry in matching:
        found = True
        yield entry
    if not found:
        raise NotFoundError(f"Nothing matches {uri}")


def _matching(storage: Storage, uri: DataUri, on_error: OnError) -> Iterator[Entry]:
    pattern = uri.name
    above = uri.parent if "/" in uri.path.rstrip("/") else uri._replace(path="")
    only_directories = uri.path.endswith("/")
    is_deep = above.name == ANY_DEPTH and pattern != ANY_DEPTH  # one walk gives the entries of all levels
    matches = name_pattern(pattern).match
    for parent, is_named in _directories(storage, above.parent if is_deep else above, on_error):
        try:
            if pattern == ANY_DEPTH or is_deep:
                entries: Iterator[Entry] = (entry for _, entry in _below(storage, parent, on_error))
            elif not is_magic(pattern):
                place = parent.subdirectory(pattern) if only_directories else parent.child(pattern)
                entries = iter([found] if (found := storage.exists(place)) else [])
            else:
                entries = storage.list(parent)
            for entry in entries:
                if pattern == ANY_DEPTH:
                    if entry.is_directory == only_directories:
                        yield entry
                    continue
                hidden = entry.name.startswith(".") and not pattern.startswith(".")
                if matches(entry.name) and not hidden and (entry.is_directory or not only_directories):
                    yield entry
        except AlgoError as error:
            if is_named:
                raise
            on_error(parent, error)


def _directories(storage: Storage, uri: DataUri, on_error: OnError) -> Iterator[tuple[DataUri, bool]]:
    """The directories that match a path, and whether each is named literally."""
    if not has_magic(uri):
        yield uri, True
        return
    if uri.name == ANY_DEPTH:
        for top, is_named in _directories(storage, uri.parent, on_error):
            yield top, is_named
            try:
                for _, entry in _below(storage, top, on_error):
                    if entry.is_directory and not storage.is_link(entry.uri):
                        yield entry.uri, False
            except AlgoError as error:
                if is_named:
                    raise
                on_error(top, error)
        return
    for entry in _matching(storage, uri, on_error):
        if entry.is_directory:
            yield entry.uri, False


def _below(storage: Storage, uri: DataUri, on_error: OnError) -> Iterator[tuple[str, Entry]]:
    """Everything below a directory except hidden entries, like `**` in a shell: links are not followed."""
    found = below(
        storage,
        Entry(uri, Kind.DIRECTORY),
        enters=lambda relative, entry: not (entry.name.startswith(".") or storage.is_link(entry.uri)),
        on_error=on_error,
        is_sorted=True,
    )
    return (pair for pair in found if not pair[1].name.startswith("."))


def _only_literal(storage: Storage, uri: DataUri, matching: Iterator[Entry]) -> Iterator[Entry]:
    """The entry whose name is the pattern itself, else all."""
    held: list[Entry] = []
    try:
        for entry in matching:
            if entry.name == uri.name:
                yield entry
                return
            held.append(entry)
            if len(held) > HELD:
                if literal := _literal(storage, uri):
                    yield literal
                    return
                break
    except IncompleteListing:
        yield from held
        raise
    yield from held
    yield from matching


def _literal(storage: Storage, uri: DataUri) -> Entry | None:
    """The entry whose name is the pattern itself, including a dangling link."""
    try:
        if found := storage.exists(uri):
            return found
        return Entry(uri, Kind.FILE) if storage.is_link(uri) else None
    except (RequestRefused, UsageError, NotADirectory):  # nothing can have such a name
        return None
