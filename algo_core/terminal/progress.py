"""A progress line on stderr, where that is a terminal: for `Output.progress`, and for lines of other content."""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager
from typing import Any, Literal, NamedTuple, Protocol

from algo_core.terminal.options import human
from algo_core.terminal.tables import width_of

INTERVAL = 0.1
"""Seconds between two updates."""

REFRESH = 0.5
"""Seconds after which it is redrawn without progress, to update rate and remaining time."""

PATIENCE = 0.4
"""Seconds before the first update, so that what is done at once does not flicker."""

MIN_NAME = 8
NAME_RANK = 3.5
"""The rank of the name: below the number of files, rate and time, above the number of bytes."""

_ERASE = "\r\x1b[K"
_ERASE_ROWS = "\r\x1b[J"
"""For a line that was wrapped because the window became narrower: the cursor is in its first row."""


class Stream(Protocol):
    """A terminal to draw on: an `algo_core.terminal.output.Outlet`."""

    before_write: Callable[[str], None] | None

    def draw(self, text: str) -> object:
        """Write text that holds control sequences of ours, and is harmless otherwise."""

    def flush(self) -> None:
        """Flush the buffer."""


class Fact(NamedTuple):
    """A part of the progress line; a lower rank is more important when space is short."""

    rank: float
    text: str


class _Redrawing(threading.Thread):
    """The thread that redraws a line; while `fork_lock` is held it does nothing, and a process may be forked."""

    fork_lock: AbstractContextManager[Any]


class DrawnLine:
    """A line that is drawn, redrawn and erased; a subclass says with `content` what is on it.

    With `refresh`, a thread redraws it at this interval in seconds, from the first call of `keep_fresh` on. Callers
    that draw, or erase it in order to write, hold its `lock`.
    """

    def __init__(
        self,
        stream: Stream,
        columns: Callable[[], int],
        clock: Callable[[], float] = time.monotonic,
        refresh: float | None = None,
    ) -> None:
        self.lock: AbstractContextManager[Any] = threading.RLock()
        self.clock = clock
        self.started = clock()
        self._refresh = refresh
        self._over = threading.Event()
        self._stream = stream
        self._width = 0  # of the terminal, when it was drawn
        self._columns = columns
        self._drawn_at: float | None = None
        self._is_visible = False
        self.is_held = False
        """True while the cursor stands behind a question: the thread must not draw there."""

    def content(self, now: float) -> tuple[str, list[Fact]] | None:
        """The name and the facts to draw at a time of the clock; None draws nothing."""
        raise NotImplementedError

    @property
    def is_active(self) -> bool:
        """Whether there is anything to redraw."""
        return True

    def draw(self) -> None:
        """Draw, if it is time to."""
        self.is_held = False
        now = self.clock()
        if now - self.started < PATIENCE or (self._drawn_at is not None and now - self._drawn_at < INTERVAL):
            return
        if (content := self.content(now)) is None:
            return
        self._drawn_at = now
        columns = self._columns()
        # The cursor goes back to the beginning: a terminal that breaks the line when it gets narrower keeps it there.
        self._write(self._erase(columns) + fitted(*content, columns - 1) + "\r")
        self._is_visible = True

    def _erase(self, columns: int) -> str:
        has_shrunk, self._width = columns < self._width, columns
        return _ERASE_ROWS if has_shrunk else _ERASE

    def keep_fresh(self) -> None:
        """Have a thread redraw it from now on, if that was asked for."""
        if self._refresh is None:
            return
        refresh, self._refresh = self._refresh, None

        def redraw() -> None:
            while not self._over.wait(refresh):
                with self.lock:
                    if self.is_active and not self.is_held and not self._over.is_set():
                        self.draw()

        thread = _Redrawing(target=redraw, name="algo-progress", daemon=True)
        thread.fork_lock = self.lock
        thread.start()

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
            self._stream.draw(text)
            self._stream.flush()
        except (OSError, ValueError):
            pass  # the terminal is closed; the work continues


