"""The platform's directory trees: locks, removal, and modes."""

from __future__ import annotations

import contextlib
import os
import shutil
import time
from pathlib import Path

_ABANDONED = 24 * 3600.0
"""Seconds after which an unfinished tree is abandoned."""


def remove_tree(path: Path) -> None:
    """Remove a directory with its content, including read-only directories; links are not followed.

    A missing directory is ignored. OSError if something cannot be removed.
    """
    with contextlib.suppress(FileNotFoundError):
        try:
            shutil.rmtree(path)
        except PermissionError:
            make_writable(path)
            shutil.rmtree(path)


def remove_abandoned(directory: Path, pattern: str) -> None:
    """Remove leftovers of killed processes from a directory: matching trees that are at least a day old."""
    for path in directory.glob(pattern):
        with contextlib.suppress(OSError):
            if time.time() - path.stat().st_mtime > _ABANDONED:
                remove_tree(path)


def make_read_only(path: Path) -> None:
    """Make a directory tree read-only."""
    for parent, _, names in os.walk(path, topdown=False):
        for name in names:
            file = os.path.join(parent, name)
            if not os.path.islink(file):
                os.chmod(file, os.stat(file).st_mode & ~0o222)
        os.chmod(parent, os.stat(parent).st_mode & ~0o222)


def make_writable(path: Path) -> None:
    """Make the directories of a tree writable for the owner."""
    os.chmod(path, 0o700)
    for parent, names, _ in os.walk(path):
        for name in names:
            directory = os.path.join(parent, name)
            if not os.path.islink(directory):
                os.chmod(directory, 0o700)
