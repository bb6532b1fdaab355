"""Names of the process's open descriptors: `/dev/stdout`, `/dev/fd/3`.

They are written to at their current position. Opening them by name would start at the beginning, or replace the file,
and lose earlier output of a script.
"""

from __future__ import annotations

import os
import re

from algo_core.storage.uri import DataUri

STDOUT = 1
_STANDARD = {"/dev/stdin": 0, "/dev/stdout": STDOUT, "/dev/stderr": 2}
_MOST_LINKS = 40


def descriptor_of(path: str) -> int | None:
    """The descriptor that a path names, directly or through links; None for any other path."""
    for _ in range(_MOST_LINKS):
        path = os.path.abspath(path)
        if path in _STANDARD:
            return _STANDARD[path]
        if match := re.fullmatch(rf"/(?:dev|proc/(?:self|thread-self|{os.getpid()}))/fd/([0-9]+)", path):
            return int(match[1])
        try:
            path = os.path.join(os.path.dirname(path), os.readlink(path))
        except OSError:
            return None
    return None


def is_stdout(uri: DataUri) -> bool:
    """Whether a path is another name of standard output."""
    return uri.path.startswith(("/dev/", "/proc/")) and uri.is_local and descriptor_of(uri.path) == STDOUT


def open_directly(path: str) -> int:
    """A descriptor for writing to what is not a regular file, or is open already. Raises OSError."""
    number = descriptor_of(path)
    if number is not None:
        return os.dup(number)
    return os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, 0o666)
