"""Regularly starts missing workers, up to each build's minimum, while a platform is served."""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Callable, Iterator

from algo_core.errors import AlgoError

SECONDS = 2.0
"""Seconds between two looks: at what was published or set meanwhile, and at workers that have ended."""


@contextlib.contextmanager
def workers_kept_ready(
    prepare: Callable[[], None],
    changed: threading.Event,
    seconds: float = SECONDS,
    *,
    on_failure: Callable[[str], None] = lambda text: None,
) -> Iterator[None]:
    """In the block, a thread calls `prepare` every `seconds`, and at once when `changed` is set.

    After a failure, the next turn tries again; `on_failure` is called with unexpected ones.
    """
    ended = threading.Event()

    def run() -> None:
        while not ended.is_set():
            changed.clear()
            try:
                prepare()
            except AlgoError:
                pass  # the database is locked or unreachable, or the disk is full: the next turn tries again
            except Exception as error:  # the thread must outlive any failure: no other one does its work
                on_failure(f"Workers could not be reviewed: {error!r}")
            changed.wait(seconds)

    thread = threading.Thread(target=run, name="algo-ready", daemon=True)
    thread.start()
    try:
        yield
    finally:
        ended.set()
        changed.set()
        thread.join()
