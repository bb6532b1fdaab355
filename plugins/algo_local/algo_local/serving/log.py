"""The log of the served platform: bounded lines, rate-limited, never blocking."""

from __future__ import annotations

import select
import sys
import threading
import time
from collections.abc import Callable

LINE_CHARACTERS = 2000
"""Longest text that is written at once; of a longer one, both ends."""

BURST = 20
"""Texts that may be written at once."""

BURST_SECONDS = 10.0
"""Seconds until the allowance of messages is restored."""


REPEAT_SECONDS = 60.0
"""Seconds in which a repeated text is not written again."""


class Log:
    """Writes with `say`, unless the rate is too high or it would block; reports the number of omitted messages later.

    May be called from any thread.
    """

    def __init__(self, say: Callable[[str], None], *, clock: Callable[[], float] = time.monotonic) -> None:
        self._say = say
        self._clock = clock
        self._lock = threading.Lock()
        self._allowed = float(BURST)
        self._counted = clock()
        self._left_out = 0
        self._last = ("", 0.0)

    def __call__(self, text: str) -> None:
        """Write a text, or count it as omitted."""
        with self._lock:
            now = self._clock()
            self._allowed = min(BURST, self._allowed + (now - self._counted) * BURST / BURST_SECONDS)
            self._counted = now
            is_repeated = text == self._last[0] and now - self._last[1] < REPEAT_SECONDS
            if is_repeated or self._allowed < 1 or not takes_more():
                self._left_out += 1
                return
            self._allowed -= 1
            self._last = (text, now)
            if self._left_out:
                self._say(f"({self._left_out} messages were left out)")
                self._left_out = 0
            self._say(shortened(text))


def shortened(text: str) -> str:
    """A text, shortened in the middle if longer than `LINE_CHARACTERS`."""
    text = text.rstrip()
    if len(text) <= LINE_CHARACTERS:
        return text
    half = LINE_CHARACTERS // 2
    return f"{text[:half]} ... {text[-half:]}"


def takes_more() -> bool:
    """Whether standard error accepts text without blocking; a full pipe does not."""
    try:
        descriptor = sys.stderr.fileno()
    except (AttributeError, OSError, ValueError):  # not a real file, as in tests
        return True
    ready = select.poll()
    ready.register(descriptor, select.POLLOUT)
    return any(events & select.POLLOUT for _, events in ready.poll(0))
