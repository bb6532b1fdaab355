"""Wildcards, with one meaning on both sides: that of a shell (`*`, `?`, `[...]`, `**`)."""

from __future__ import annotations

from collections.abc import Iterator

from algo_core.errors import AlgoError, NotFoundError
from algo_core.storage import Entry, Kind, Storage
from algo_core.uri import DataUri
from algo_data.patterns import ANY_DEPTH, is_magic, name_pattern
from algo_data.tree import below


def has_magic(uri: DataUri) -> bool:
    """Whether a path holds a wildcard."""
    return is_magic(uri.path)


def spans_directories(uri: DataUri) -> bool:
    """Whether what a path matches can be in several directories, so that names can be the same."""
    return is_magic(uri.path.rstrip("/").rpartition("/")[0])


def expand(storage: Storage, uri: DataUri) -> Iterator[Entry]:
    """The entries that a path with wildcards means, while the listing arrives.

    A wildcard stands for one component or a part of it, and does not match a dot at the beginning of a name. The
    component `**` stands for any number of directories, and at the end for all files below. A file whose very name is
    the pattern is that file, and nothing else is meant: brackets are common in names.

    Raises:
        NotFoundError: when nothing matches.
        UsageError: for a pattern that cannot be read.
    """
    if "[" in uri.path and (literal := _literal(storage, uri)):
        yield literal
        return
    found = False
    for entry in _matching(storage, uri):
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


def _literal(storage: Storage, uri: DataUri) -> Entry | None:
    """What has the pattern as its name; what cannot be looked up so is looked for in listings."""
    try:
        return storage.exists(uri)
    except AlgoError:
        return None
