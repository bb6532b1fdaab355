"""Concurrent calls, with adaptive concurrency, safe retries, and results in order or not.

One thread starts calls and records results; the calling thread only reads inputs, which may wait. Calls go through a
lane, where many are under way in that one thread, or where there is none, through threads of their own. Inputs are read
only as calls need them, and early results wait in a window of limited size: memory does not grow with the number of
inputs.
"""

from __future__ import annotations

import functools
import threading
import time
from collections import deque
from collections.abc import Callable, Iterator
from heapq import heappop, heappush
from typing import Any, Generic, NamedTuple, Protocol, TypeVar

from algo_core.errors import AlgoError, AuthError, ConfigError, NotFoundError
from algo_core.http.retry import Tries
from algo_run.batch.concurrency import AdaptiveConcurrency, Rate
from algo_run.call import MOST_AT_ONCE

WINDOW = 4 * MOST_AT_ONCE
"""Maximum number of inputs in progress or waiting for an earlier result."""

LONGEST_WAIT = 3600.0
"""Seconds until the next look where nothing is expected to happen."""

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


class Repeatable(Exception):
    """A failed call that may be retried, after the platform's requested wait in seconds, if any.

    `row` is recorded if it is not retried.
    """

    def __init__(self, row: Row, seconds: float | None = None, *, is_overload: bool = False) -> None:
        super().__init__()
        self.row = row
        self.seconds = seconds
        self.is_overload = is_overload


class Task(Generic[T]):
    """One input under way: its place among the inputs, and the tries that are left for it."""

    __slots__ = ("item", "place", "tries")

    def __init__(self, place: int, item: T, tries: Tries) -> None:
        self.place = place
        self.item = item
        self.tries = tries


class Finished(NamedTuple):
    """The end of a task: `row()` returns the row to record, or raises. With `may_wait` that is a thread's work."""

    task: Task[Any]
    row: Callable[[], Row]
    may_wait: bool = False


class Lane(Protocol[T]):
    """Many calls under way in one thread."""

    def begin(self, task: Task[T]) -> bool:
        """Begin a call; False if it needs a thread."""

    def wait(self, seconds: float) -> list[Finished]:
        """The calls that end next; none after so many seconds, or if woken."""

    def wake(self) -> None:
        """Have `wait` return; in any thread."""

    def close(self) -> None:
        """The end of all calls."""


class NoLane:
    """Every call needs a thread."""

    def __init__(self) -> None:
        self._event = threading.Event()

    def begin(self, task: Task[Any]) -> bool:  # noqa: D102
        return False

    def wait(self, seconds: float) -> list[Finished]:  # noqa: D102
        self._event.wait(seconds)
        self._event.clear()
        return []

    def wake(self) -> None:  # noqa: D102
        self._event.set()

    def close(self) -> None:  # noqa: D102
        return


class Workers:
    """Threads for blocking work; `ended` is called in the thread when a task ends."""

    def __init__(self, ended: Callable[[Finished], None]) -> None:
        import queue

        self._ended = ended
        self._jobs: queue.SimpleQueue[Finished | None] = queue.SimpleQueue()
        self._threads: list[threading.Thread] = []
        self._busy = 0

    def submit(self, job: Finished) -> None:
        """Pass a task to a thread."""
        self._busy += 1
        self._jobs.put(job)
        if self._busy > len(self._threads):
            thread = threading.Thread(target=self._work, name=f"call-{len(self._threads)}", daemon=True)
            self._threads.append(thread)
            thread.start()

    def took(self) -> None:
        """Acknowledge an end reported to `ended`."""
        self._busy -= 1

    def _work(self) -> None:
        while job := self._jobs.get():
            try:
                done = job.row()
            except BaseException as error:
                self._ended(Finished(job.task, functools.partial(_raised, error)))
            else:
                self._ended(Finished(job.task, functools.partial(_returned, done)))

    def close(self) -> None:
        """End the idle threads."""
        for _ in self._threads:
            self._jobs.put(None)


def _raised(error: BaseException) -> Row:
    raise error


def _returned(row: Row) -> Row:
    return row


