"""Prepares a process for serving, before its first thread starts: imports, descriptors, and one heap."""

from __future__ import annotations

import contextlib
import resource
import sys

WANTED_DESCRIPTORS = 8192
"""The descriptor limit that the process requests."""

_M_ARENA_MAX = -8
"""The parameter's number in glibc's malloc.h."""

_HEAPS = 2
"""The process's first one, and one more: calls take as long as with any number, and 4 % longer with a single one."""


def prepare_process() -> None:
    """Prepare this process, and its forks, to serve many connections for a long time."""
    # Modules are imported when first needed: on a disk that is full by then, Python leaves truncated bytecode behind.
    sys.dont_write_bytecode = True
    _raise_descriptor_limit()
    _share_heaps()


def _raise_descriptor_limit() -> None:
    """Use more descriptors than a login shell grants at first, as far as the system lets this process."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = WANTED_DESCRIPTORS if hard == resource.RLIM_INFINITY else min(WANTED_DESCRIPTORS, hard)
    if soft != resource.RLIM_INFINITY and soft < wanted:
        try:
            resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, hard))
        except (OSError, ValueError):  # some systems have a lower limit that they do not tell
            pass


def _share_heaps() -> None:
    """Have all threads allocate from two heaps, so that one reuses what another has freed.

    glibc gives threads heaps of their own, up to eight for each processor, and what is free in one of them is of no use
    to the threads of another: a server whose threads come and go keeps the peaks of all. One heap is too few: threads
    that work without the interpreter's lock would wait for one another. Without glibc, nothing changes.
    """
    import ctypes

    with contextlib.suppress(AttributeError, OSError):
        ctypes.CDLL(None).mallopt(_M_ARENA_MAX, _HEAPS)
