"""Partial files (`algo_data.local.partial_file`) seen from outside: which are in use, and which were left behind.

One that is locked belongs to a process that is running; any other was left behind by one that was killed.
"""

from __future__ import annotations

import fcntl
import os
from collections.abc import Iterator
from contextlib import contextmanager

from algo_core.storage.uri import DataUri
from algo_data.local.partial_file import SPARE, SUFFIX
from algo_data.local.storage import local_path, system_errors


def is_unfinished(uri: DataUri) -> bool:
    """Whether it is such a file, by its name."""
    return uri.is_local and _is_name(uri.name)


def _is_name(name: str) -> bool:
    if not name.startswith("."):
        return False
    hidden, suffix, further = name[1:].rpartition(SUFFIX)
    is_further = not further or (len(further) == 2 * SPARE and not further.strip("0123456789abcdef"))
    return bool(hidden and suffix and is_further)


def is_in_use(uri: DataUri) -> bool:
    """Whether a process is writing it."""
    with _locked(local_path(uri)) as is_ours:
        return not is_ours


def in_use_below(uri: DataUri) -> str | None:
    """The path of one in a directory, on whatever level, that a process is writing; a link leads to none."""
    top = local_path(uri).rstrip("/")
    if os.path.islink(top):
        return None
    for above, _, names in os.walk(top):
        for name in filter(_is_name, names):
            path = os.path.join(above, name)
            with _locked(path) as is_ours:
                if not is_ours and os.path.lexists(path):
                    return path
    return None


def remove_abandoned(uri: DataUri) -> bool:
    """Remove one that no process is writing; False if one is, or it has gone already.

    Raises:
        AlgoError: if it cannot be removed.
    """
    path = local_path(uri)
    with system_errors(uri), _locked(path) as is_ours:
        if is_ours:
            os.unlink(path)
        return is_ours


@contextmanager
def _locked(path: str) -> Iterator[bool]:
    """Keep it from being taken over meanwhile; False if it is locked, or cannot be."""
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
    except OSError:
        yield False
        return
    try:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            yield False
            return
        yield os.path.lexists(path) and os.path.samestat(os.fstat(descriptor), os.lstat(path))
    finally:
        os.close(descriptor)
