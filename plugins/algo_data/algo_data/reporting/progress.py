"""A progress line on the terminal."""

from __future__ import annotations

import os
import threading
import time
import unicodedata
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager
from typing import Any, NamedTuple, Protocol

from algo_core.context import App
from algo_core.terminal.output import Markup, Outlet
from algo_data.reporting.sizes import human

INTERVAL = 0.1
"""Seconds between two updates."""

REFRESH = 0.5
"""Seconds after which it is redrawn without progress, to update rate and remaining time."""

PATIENCE = 0.4
"""Seconds before the first update, so that short copies do not flicker."""

MIN_NAME = 8
NAME_RANK = 3.5
"""The rank of the name: below the number of files, rate and time, above the number of bytes."""

_ERASE = Markup("\r\x1b[K")
_ERASE_ROWS = Markup("\r\x1b[J")
"""For a line that was wrapped because the window became narrower: the cursor is in its first row."""


class Fact(NamedTuple):
    """A part of the progress line; a lower rank is more important when space is short."""

    rank: float
    text: str


class Progress(Protocol):
    """The progress display; concurrent files are identified by any `key`.

    Callers that report to it, or erase it in order to write, hold its `lock`: it is also redrawn by a thread.
    """

    lock: AbstractContextManager[Any]

    def planned(self, size: int | None) -> None:
        """Another file is planned, of this size if known."""

    def all_planned(self) -> None:
        """Planning is done."""

    def begin(self, key: object, name: str) -> None:
        """A file begins."""

    def advance(self, key: object, position: int, size: int | None) -> None:
        """The position in a file in bytes, and its size if known."""

    def done(self, key: object) -> None:
        """It is done, or has failed."""

    def passed(self, count: int, size: int) -> None:
        """Several files, with a total of bytes, are done."""

    def end(self) -> None:
        """Erase the line, so that others can be written."""


class Silent:
    """No display."""

    def __init__(self) -> None:
        self.lock: AbstractContextManager[Any] = threading.RLock()

    def planned(self, size: int | None) -> None:  # noqa: D102
        pass

    def all_planned(self) -> None:  # noqa: D102
        pass

    def begin(self, key: object, name: str) -> None:  # noqa: D102
        pass

    def advance(self, key: object, position: int, size: int | None) -> None:  # noqa: D102
        pass

    def done(self, key: object) -> None:  # noqa: D102
        pass

    def passed(self, count: int, size: int) -> None:  # noqa: D102
        pass

    def end(self) -> None:  # noqa: D102
        pass


class _File:
    """A file under way."""

    def __init__(self, name: str, began: float) -> None:
        self.name = name
        self.began = began
        self.position = 0
        self.size: int | None = None


