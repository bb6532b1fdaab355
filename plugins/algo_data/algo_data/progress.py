"""A line on the terminal that shows how far a copy is; nothing anywhere else."""

from __future__ import annotations

import os
import time
import unicodedata
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Protocol, TextIO

from algo_core.context import App
from algo_core.output import shown

INTERVAL = 0.1
"""Seconds between two drawings: often enough for the eye, too seldom to cost anything."""

PATIENCE = 0.4
"""Seconds before the first: what is done at once need not flicker."""

MIN_NAME = 8
_ERASE = "\r\x1b[K"


class Progress(Protocol):
    """What the report of a copy tells; files under way at the same time are told apart by any `key`."""

    def planned(self, size: int | None) -> None:
        """One more file is to come, of this size if it is known."""

    def all_planned(self) -> None:
        """No more will come."""

    def begin(self, key: object, name: str) -> None:
        """A file begins."""

    def advance(self, key: object, position: int, size: int | None) -> None:
        """Bytes of it that have been read, and its size if it is known."""

    def done(self, key: object) -> None:
        """It is done, or has failed."""

    def passed(self, count: int, size: int) -> None:
        """So many files, of so many bytes together, have begun and are done."""

    def end(self) -> None:
        """The line goes away, so that others can be written."""


class Silent:
    """No display."""

    def planned(self, size: int | None) -> None:
        """Nothing."""

    def all_planned(self) -> None:
        """Nothing."""

    def begin(self, key: object, name: str) -> None:
        """Nothing."""

    def advance(self, key: object, position: int, size: int | None) -> None:
        """Nothing."""

    def done(self, key: object) -> None:
        """Nothing."""

    def passed(self, count: int, size: int) -> None:
        """Nothing."""

    def end(self) -> None:
        """Nothing."""


class _File:
    """A file under way."""

    def __init__(self, name: str, began: float) -> None:
        self.name = name
        self.began = began
        self.position = 0
        self.size: int | None = None


class Line:
    """One line, drawn over itself: name or number of files, share, bytes, rate, time left."""

    def __init__(self, stream: TextIO, columns: Callable[[], int], clock: Callable[[], float] = time.monotonic) -> None:
        self._stream = stream
        self._columns = columns
        self._clock = clock
        self._started = clock()
        self._drawn_at: float | None = None
        self._is_visible = False
        self._running: dict[object, _File] = {}
        self._begun = self._done = 0
        self._bytes = 0  # of files that are done
        self._to_come = 0
        self._size_to_come: int | None = 0
        self._is_all_planned = False

    def planned(self, size: int | None) -> None:
        """Count it."""
        self._to_come += 1
        if size is None or self._size_to_come is None:
            self._size_to_come = None
        else:
            self._size_to_come += size

    def all_planned(self) -> None:
        """From now on it is known how much there is in all."""
        self._is_all_planned = True

    def begin(self, key: object, name: str) -> None:
        """Start counting for a file."""
        self._begun += 1
        self._running[key] = _File(shown(name), self._clock())

    def advance(self, key: object, position: int, size: int | None) -> None:
        """Draw, if it is time to."""
        file = self._running[key]
        file.position, file.size = position, size
        self._draw(file)

    def _draw(self, file: _File | None = None) -> None:
        now = self._clock()
        if now - self._started < PATIENCE or (self._drawn_at is not None and now - self._drawn_at < INTERVAL):
            return
        self._drawn_at = now
        name, facts = self._one(file, now) if file and max(self._begun, self._to_come) == 1 else self._many(now)
        self._write(_ERASE + fitted(name, facts, self._columns() - 1))
        self._is_visible = True

    def _one(self, file: _File, now: float) -> tuple[str, list[str]]:
        return file.name, _facts(file.position, file.size, now - file.began)

    def _many(self, now: float) -> tuple[str, list[str]]:
        """All files together; a file that is under way is named, because that is what a person waits for."""
        moved = self._bytes + sum(file.position for file in self._running.values())
        size = self._size_to_come if self._is_all_planned else None
        facts = _facts(moved, size, now - self._started)
        count = f"{self._done} of {self._to_come}" if self._is_all_planned else f"{self._done}"
        largest = max(self._running.values(), key=lambda file: file.size or 0, default=None)
        return largest.name if largest else "", [f"{count} files", *facts]

    def passed(self, count: int, size: int) -> None:
        """Count them with those that are done, and draw, if it is time to."""
        self._begun += count
        self._done += count
        self._bytes += size
        self._draw()

    def done(self, key: object) -> None:
        """Count it with those that are done."""
        if file := self._running.pop(key, None):
            self._done += 1
            self._bytes += file.position

    def end(self) -> None:
        """Erase the line."""
        if self._is_visible:
            self._write(_ERASE)
            self._is_visible = False

    def _write(self, text: str) -> None:
        try:
            self._stream.write(text)
            self._stream.flush()
        except (OSError, ValueError):
            pass  # the terminal has gone; the copy need not stop for that


@contextmanager
def progress_for(app: App, *, stdout_has_content: bool) -> Iterator[Progress]:
    """The display that fits: a line on a terminal that shows no content, else nothing. Erased whatever happens."""
    is_wanted = app.output.shows_progress and not (stdout_has_content and app.output.is_terminal)
    progress: Progress = Line(app.output.stderr, _terminal_columns) if is_wanted else Silent()
    try:
        yield progress
    finally:
        progress.end()


def fitted(name: str, facts: list[str], columns: int) -> str:
    """A name and as many facts, from the first on, as fit beside it; the name is cut in its middle if it must be."""
    while facts and MIN_NAME + 2 + len("  ".join(facts)) > columns:
        facts = facts[:-1]
    rest = f"  {'  '.join(facts)}" if facts else ""
    return _cut(name, columns - len(rest)) + rest


def _cut(name: str, columns: int) -> str:
    if _width(name) <= columns:
        return name
    if columns < 3:
        return ""
    head, tail = "", ""
    while True:
        for_tail = _width(tail) < _width(head)
        grown = _width(head) + _width(tail) + 1
        taken = name[-len(tail) - 1] if for_tail else name[len(head)]
        if grown + _width(taken) > columns:
            return f"{head}…{tail}"
        head, tail = (head, taken + tail) if for_tail else (head + taken, tail)


def _width(text: str) -> int:
    """Columns that a terminal needs for it."""
    if text.isascii():
        return len(text)
    return sum(
        0 if unicodedata.combining(c) else 2 if unicodedata.east_asian_width(c) in {"W", "F"} else 1 for c in text
    )


def _facts(position: int, size: int | None, seconds: float) -> list[str]:
    rate = position / seconds if seconds > 0 else 0.0
    facts = [human(position)]
    if size:
        facts = [f"{min(100, position * 100 // size):3d}%", f"{human(position)} of {human(size)}"]
    facts.append(f"{human(rate)}/s")
    if size and rate:
        facts.append(f"{_clock_time((size - position) / rate)} left")
    return facts


def human(count: float) -> str:
    """A number of bytes in binary units, in at most 10 characters."""
    for unit in ("B", "KiB", "MiB", "GiB"):
        if count < 1024:
            return f"{count:.0f} {unit}" if unit == "B" else f"{count:.1f} {unit}"
        count /= 1024
    return f"{count:.1f} TiB"


def _clock_time(seconds: float) -> str:
    minutes, rest = divmod(max(0, round(seconds)), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02d}:{rest:02d}" if hours else f"{minutes}:{rest:02d}"


def _terminal_columns() -> int:
    try:
        return os.get_terminal_size(2).columns or 80
    except OSError:
        return 80
