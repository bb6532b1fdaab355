"""A bound for the end of a process."""

from __future__ import annotations

import os
import threading

GRACE_SECONDS = 20.0
"""After a signal, the time in which everything has ended; if something hangs, the process ends all the same."""


def end_at_last() -> None:
    """Bound the time that is left, whatever hangs: a disk, a store, a thread that does not notice."""
    last = threading.Timer(GRACE_SECONDS, os._exit, (1,))
    last.daemon = True
    last.start()
