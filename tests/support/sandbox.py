"""Whether algorithms can run in a sandbox here, and what runs of them on this machine."""

from __future__ import annotations

import os
import shutil
import time
from collections.abc import Callable
from pathlib import Path

import pytest


def require_bubblewrap() -> None:
    """Skip the test where bubblewrap is missing; where tests are run for everybody, that is a failure."""
    if shutil.which("bwrap"):
        return
    reason = "bubblewrap is not installed: make test-deps, or apt-get install bubblewrap"
    if os.environ.get("CI"):
        pytest.fail(reason)
    pytest.skip(reason)


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
