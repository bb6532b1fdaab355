"""Wildcards, with one meaning on both sides: that of a shell (`*`, `?`, `[...]`, `**`)."""

from __future__ import annotations

import os
from collections.abc import Iterator

from algo_core.errors import AlgoError, NotFoundError
from algo_core.storage import Entry, Kind, Storage
from algo_core.uri import DataUri
from algo_data.local import local_path
from algo_data.patterns import ANY_DEPTH, is_magic, name_pattern
from algo_data.tree import below

HELD = 1000
"""Matches that wait for one whose very name is the pattern: what a page of a listing holds."""


def has_magic(uri: DataUri) -> bool:
    """Whether a path holds a wildcard."""
    return is_magic(uri.path)


def spans_directories(uri: DataUri) -> bool:
    """Whether what a path matches can be in several directories, so that names can be the same."""
    return is_magic(uri.path.rstrip("/").rpartition("/")[0])


def expand(storage: Storage, uri: DataUri) -> Iterator[Entry]:
    """The entries that a path with wildcards means, while the listing arrives.

    A wildcard stands for one component or a part of it, and does not match a dot at the beginning of a name. The
    component `**` stands for any number of directories, and at the end for all files below.

    A file whose very name is the pattern is that file, and nothing else is meant. On this machine, and for brackets,
    which are common in names, it is looked up. Elsewhere the listing tells that is read anyway; only if more matches
    than a page holds it is asked for, before any of them is given.

    Raises:
        NotFoundError: when nothing matches.
        UsageError: for a pattern that cannot be read.
    """
    is_looked_up = uri.is_local or "[" in uri.path
    if is_looked_up and (literal := _literal(storage, uri)):
        yield literal
        return
    found = False
    matching = _matching(storage, uri)
    if not (is_looked_up or spans_directories(uri) or uri.name == ANY_DEPTH):
        matching = _only_literal(storage, uri, matching)
    for entry in matching:
        found = True
        yield entry
    if not found:
        raise NotFoundError(f"Nothing matches {uri}")


def _matching(storage: Storage, uri: DataUri) -> Iterator[Entry]:
    head, _, pattern = uri.path.rstrip("/").rpartition("/")
    if not head and uri.path.startswith("/"):
        head = "/"
    above = DataUri(uri.scheme, head, uri.label)
    only_directories = uri.path.endswith("/")
    if pattern == ANY_DEPTH:
        for parent in _directories(storage, above):
            for _, entry in _below(storage, parent):
                if entry.is_directory == only_directories:
                    yield entry
        return
    matches = name_pattern(pattern).match
    for parent in _directories(storage, above.parent if above.name == ANY_DEPTH else above):
        if above.name == ANY_DEPTH:
            entries: Iterator[Entry] = (entry for _, entry in _below(storage, parent))
        elif not is_magic(pattern):
            entries = iter([found] if (found := storage.exists(parent.child(pattern))) else [])
        else:
            entries = storage.list(parent)
        for entry in entries:
            hidden = entry.name.startswith(".") and not pattern.startswith(".")
            if matches(entry.name) and not hidden and (entry.is_directory or not only_directories):
                yield entry


def _directories(storage: Storage, uri: DataUri) -> Iterator[DataUri]:
    if not has_magic(uri):
        yield uri
        return
    if uri.name == ANY_DEPTH:
        for top in _directories(storage, uri.parent):
            yield top
            for _, entry in _below(storage, top):
                if entry.is_directory:
                    yield entry.uri
        return
    for entry in _matching(storage, uri):
        if entry.is_directory:
            yield entry.uri


def _below(storage: Storage, uri: DataUri) -> Iterator[tuple[str, Entry]]:
    """Everything below a directory that is not hidden, as a shell understands `**`."""
    found = below(
        storage,
        Entry(uri, Kind.DIRECTORY),
        enters=lambda relative, entry: not entry.name.startswith("."),
        is_sorted=True,
    )
    return (pair for pair in found if not pair[1].name.startswith("."))


def _only_literal(storage: Storage, uri: DataUri, matching: Iterator[Entry]) -> Iterator[Entry]:
    """The one that has the pattern as its name, or all if none has."""
    held: list[Entry] = []
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
    yield from held
    yield from matching


def _literal(storage: Storage, uri: DataUri) -> Entry | None:
    """What has the pattern as its name, a link to nowhere too; what cannot be looked up is looked for in listings."""
    try:
        if found := storage.exists(uri):
            return found
    except AlgoError:
        pass
    return Entry(uri, Kind.FILE) if uri.is_local and os.path.lexists(local_path(uri)) else None
