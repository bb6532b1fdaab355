"""The thread that keeps workers ready outlives whatever it meets."""

from __future__ import annotations

import threading

from algo_core.errors import PlatformError
from algo_local.execution.ready_workers import workers_kept_ready


def test_failures_are_left_to_the_next_call_and_unexpected_ones_are_told() -> None:
    failures: list[Exception | None] = [PlatformError("the disk is full"), ValueError("a fault"), KeyError("x"), None]
    told: list[str] = []
    done = threading.Event()

    def prepare() -> None:
        failure = failures.pop(0) if failures else None
        if failure is None:
            done.set()
            return
        raise failure

    with workers_kept_ready(prepare, threading.Event(), 0.001, on_failure=told.append):
        assert done.wait(30)
    assert [text.partition(": ")[2] for text in told] == ["ValueError('a fault')", "KeyError('x')"]
