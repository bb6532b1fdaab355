"""Keeps passwords of URLs on the command line out of the list of processes."""

from __future__ import annotations

import contextlib
import ctypes
from pathlib import Path

from algo_local.state import place

_SELF = Path("/proc/self")
_ARGUMENTS_BEGIN = 47
"""Place of the address of the command line in `/proc/self/stat`, counted from 0; see proc(5)."""


def hide(*urls: str | None) -> None:
    """Overwrite URLs that hold passwords in this process's command line, as `ps` shows it, where the system allows
    that.

    Forks inherit the change. Other users may have seen the password before: it belongs into a variable or a file.
    """
    for url in urls:
        if url and (shown := place(url)) != url:
            with contextlib.suppress(OSError, ValueError, IndexError):
                _overwrite(url.encode(), shown.encode())


def _overwrite(text: bytes, by: bytes) -> None:
    line = (_SELF / "cmdline").read_bytes()
    # The name of the program, before the fields, may contain spaces and brackets.
    fields = (_SELF / "stat").read_bytes().rpartition(b")")[2].split()
    begin = int(fields[_ARGUMENTS_BEGIN - 2])
    same_length = by[: len(text)].ljust(len(text))
    found = line.find(text)
    while found >= 0:
        ctypes.memmove(begin + found, same_length, len(text))
        found = line.find(text, found + len(text))