class Pool(Generic[T]):
    """Carries out a batch. `perform` makes one call and returns the row to record, with `error` if it failed.

    `record` is called by one thread at a time, optionally in the order of the inputs.
    """

    def __init__(
        self,
        perform: Callable[[T], Row],
        record: Callable[[list[Row]], None],
        limits: BatchLimits,
        failures: int = 0,
        lane: Lane[T] | None = None,
    ) -> None:
        self._perform = perform
        self._record = record
        self._limits = limits
        self._lane: Lane[T] = lane or NoLane()
        self._concurrency = AdaptiveConcurrency(limits.concurrency)
        self._rate = Rate(limits.rate)
        # between the thread that reads and the one that calls
        self._room = threading.Condition()
        self._waiting: deque[T] = deque()
        self._read = 0
        self._is_complete = False
        self._is_hungry = False
        self._problem: BaseException | None = None
        # of the thread that calls
        self._by_workers: deque[Finished] = deque()
        self._paused: list[tuple[float, int, Task[T]]] = []
        self._started = 0
        self._under_way = 0
        self._finished: dict[int, Row] = {}
        self._next = 0
        self.done = 0
        self.failures = failures

    def run(self, items: Iterator[T]) -> None:
        """Carry out all calls; returns when the last result is recorded.

        Raises:
            AuthError, NotFoundError, ConfigError: if every call would fail; recorded results stay.
            TooManyFailures: if more failed than allowed.
            Exception: whatever reading inputs or recording results raises.
        """
        caller = threading.Thread(target=self._call_all, name="calls", daemon=True)
        caller.start()
        try:
            for item in items:
                if not self._put(item):
                    break
        except BaseException as error:
            self._problem = self._problem or error
            raise
        finally:
            self._is_complete = True
            self._lane.wake()
            caller.join()
        if self._problem:
            raise self._problem

    # Inputs

    def _put(self, item: T) -> bool:
        """Queue an input for the calling thread, once there is room; False if the run has ended."""
        if self._is_full():
            with self._room:
                while self._is_full() and not self._problem:
                    self._room.wait()
        self._read += 1
        self._waiting.append(item)
        if self._is_hungry:
            self._is_hungry = False
            self._lane.wake()
        return not self._problem

    def _is_full(self) -> bool:
        return len(self._waiting) >= self._concurrency.wanted or self._read - self._next >= WINDOW

    def _make_room(self) -> None:
        if len(self._waiting) <= self._concurrency.wanted // 2:  # several inputs are read each time
            with self._room:
                self._room.notify()

    # Calls

    def _call_all(self) -> None:
        try:
            while not self._is_over():
                self._start_calls()
                self._record_finished()
                self._make_room()
                for finished in self._lane.wait(self._span()):
                    self._settle(finished)
                    self._start_calls()  # at once, so that the server need not wait for the rest
                while self._by_workers:
                    self._workers.took()
                    self._settle(self._by_workers.popleft())
            self._record_finished()
        except BaseException as error:
            self._stop(error)
        finally:
            if "_workers" in self.__dict__:
                self._workers.close()
            self._lane.close()

    def _is_over(self) -> bool:
        if self._problem:  # calls under way are not abandoned; what would be tried again is left to `--resume`
            return self._under_way == len(self._paused)
        return self._is_complete and not self._waiting and not self._under_way

    def _start_calls(self) -> None:
        while not self._problem and not self._rate.delay():
            if self._paused and self._paused[0][0] <= time.monotonic():
                task = heappop(self._paused)[2]
            elif self._waiting and self._under_way < self._concurrency.wanted:
                task = Task(self._started, self._waiting.popleft(), Tries(self._limits.retries))
                self._started += 1
                self._under_way += 1
            else:
                return
            self._rate.begun()
            try:
                if not self._lane.begin(task):
                    self._workers.submit(Finished(task, functools.partial(self._perform, task.item)))
            except BaseException as error:
                self._under_way -= 1
                self._stop(error)

    def _span(self) -> float:
        """Maximum seconds to wait for the next call to end or input to arrive."""
        if self._problem:
            return LONGEST_WAIT
        if delay := self._rate.delay():
            return delay
        if self._under_way < self._concurrency.wanted:
            self._is_hungry = True
            if self._waiting:
                return 0.0
        return max(0.0, self._paused[0][0] - time.monotonic()) if self._paused else LONGEST_WAIT

    @functools.cached_property
    def _workers(self) -> Workers:
        return Workers(self._worker_ended)

    def _worker_ended(self, finished: Finished) -> None:
        self._by_workers.append(finished)
        self._lane.wake()

    def _settle(self, finished: Finished) -> None:
        task = finished.task
        if finished.may_wait:
            self._workers.submit(finished)
            return
        try:
            row = finished.row()
        except Repeatable as again:
            if again.is_overload:
                self._concurrency.refused()
            if task.tries.left:
                due = time.monotonic() + task.tries.next_pause(again.seconds)
                heappush(self._paused, (due, task.place, task))
                return
            row = again.row
        except BaseException as error:
            self._under_way -= 1
            self._stop(error)
            return
        self._under_way -= 1
        self._finished[task.place] = row
        if "error" in row and self._limits.max_failures is not None:
            self._record_finished()  # before another call begins

    def _record_finished(self) -> None:
        rows = list(self._in_turn() if self._limits.in_order else self._as_they_came())
        if not rows:
            return
        try:
            self._record(rows)
            self.done += len(rows)
            self.failures += sum("error" in row for row in rows)
            self._check_failures()
        except BaseException as error:
            self._stop(error)
        self._concurrency.ended(self.done)

    def _in_turn(self) -> Iterator[Row]:
        while self._next in self._finished:
            yield self._finished.pop(self._next)
            self._next += 1

    def _as_they_came(self) -> Iterator[Row]:
        self._next += len(self._finished)
        yield from self._finished.values()
        self._finished.clear()

    def _check_failures(self) -> None:
        most = self._limits.max_failures
        if most is not None and self.failures > most:
            noun = "input has" if self.failures == 1 else "inputs have"
            raise TooManyFailures(
                f"{self.failures} {noun} failed, more than the {most} allowed",
                "See the errors in the results; continue with --resume and a larger --max-failures",
            )

    def _stop(self, error: BaseException) -> None:
        with self._room:
            self._problem = self._problem or error
            self._room.notify()
