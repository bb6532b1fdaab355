"""Regular progress lines of long builds, also without a terminal."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

SECONDS = 10.0
"""The longest time without a line."""


@contextmanager
def told_regularly(
    every: Callable[[str], object] | None, regularly: Callable[[str], object] | None, seconds: float = SECONDS
) -> Iterator[Callable[[str], None]]:
    """Yield a function that takes the lines of a build and passes each to `every`.

    While no line arrives, `regularly` is called with the last one; without `every`, with the newest one, each
    `seconds`.
    """
    newest, began = "starting", time.monotonic()
    heard = threading.Event()
    ended = threading.Event()

    def report(line: str) -> None:
        nonlocal newest
        newest = line.strip() or newest
        if every:
            heard.set()
            every(line)

    def watch() -> None:
        while not ended.wait(seconds):
            if not heard.is_set() and regularly:
                regularly(f"Still building after {time.monotonic() - began:.0f} s: {newest}")
            heard.clear()

    if regularly:
        threading.Thread(target=watch, name="algo-progress", daemon=True).start()
    try:
        yield report
    finally:
        ended.set()
