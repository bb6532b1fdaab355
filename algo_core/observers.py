"""Delivers events to observers in a thread: they can neither fail nor delay the command.

Events are put into a queue of limited length, which a thread empties. What does not fit is dropped, with one warning;
so is what observers have not taken when the command ends.
"""

from __future__ import annotations

import sys
import threading
import time
from collections import deque
from collections.abc import Callable
from typing import Any, TextIO, cast

from algo_core.events import Event

MOST_WAITING = 100_000
"""Events that wait to be told: about 20 MB."""

INTERVAL = 0.05
"""Seconds between two looks at the queue."""

IN_A_ROW = 100
"""Events that are told before other threads may run: the interpreter alone would let them wait for 5 milliseconds."""

LAST_SECONDS = 5.0
"""Seconds that observers have at the end of a command for what still waits."""


class Observers(threading.Thread):
    """The thread that tells observers. `tell` calls them with an event, `warn` shows a warning.

    While `fork_lock` is held no observer runs: a process may be forked then, in which the thread does not exist.
    Standard output is the command's: what observers print goes to standard error.
    """

    def __init__(self, tell: Callable[[Event], Any], warn: Callable[[str], None]) -> None:
        super().__init__(name="observers", daemon=True)
        self.fork_lock = threading.Lock()
        self._tell = tell
        self._warn = warn
        self._events: deque[Event] = deque()
        self._dropped = 0
        self._ends = threading.Event()
        self._stdout = _ByThread(self, sys.stdout)
        sys.stdout = cast("TextIO", self._stdout)
        self.start()

    def put(self, event: Event) -> None:
        """Queue an event."""
        if len(self._events) < MOST_WAITING:
            self._events.append(event)
        else:
            self._dropped += 1

    def run(self) -> None:
        """Empty the queue until the command ends."""
        while not self._ends.wait(INTERVAL):
            self._empty()
        self._empty()

    def _empty(self) -> None:
        events, tell = self._events, self._tell
        with self.fork_lock:
            while events:
                for _ in range(IN_A_ROW):
                    try:
                        event = events.popleft()
                    except IndexError:  # all were told, or `close` waits no longer
                        return
                    tell(event)
                time.sleep(0)

    def close(self) -> None:
        """Deliver the queued events, for a limited time."""
        self._ends.set()
        self.join(LAST_SECONDS)
        if sys.stdout is self._stdout and not self.is_alive():
            sys.stdout = self._stdout.shared
        lost = self._dropped + len(self._events)
        if lost or self.is_alive():
            self._events.clear()
            self._warn(f"observers were too slow: {lost:,} events were dropped" if lost else "an observer did not end")


class _ByThread:
    """Standard output for all threads but the observers', which write to standard error instead."""

    def __init__(self, thread: threading.Thread, shared: TextIO) -> None:
        self._thread = thread
        self.shared = shared

    def __getattr__(self, name: str) -> Any:
        return getattr(sys.stderr if threading.current_thread() is self._thread else self.shared, name)
