"""Partial files (`algo_data.local.partial_file`) of other processes: in use, or left behind.

A locked one belongs to a running process; any other was left behind by a killed one.
"""

from __future__ import annotations

import os
import stat
from collections.abc import Iterator
from contextlib import contextmanager

from algo_core.files import status_of
from algo_core.locks import acquire
from algo_core.names import portable
from algo_core.storage.uri import DataUri
from algo_data.local.partial_file import RANDOM_BYTES, SUFFIX
from algo_data.local.paths import local_path, system_errors
from algo_data.local.walk import files_below


def is_leftover(uri: DataUri) -> bool:
    """Whether it is a partial file, by its name."""
    return uri.is_local and _is_name(uri.name)


def _is_name(name: str) -> bool:
    if not name.startswith("."):
        return False
    hidden, suffix, further = name[1:].rpartition(SUFFIX)
    is_further = not further or (len(further) == 2 * RANDOM_BYTES and not further.strip("0123456789abcdef"))
    return bool(hidden and suffix and is_further)


def is_in_use(uri: DataUri) -> bool:
    """Whether a process is writing it."""
    with _locked(local_path(uri)) as is_ours:
        return not is_ours


def in_use_below(uri: DataUri) -> str | None:
    """The path of a partial file below a directory that a process is writing; links are not followed.

    Raises:
        AlgoError: if a directory cannot be listed.
    """
    top = local_path(uri).rstrip("/")
    with system_errors(uri):
        status = status_of(top, follow_symlinks=False)
        if status is None or not stat.S_ISDIR(status.st_mode):
            return None
        for path in files_below(top):
            if not _is_name(os.path.basename(path)):
                continue
            with _locked(path) as is_ours:
                if not is_ours and status_of(path, follow_symlinks=False):
                    return portable(path)
    return None


def remove_leftover(uri: DataUri) -> bool:
    """Remove a partial file; False if a process is writing it, or it no longer exists.

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
    """Lock it against being taken over; False if it is locked, or cannot be locked."""
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
    except OSError:
        yield False
        return
    try:
        if not acquire(descriptor):
            yield False
            return
        status = status_of(path, follow_symlinks=False)
        yield status is not None and os.path.samestat(os.fstat(descriptor), status)
    finally:
        os.close(descriptor)
