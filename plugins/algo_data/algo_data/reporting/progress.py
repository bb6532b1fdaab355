"""A progress line on the terminal."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from typing import Any, Protocol

from algo_core.context import App
from algo_core.terminal.output import Outlet
from algo_core.terminal.progress import REFRESH, DrawnLine, Fact, amount, making_room, terminal_columns


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
        """Record the end of a transfer, successful or not."""

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


class Line(DrawnLine):
    """A progress line: name or number of files, share, bytes, rate, remaining time.

    It is redrawn from the first file on: helper processes are forked before that, when there must be no other thread.
    """

    def __init__(
        self,
        stream: Outlet,
        columns: Callable[[], int],
        clock: Callable[[], float] = time.monotonic,
        refresh: float | None = None,
    ) -> None:
        super().__init__(stream, columns, clock, refresh)
        self._running: dict[object, _File] = {}
        self._begun = self._done = 0
        self._bytes = 0  # of files that are done
        self._to_come = 0
        self._size_to_come: int | None = 0
        self._is_all_planned = False
        self._latest: _File | None = None

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
        self._running[key] = _File(on_one_line(name), self.clock())
        self.keep_fresh()

    def advance(self, key: object, position: int, size: int | None) -> None:
        """Draw, if it is time to."""
        file = self._latest = self._running[key]
        file.position, file.size = position, size
        self.draw()

    @property
    def is_active(self) -> bool:
        """While files are under way."""
        return bool(self._running)

    def content(self, now: float) -> tuple[str, list[Fact]] | None:
        """The only file, or all of them together with the name of the largest one under way."""
        file = self._latest or next(iter(self._running.values()), None)
        if file and max(self._begun, self._to_come) == 1:
            return file.name, amount(file.position, file.size, now - file.began)
        return self._many(now)

    def _many(self, now: float) -> tuple[str, list[Fact]]:
        moved = self._bytes + sum(file.position for file in self._running.values())
        size = self._size_to_come if self._is_all_planned else None
        facts = amount(moved, size, now - self.started)
        count = f"{self._done} of {self._to_come}" if self._is_all_planned else f"{self._done}"
        largest = max(self._running.values(), key=lambda file: file.size or 0, default=None)
        return largest.name if largest else "", [Fact(2, f"{count} files"), *facts]

    def passed(self, count: int, size: int) -> None:
        """Count transfers as done, and redraw the line if it is due."""
        self._begun += count
        self._done += count
        self._bytes += size
        self.draw()
        self.keep_fresh()

    def done(self, key: object) -> None:
        """Count a transfer as done, and redraw the line if it is due and more are expected."""
        if file := self._running.pop(key, None):
            self._latest = None
            self._done += 1
            self._bytes += file.position
            if self._to_come > self._done:
                self.draw()


@contextmanager
def progress_for(app: App, *, stdout_has_content: bool) -> Iterator[Progress]:
    """A progress line on a terminal that does not show the content, else no display. Always erased at the end."""
    is_wanted = app.output.shows_progress and not (stdout_has_content and app.output.is_terminal)
    if not is_wanted:
        yield Silent()
        return
    line = Line(app.output.drawing, terminal_columns, refresh=REFRESH)
    with making_room(line, app.output.on_terminal):
        yield line
