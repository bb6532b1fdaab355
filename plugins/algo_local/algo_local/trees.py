"""Directory trees of the platform's own: locked, and removed whatever is in them."""

from __future__ import annotations

import contextlib
import fcntl
import os
import shutil
from collections.abc import Iterator
from pathlib import Path


@contextlib.contextmanager
def locked(path: Path) -> Iterator[None]:
    """Hold the lock that this file stands for; other threads and processes wait meanwhile."""
    with path.open("w") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield


def remove_tree(path: Path) -> None:
    """Remove a directory with all that is in it, read-only directories included; links are not followed.

    A directory that does not exist is no failure. OSError if something cannot be removed.
    """
    with contextlib.suppress(FileNotFoundError):
        try:
            shutil.rmtree(path)
        except PermissionError:
            make_writable(path)
            shutil.rmtree(path)


def make_writable(path: Path) -> None:
    """Let the owner change what is in a directory and in those below it."""
    os.chmod(path, 0o700)
    for parent, names, _ in os.walk(path):
        for name in names:
            directory = os.path.join(parent, name)
            if not os.path.islink(directory):
                os.chmod(directory, 0o700)
