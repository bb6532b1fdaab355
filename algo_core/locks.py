"""Locks between processes: exclusive access, and detection of files left by ended processes.

A lock belongs to an open file and ends with it, however the process ends. It holds against other processes and against
other openings of the file in the same one. Where the system or the file system knows no locks nobody waits.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from pathlib import Path

try:
    import fcntl
except ImportError:  # a system without advisory locks
    fcntl = None  # type: ignore[assignment]


class Opened(Protocol):
    """An open file."""

    def fileno(self) -> int:
        """Its descriptor."""


def acquire(file: int | Opened, *, wait: bool = False, shared: bool = False) -> bool | None:
    """Lock an open file; False if it is locked elsewhere, None where there are no locks. `wait` waits for the lock.

    A `shared` lock excludes only exclusive ones.
    """
    if fcntl is None:
        return None
    try:
        kind = fcntl.LOCK_SH if shared else fcntl.LOCK_EX
        fcntl.flock(file, kind if wait else kind | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    except OSError:
        return None
    return True


def is_held(path: Path | str) -> bool:
    """Whether the lock of a file is held; True if that cannot be seen, False without such a file."""
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    except FileNotFoundError:
        return False
    except OSError:
        return True
    try:
        return not acquire(descriptor)
    finally:
        os.close(descriptor)


@contextmanager
def locked(path: Path | str, *, waiting: Callable[[], None] | None = None, shared: bool = False) -> Iterator[int]:
    """Hold the lock of a file, which is made if it is missing; others wait meanwhile. Yields its descriptor.

    `waiting` is called before this waits for another holder. A `shared` lock can be held by many at once.

    Raises:
        OSError: if the file cannot be made.
    """
    with _opened(path) as descriptor:
        if acquire(descriptor, shared=shared) is False:
            if waiting:
                waiting()
            acquire(descriptor, wait=True, shared=shared)
        yield descriptor


@contextmanager
def locked_if_free(path: Path | str) -> Iterator[bool]:
    """Like `locked`, without waiting: yields False if another process holds the lock.

    Raises:
        OSError: if the file cannot be made.
    """
    with _opened(path) as descriptor:
        yield acquire(descriptor) is not False


@contextmanager
def _opened(path: Path | str) -> Iterator[int]:
    descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        yield descriptor
    finally:
        os.close(descriptor)
