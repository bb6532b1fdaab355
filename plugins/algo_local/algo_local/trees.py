"""The platform's directory trees: use by running processes, sizes, removal, and modes."""

from __future__ import annotations

import contextlib
import os
import shutil
import stat
import time
from collections.abc import Iterable, Iterator
from pathlib import Path

from algo_core.locks import acquire

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


@contextlib.contextmanager
def in_use(*trees: Path) -> Iterator[list[int]]:
    """Keep trees from being taken away by `unused` in any process. OSError if one does not exist.

    Gives the descriptors that do so: wherever copies of them are open, the trees stay in use.
    """
    descriptors: list[int] = []
    with contextlib.ExitStack() as held:
        for tree in trees:
            descriptor = os.open(tree, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
            held.callback(os.close, descriptor)
            descriptors.append(descriptor)
            acquire(descriptor, wait=True, shared=True)
            # Taken away between the two: its name now belongs to nothing, or to another.
            if not os.path.samestat(os.fstat(descriptor), os.stat(tree)):
                raise FileNotFoundError(f"{tree} was removed")
        yield descriptors


@contextlib.contextmanager
def unused(tree: Path) -> Iterator[bool]:
    """Whether nobody has a tree or file locked, nor locks it meanwhile; False where the file system knows no locks."""
    try:
        descriptor = os.open(tree, os.O_RDONLY | os.O_NONBLOCK | os.O_NOFOLLOW | os.O_CLOEXEC)
    except OSError:
        yield False
        return
    try:
        yield bool(acquire(descriptor))
    finally:
        os.close(descriptor)


Links = dict[tuple[int, int], int]
"""The names that were counted of files with several, by device and inode."""


def disk_use(paths: Iterable[Path], *, only_freed: bool = False, links: Links | None = None) -> int:
    """The bytes that files and trees take on the disk, each file once, however many names it has.

    `only_freed` leaves out files that have other names elsewhere: what their removal would free. `links` carries the
    names that were counted over to the next call. What vanishes meanwhile, or cannot be read, is not counted.
    """
    links = {} if links is None else links
    total = 0
    for status in _statuses(paths):
        size = status.st_blocks * 512
        if status.st_nlink > 1 and not stat.S_ISDIR(status.st_mode):
            file = (status.st_dev, status.st_ino)
            links[file] = links.get(file, 0) + 1
            if links[file] != (status.st_nlink if only_freed else 1):
                continue
        total += size
    return total


def _statuses(paths: Iterable[Path]) -> Iterator[os.stat_result]:
    pending = [str(path) for path in paths]
    while pending:
        path = pending.pop()
        with contextlib.suppress(OSError):
            status = os.lstat(path)
            yield status
            if stat.S_ISDIR(status.st_mode):
                pending += [os.path.join(path, name) for name in os.listdir(path)]
