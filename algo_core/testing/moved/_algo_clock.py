"""Functions of `time` that follow a file: the sum of its lines, in seconds, is how far time has been moved.

Imports the standard library only: it runs before anything else in the processes of a test.
"""

from __future__ import annotations

import os
import queue  # noqa: F401 - these bind the real clock, which the timeouts of locks need, before it is replaced
import subprocess  # noqa: F401 - as above
import threading
import time

TYPE_CHECKING = False  # typing's own would have to be imported
if TYPE_CHECKING:
    from collections.abc import Callable

FILE_VARIABLE = "MOVED_CLOCK_FILE"
"""The environment variable that names the file."""

SLEPT = "slept "
"""Begins the lines of waits; the others were written by the test."""

REAL_PAUSE = 0.01
"""Seconds that a wait takes at most: what waits for another process must let it run."""


def seconds_of(line: str) -> float:
    """The seconds in a line of the file."""
    return float(line.removeprefix(SLEPT))


class Offset:
    """How far time has been moved, in seconds; the file is read again only when it has grown."""

    def __init__(self, file: str) -> None:
        self._file = file
        self._known = (-1, 0.0)

    def __call__(self) -> float:
        size = os.stat(self._file).st_size
        known, seconds = self._known
        if known != size:
            with open(self._file, encoding="ascii") as file:
                whole = file.read().rpartition("\n")[0]
            seconds = sum(map(seconds_of, whole.splitlines()))
            self._known = (len(whole) + 1 if whole else 0, seconds)
        return seconds


def append(file: str, line: str) -> None:
    """Write a line at the end of the file, whole, whoever else writes."""
    descriptor = os.open(file, os.O_WRONLY | os.O_APPEND)
    try:
        os.write(descriptor, f"{line}\n".encode("ascii"))
    finally:
        os.close(descriptor)


def patch(file: str) -> Callable[[], None]:
    """Replace `time`, `monotonic` and `sleep` in this process; returns a function that undoes it."""
    real = time.time, time.monotonic, time.sleep
    offset = Offset(file)
    lock = threading.Lock()

    def sleep(seconds: float, /) -> None:
        if seconds < 0:
            raise ValueError("sleep length must be non-negative")
        with lock:
            append(file, f"{SLEPT}{seconds!r}")
        real[2](min(seconds, REAL_PAUSE))

    def undo() -> None:
        time.time, time.monotonic, time.sleep = real

    time.time = lambda: real[0]() + offset()
    time.monotonic = lambda: real[1]() + offset()
    time.sleep = sleep  # type: ignore[assignment]  # what has an __index__ is a float's equal
    return undo
