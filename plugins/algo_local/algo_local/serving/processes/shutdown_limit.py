"""Ends a process that has not shut down in time."""

from __future__ import annotations

import os
import threading

GRACE_SECONDS = 20.0
"""Seconds that a shutdown may take."""


def limit_shutdown() -> None:
    """End this process after `GRACE_SECONDS` even if its shutdown hangs, on a disk, an object store or a thread."""
    last = threading.Timer(GRACE_SECONDS, os._exit, (1,))
    last.daemon = True
    last.start()
