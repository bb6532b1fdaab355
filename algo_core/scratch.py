"""Temporary directories that do not outlive a killed process: the next one that makes such a directory removes them."""

from __future__ import annotations

import os
import shutil
import stat
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager

from algo_core.locks import acquire

PREFIX = "algo-scratch-"
KEPT_SECONDS = 3600.0
"""The age from which an abandoned directory is removed: tools that its process started may outlive it."""


@contextmanager
def scratch_directory() -> Iterator[str]:
    """A new directory among the temporary files, which is removed when the block ends; its path.

    It is locked meanwhile. Directories of this kind that are an hour old, belong to this user and are not locked were
    left by processes that were killed: they are removed first.

    Raises:
        OSError: if no directory can be made.
    """
    _remove_abandoned()
    with tempfile.TemporaryDirectory(prefix=PREFIX) as path, _locked(path):
        yield path


@contextmanager
def _locked(path: str) -> Iterator[None]:
    try:
        descriptor = _opened(path)
    except OSError:  # a system on which directories cannot be opened: there nobody removes others' either
        yield
        return
    try:
        acquire(descriptor)
        yield
    finally:
        os.close(descriptor)


def _remove_abandoned() -> None:
    """Remove the directories of processes that were killed; what cannot be removed stays."""
    place = tempfile.gettempdir()
    try:
        names = [name for name in os.listdir(place) if name.startswith(PREFIX)]
    except OSError:  # temporary files can be made where they cannot be listed
        return
    for name in names:
        path = os.path.join(place, name)
        try:
            descriptor = _opened(path)
        except OSError:  # a link, a file, somebody else's, or already removed
            continue
        try:
            if _is_own_and_old(os.fstat(descriptor)) and acquire(descriptor):
                shutil.rmtree(path, ignore_errors=True)
        finally:
            os.close(descriptor)


def _is_own_and_old(status: os.stat_result) -> bool:
    is_old = time.time() - status.st_mtime > KEPT_SECONDS
    return is_old and stat.S_ISDIR(status.st_mode) and status.st_uid == os.getuid()


def _opened(path: str) -> int:
    return os.open(path, os.O_RDONLY | _DIRECTORY_ITSELF)


_FLAGS = ("O_DIRECTORY", "O_NOFOLLOW", "O_CLOEXEC", "O_NONBLOCK")
_DIRECTORY_ITSELF = sum(getattr(os, name, 0) for name in _FLAGS)
