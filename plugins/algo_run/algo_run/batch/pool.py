"""Concurrent calls in threads, with adaptive concurrency, safe retries, and results in order or not.

Inputs are read only as calls need them, and early results wait in a window of limited size: memory does not grow with
the number of inputs.
"""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Callable, Iterator
from typing import Any, Generic, NamedTuple, TypeVar

from algo_core.errors import AlgoError, AuthError, ConfigError, NotFoundError
from algo_core.http.retry import Tries
from algo_run.batch.concurrency import AdaptiveConcurrency, Rate
from algo_run.call import MOST_AT_ONCE

WINDOW = 4 * MOST_AT_ONCE
"""Maximum number of inputs in progress or waiting for an earlier result."""

ENDS_THE_RUN = (AuthError, NotFoundError, ConfigError)
"""Errors of every call: continuing would only repeat them."""

Row = dict[str, Any]
T = TypeVar("T")


class BatchLimits(NamedTuple):
    """Limits of a batch. None adapts, or is no limit; `retries` is the number of retries per call."""

    concurrency: int | None = None
    rate: float | None = None
    retries: int = 4
    max_failures: int | None = None
    in_order: bool = True


class TooManyFailures(AlgoError):
    """More inputs failed than `--max-failures` allows; the run has ended, and can be resumed."""


class Pool(Generic[T]):
    """Carries out a batch. `perform` makes one call and returns the row to record, with `error` if it failed.

    `record` is called by one thread at a time, optionally in the order of the inputs.
    """

    def __init__(
        self, perform: Callable[[T], Row], record: Callable[[Row], None], limits: BatchLimits, failures: int = 0
    ) -> None:
        self._perform = perform
        self._record = record
        self._limits = limits
        self._concurrency = AdaptiveConcurrency(limits.concurrency)
        self._rate = Rate(limits.rate)
        self._ended = threading.Event()
        lock = threading.Lock()
        self._changed = threading.Condition(lock)  # what the thread that reads inputs waits for
        self._ready = threading.Condition(lock)  # what the threads that make calls wait for, one of many at a time
        self._waiting: deque[tuple[int, T]] = deque()
        self._finished: dict[int, Row] = {}
        self._next = 0
        self._taken = 0
        self._threads: list[threading.Thread] = []
        self._idle = 0
        self._is_complete = False
        self._problem: BaseException | None = None
        self.done = 0
        self.failures = failures

    def run(self, items: Iterator[T]) -> None:
        """Carry out all calls; returns when the last result is recorded.

        Raises:
            AuthError, NotFoundError, ConfigError: if every call would fail; recorded results stay.
            TooManyFailures: if more failed than allowed.
            Exception: whatever reading inputs or recording results raises.
        """
        try:
            for item in items:
                with self._changed:
                    while self._is_full() and not self._problem:
                        self._changed.wait(0.5)
                    if self._problem:
                        break
                    self._waiting.append((self._taken, item))
                    self._taken += 1
                    self._ready.notify()
                    self._add_thread()
            with self._changed:
                self._is_complete = True
                self._ready.notify_all()
                while self._next < self._taken and not self._problem:
                    self._changed.wait(0.5)
            if self._problem:
                raise self._problem
        finally:
            self._ended.set()
            with self._changed:
                self._is_complete = True
                self._waiting.clear()
                self._ready.notify_all()
            for thread in self._threads:
                thread.join()

    def _is_full(self) -> bool:
        return len(self._waiting) >= self._concurrency.wanted or self._taken - self._next >= WINDOW

    def _add_thread(self) -> None:
        if self._idle < len(self._waiting) and len(self._threads) < self._concurrency.wanted:
            thread = threading.Thread(target=self._work, name=f"call-{len(self._threads)}", daemon=True)
            self._threads.append(thread)
            thread.start()

    def _work(self) -> None:
        while True:
            with self._ready:
                self._idle += 1
                while not (self._waiting and self._under_way() < self._concurrency.wanted) and not self._has_ended():
                    self._ready.wait(0.5)
                self._idle -= 1
                if self._has_ended():
                    return
                place, item = self._waiting.popleft()
                if len(self._waiting) <= self._concurrency.wanted // 2:  # several inputs are read each time
                    self._changed.notify()
            self._rate.wait(self._ended)
            try:
                row = self._attempt(item)
            except BaseException as error:
                self._stop(error)
                return
            self._hand_over(place, row)

    def _under_way(self) -> int:
        return len(self._threads) - self._idle

    def _has_ended(self) -> bool:
        return self._ended.is_set() or self._problem is not None or (self._is_complete and not self._waiting)

    def _attempt(self, item: T) -> Row:
        tries = Tries(self._limits.retries)
        while True:
            try:
                return self._perform(item)
            except Repeatable as again:
                if again.is_overload:
                    with self._changed:
                        self._concurrency.refused()
                if not tries.left or self._ended.is_set():
                    return again.row
                tries.wait(again.seconds)

    def _hand_over(self, place: int, row: Row) -> None:
        with self._changed:
            self._finished[place] = row
            was_full = self._is_complete or self._taken - self._next >= WINDOW
            wanted = self._concurrency.wanted
            try:
                self._record_finished(place)
            except BaseException as error:
                self._end_with(error)
            if was_full:
                self._changed.notify()
            if self._concurrency.wanted > wanted:
                self._ready.notify_all()

    def _record_finished(self, place: int) -> None:
        ready = [place] if not self._limits.in_order else self._in_turn()
        for number in ready:
            row = self._finished.pop(number)
            self._record(row)
            self.done += 1
            self.failures += "error" in row
            if not self._limits.in_order:
                self._next += 1
            most = self._limits.max_failures
            if most is not None and self.failures > most:
                noun = "input has" if self.failures == 1 else "inputs have"
                raise TooManyFailures(
                    f"{self.failures} {noun} failed, more than the {most} allowed",
                    "See the errors in the results; continue with --resume and a larger --max-failures",
                )
        self._concurrency.ended(self.done)

    def _in_turn(self) -> Iterator[int]:
        while self._next in self._finished:
            yield self._next
            self._next += 1

    def _stop(self, error: BaseException) -> None:
        with self._changed:
            self._end_with(error)

    def _end_with(self, error: BaseException) -> None:
        self._problem = self._problem or error
        self._changed.notify_all()
        self._ready.notify_all()


class Repeatable(Exception):
    """A failed call that may be retried, after the platform's requested wait in seconds, if any.

    `row` is recorded if it is not retried.
    """

    def __init__(self, row: Row, seconds: float | None = None, *, is_overload: bool = False) -> None:
        super().__init__()
        self.row = row
        self.seconds = seconds
        self.is_overload = is_overload
