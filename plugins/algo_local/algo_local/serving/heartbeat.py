"""How the parent of a served platform's processes finds those that hang: by beats that they do not answer.

Beats are counted, not seconds: one is sent, or missed, only when the parent itself had its turn. So neither a machine
that was suspended, nor a terminal's Ctrl-Z that stops all processes, nor a load that leaves the parent waiting as well
makes a hang of one that is well.
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
"""Those after which front ends no longer wait for the engine."""


def hang_seconds(environ: Mapping[str, str] = os.environ) -> float:
    """After how long without an answer a process is ended and started again; 0 for never.

    Raises:
        ConfigError: if the variable is no number of seconds.
    """
    return seconds_of(environ, VARIABLE, DEFAULT_SECONDS)


class Heartbeat:
    """When the next beat is due."""

    def __init__(self, seconds: float) -> None:
        """`seconds` as by `hang_seconds`."""
        self.seconds = seconds
        self._due = time.monotonic() + self._pause if seconds else None

    @property
    def _pause(self) -> float:
        return self.seconds / BEATS

    def beats_in(self, seconds: float) -> int:
        """How many beats there are in a time."""
        return int(seconds / self._pause)

    def next_due(self) -> list[float]:
        """The time of the next one on the monotonic clock; none where there are none."""
        return [] if self._due is None else [self._due]

    def is_due(self) -> bool:
        """Whether one is due now; then the next one is a whole pause later."""
        now = time.monotonic()
        if self._due is None or now < self._due:
            return False
        self._due = now + self._pause
        return True
