"""Heartbeats, by which the parent process finds children that hang.

The parent counts unanswered beats, not seconds, and sends a beat only when it runs itself. Time in which the parent
does not run either (a suspended machine, Ctrl-Z in the terminal, heavy load) therefore makes no child look hung.
"""

from __future__ import annotations

import os
import time
from collections.abc import Mapping

from algo_local.execution.limits import seconds_of

VARIABLE = "ALGO_LOCAL_HANG_SECONDS"
DEFAULT_SECONDS = 30.0
BEATS = 10
"""Beats in a row without an answer after which a process hangs."""

DOUBTED = 4
"""Missed beats after which front ends no longer wait for the engine."""


def hang_seconds(environ: Mapping[str, str] = os.environ) -> float:
    """Seconds without an answer after which a process is killed and restarted; 0 for never.

    Raises:
        ConfigError: if the variable is no number of seconds.
    """
    return seconds_of(environ, VARIABLE, DEFAULT_SECONDS)


class Heartbeat:
    """The schedule of beats."""

    def __init__(self, seconds: float) -> None:
        """`seconds` as by `hang_seconds`."""
        self.seconds = seconds
        self._due = time.monotonic() + self._pause if seconds else None

    @property
    def _pause(self) -> float:
        return self.seconds / BEATS

    def beats_in(self, seconds: float) -> int:
        """The number of beats in `seconds`."""
        return int(seconds / self._pause)

    def next_due(self) -> list[float]:
        """The time of the next beat on the monotonic clock; empty if beats are off."""
        return [] if self._due is None else [self._due]

    def is_due(self) -> bool:
        """Whether a beat is due now; if so, schedules the next one."""
        now = time.monotonic()
        if self._due is None or now < self._due:
            return False
        self._due = now + self._pause
        return True