class Progress:
    """The progress of a piece of work (`Output.progress`): a line on stderr, or nothing where there is no terminal.

    `done` is how much is done so far. Several threads may report to it.
    """

    def __init__(self, line: _Work | None) -> None:
        self._line = line
        self.done = 0

    def advance(self, by: int = 1, name: str = "") -> None:
        """Add a number of steps, or bytes, to what is done; `name`, if given, replaces the label from now on."""
        if self._line is None:
            self.done += by
            return
        with self._line.lock:
            self.done += by
            self._line.done = self.done
            self._line.name = name or self._line.name
            self._line.draw()


class _Work(DrawnLine):
    """The line of `Output.progress`."""

    def __init__(self, stream: Stream, label: str, total: int | None, unit: str) -> None:
        super().__init__(stream, terminal_columns, refresh=REFRESH)
        self.name, self.done = label, 0
        self._total, self._unit = None if total is not None and total < 0 else total, unit

    def content(self, now: float) -> tuple[str, list[Fact]]:
        """The name, and the amount in bytes or steps."""
        from algo_core.terminal.sanitize import on_one_line

        seconds = now - self.started
        if self._unit == "bytes":
            return on_one_line(self.name), amount(self.done, self._total, seconds)
        if not self._total:
            return on_one_line(self.name), [Fact(2, str(self.done))] if self.done else []
        facts = [Fact(0, f"{min(100, self.done * 100 // self._total):3d}%"), Fact(2, f"{self.done} of {self._total}")]
        if 0 < self.done < self._total:
            facts.append(Fact(1, f"{_clock_time((self._total - self.done) * seconds / self.done)} left"))
        return on_one_line(self.name), facts


@contextmanager
def shown(
    stream: Stream, others: Sequence[Stream], label: str, total: int | None, unit: Literal["steps", "bytes"]
) -> Iterator[Progress]:
    """A line on `stream`, which makes room while anything is written to the `others` on the same terminal."""
    line = _Work(stream, label, total, unit)
    with making_room(line, others):
        line.keep_fresh()
        yield Progress(line)


@contextmanager
def making_room(line: DrawnLine, others: Sequence[Stream]) -> Iterator[None]:
    """Erase a line before anything is written to the `others`, on the same terminal, and at the end."""

    def make_room(text: str) -> None:
        with line.lock:
            line.is_held = not text.endswith("\n")
            line.end()

    for other in others:
        other.before_write = make_room
    try:
        yield
    finally:
        for other in others:
            other.before_write = None
        line.close()


def fitted(name: str, facts: Sequence[Fact], columns: int) -> str:
    """The name and the parts that fit, dropping the least important first; the name is shortened in the middle."""
    kept = sorted([*facts, Fact(NAME_RANK, "")] if name else facts)
    while True:
        has_name = any(fact.rank == NAME_RANK for fact in kept)
        text = "  ".join(fact.text for fact in facts if fact in kept)
        room = columns - len(text) - 2 * bool(text) if has_name else 0
        if has_name and (room >= MIN_NAME or len(kept) == 1 or width_of(name) <= room):
            return _cut(name, room) + ("  " + text if text else "")
        if not has_name and len(text) <= columns:
            return text
        kept.pop()


def _cut(name: str, columns: int) -> str:
    if width_of(name) <= columns:
        return name
    if columns < 3:
        return ""
    head, tail = "", ""
    while True:
        for_tail = width_of(tail) < width_of(head)
        grown = width_of(head) + width_of(tail) + 1
        taken = name[-len(tail) - 1] if for_tail else name[len(head)]
        if grown + width_of(taken) > columns:
            return f"{head}…{tail}"
        head, tail = (head, taken + tail) if for_tail else (head + taken, tail)


def amount(position: int, size: int | None, seconds: float) -> list[Fact]:
    """Share, bytes, rate and remaining time of what takes `seconds` so far."""
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


def terminal_columns() -> int:
    """The width of the terminal that stderr is."""
    try:
        return os.get_terminal_size(2).columns or 80
    except OSError:
        return 80
