"""Whether algorithms can run in a sandbox here, and what runs of them on this machine."""

from __future__ import annotations

import os
import time
from collections.abc import Callable
from pathlib import Path


def running_with(mark: str) -> list[int]:
    """The processes of the machine with this text in their environment, in whichever sandbox they are."""
    found = []
    for name in filter(str.isdecimal, os.listdir("/proc")):
        try:
            if mark.encode() in Path("/proc", name, "environ").read_bytes():
                found.append(int(name))
        except OSError:
            pass
    return found


def wait_until(condition: Callable[[], object], seconds: float = 60.0) -> bool:
    """Whether this comes true within the time."""
    deadline = time.monotonic() + seconds
    while not condition():
        if time.monotonic() > deadline:
            return False
        time.sleep(0.01)
    return True