class Line:
    """A progress line: name or number of files, share, bytes, rate, remaining time.

    With `refresh`, a thread redraws it at this interval in seconds, from the first file on: helper processes are forked
    before that, when there must be no other thread.
    """

    def __init__(
        self,
        stream: Outlet,
        columns: Callable[[], int],
        clock: Callable[[], float] = time.monotonic,
        refresh: float | None = None,
    ) -> None:
        self.lock: AbstractContextManager[Any] = threading.RLock()
        self._refresh = refresh
        self._over = threading.Event()
        self._stream = stream
        self._width = 0  # of the terminal, when it was drawn
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
        """The totals are known from now on."""
        self._is_all_planned = True

    def begin(self, key: object, name: str) -> None:
        """Start counting for a file."""
        from algo_core.terminal.sanitize import on_one_line

        self._begun += 1
        self._running[key] = _File(on_one_line(name), self._clock())
        self._keep_fresh()

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
        file = file or next(iter(self._running.values()), None)
        name, facts = self._one(file, now) if file and max(self._begun, self._to_come) == 1 else self._many(now)
        columns = self._columns()
        # The cursor goes back to the beginning: a terminal that breaks the line when it gets narrower keeps it there.
        self._write(self._erase(columns) + fitted(name, facts, columns - 1) + Markup("\r"))
        self._is_visible = True

    def _erase(self, columns: int) -> Markup:
        has_shrunk, self._width = columns < self._width, columns
        return _ERASE_ROWS if has_shrunk else _ERASE

    def _keep_fresh(self) -> None:
        if self._refresh is None:
            return
        refresh, self._refresh = self._refresh, None

        def draw() -> None:
            while not self._over.wait(refresh):
                with self.lock:
                    if self._running and not self._over.is_set():
                        self._draw()

        threading.Thread(target=draw, name="algo-progress", daemon=True).start()

    def _one(self, file: _File, now: float) -> tuple[str, list[Fact]]:
        return file.name, _facts(file.position, file.size, now - file.began)

    def _many(self, now: float) -> tuple[str, list[Fact]]:
        """All files together, with the name of a current file."""
        moved = self._bytes + sum(file.position for file in self._running.values())
        size = self._size_to_come if self._is_all_planned else None
        facts = _facts(moved, size, now - self._started)
        count = f"{self._done} of {self._to_come}" if self._is_all_planned else f"{self._done}"
        largest = max(self._running.values(), key=lambda file: file.size or 0, default=None)
        return largest.name if largest else "", [Fact(2, f"{count} files"), *facts]

    def passed(self, count: int, size: int) -> None:
        """Count them with those that are done, and draw, if it is time to."""
        self._begun += count
        self._done += count
        self._bytes += size
        self._draw()
        self._keep_fresh()

    def done(self, key: object) -> None:
        """Count it with those that are done, and draw, if it is time to and others are to come."""
        if file := self._running.pop(key, None):
            self._done += 1
            self._bytes += file.position
            if self._to_come > self._done:
                self._draw()

    def end(self) -> None:
        """Erase the line until the next event."""
        if self._is_visible:
            self._write(self._erase(self._columns()))
            self._is_visible = False
            self._drawn_at = None

    def close(self) -> None:
        """Erase the line for good."""
        with self.lock:
            self._over.set()
            self.end()

    def _write(self, text: str) -> None:
        try:
            self._stream.write(text)
            self._stream.flush()
        except (OSError, ValueError):
            pass  # the terminal is closed; the copy continues


@contextmanager
def progress_for(app: App, *, stdout_has_content: bool) -> Iterator[Progress]:
    """A progress line on a terminal that does not show the content, else no display. Always erased at the end."""
    is_wanted = app.output.shows_progress and not (stdout_has_content and app.output.is_terminal)
    if not is_wanted:
        yield Silent()
        return
    line = Line(app.output.stderr, _terminal_columns, refresh=REFRESH)
    try:
        yield line
    finally:
        line.close()


def fitted(name: str, facts: Sequence[Fact], columns: int) -> str:
    """The name and the parts that fit, dropping the least important first; the name is shortened in the middle."""
    kept = sorted([*facts, Fact(NAME_RANK, "")] if name else facts)
    while True:
        has_name = any(fact.rank == NAME_RANK for fact in kept)
        text = "  ".join(fact.text for fact in facts if fact in kept)
        room = columns - len(text) - 2 * bool(text) if has_name else 0
        if has_name and (room >= MIN_NAME or len(kept) == 1 or _width(name) <= room):
            return _cut(name, room) + ("  " + text if text else "")
        if not has_name and len(text) <= columns:
            return text
        kept.pop()


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


def _facts(position: int, size: int | None, seconds: float) -> list[Fact]:
    rate = position / seconds if seconds > 0 else 0.0
    facts = [Fact(4, human(position))]
    if size:
        facts = [Fact(0, f"{min(100, position * 100 // size):3d}%"), Fact(4, f"{human(position)} of {human(size)}")]
    facts.append(Fact(3, f"{human(rate)}/s"))
    if size and rate:
        facts.append(Fact(1, f"{_clock_time((size - position) / rate)} left"))
    return facts


def _clock_time(seconds: float) -> str:
    minutes, rest = divmod(max(0, round(seconds)), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02d}:{rest:02d}" if hours else f"{minutes}:{rest:02d}"


def _terminal_columns() -> int:
    try:
        return os.get_terminal_size(2).columns or 80
    except OSError:
        return 80
