"""The threads that serve busy connections: one per connection; idle threads end after `KEEP_SECONDS`."""

from __future__ import annotations

import threading
from collections.abc import Callable
from queue import Empty, SimpleQueue

KEEP_SECONDS = 10.0
"""Seconds that an idle thread is kept."""


class ThreadPool:
    """Runs jobs at once, each in a thread that no other job waits for.

    The threads are daemons: one that hangs does not keep the process from ending.
    """

    def __init__(self, name: str) -> None:
        self._name = name
        self._lock = threading.Lock()
        self._jobs: SimpleQueue[Callable[[], object] | None] = SimpleQueue()
        self._closed = False
        self._free = 0  # threads that wait, less the jobs that wait for them

    def run(self, job: Callable[[], object]) -> None:
        """Run a job. RuntimeError if it needs a thread and the system grants none."""
        with self._lock:
            if self._free:
                self._free -= 1
                self._jobs.put(job)
                return
        threading.Thread(target=self._work, args=(job,), name=self._name, daemon=True).start()

    def close(self) -> None:
        """End the threads that wait, and the others after their jobs."""
        with self._lock:
            self._closed = True
            for _ in range(self._free):
                self._jobs.put(None)
            self._free = 0

    def _work(self, first: Callable[[], object]) -> None:
        job: Callable[[], object] | None = first
        while job:
            job()
            with self._lock:
                if self._closed:
                    return
                self._free += 1
            job = self._next()

    def _next(self) -> Callable[[], object] | None:
        try:
            return self._jobs.get(timeout=KEEP_SECONDS)
        except Empty:
            with self._lock:
                if self._jobs.empty():
                    self._free -= 1
                    return None
            return self._jobs.get()
