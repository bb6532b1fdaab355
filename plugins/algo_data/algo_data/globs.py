"""Wildcards, with one meaning on both sides: that of a shell (`*`, `?`, `[...]`)."""

from __future__ import annotations

import fnmatch
import re
from collections.abc import Iterator

from algo_core.errors import AlgoError, NotFoundError, UsageError
from algo_core.storage import Entry, Storage
from algo_core.uri import DataUri

_MAGIC = re.compile(r"[*?\[]")


def has_magic(uri: DataUri) -> bool:
    """Whether a path holds a wildcard."""
    return _MAGIC.search(uri.path) is not None


def expand(storage: Storage, uri: DataUri) -> Iterator[Entry]:
    """The entries that a path with wildcards means, while the listing arrives.

    A wildcard stands for one component or a part of it, and does not match a dot at the beginning of a name. A file
    whose very name is the pattern is that file, and nothing else is meant: brackets are common in names.

    Raises:
        NotFoundError: when nothing matches.
        UsageError: for `**`.
    """
    if "**" in uri.path:
        raise UsageError(f"'**' is not understood: {uri}", "Write one * for each level")
    if "[" in uri.path and (literal := _exists(storage, uri)):
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
    directory = DataUri(uri.scheme, head, uri.label)
    only_directories = uri.path.endswith("/")
    for parent in _directories(storage, directory):
        if not _MAGIC.search(pattern):
            if entry := _exists(storage, parent.child(pattern)):
                yield entry
            continue
        matches = re.compile(fnmatch.translate(pattern)).match
        for entry in storage.list(parent):
            hidden = entry.name.startswith(".") and not pattern.startswith(".")
            if matches(entry.name) and not hidden and (entry.is_directory or not only_directories):
                yield entry


def _directories(storage: Storage, uri: DataUri) -> Iterator[DataUri]:
    if not has_magic(uri):
        yield uri
        return
    for entry in _matching(storage, uri):
        if entry.is_directory:
            yield entry.uri


def _exists(storage: Storage, uri: DataUri) -> Entry | None:
    try:
        return storage.exists(uri)
    except AlgoError:
        return None
