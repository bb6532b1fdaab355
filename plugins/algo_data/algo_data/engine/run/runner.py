"""Carries out transfers with an adaptive number of threads, while they are still being planned."""

from __future__ import annotations

import queue
import threading
import time
from collections.abc import Callable, Iterable, Iterator
from functools import partial

from algo_core.errors import AlgoError
from algo_core.storage.contract import Entry
from algo_data.engine import Observer
from algo_data.engine.failures import Kept
from algo_data.engine.io.blocks import BLOCK
from algo_data.engine.options import CopyOptions
from algo_data.engine.run.concurrency import AdaptiveConcurrency, BatchSize
from algo_data.engine.run.processes import WORTH_IT, CopyProcess, processes_for
from algo_data.engine.run.throttle import Throttle
from algo_data.engine.run.worker import execute
from algo_data.engine.transfer import Transfer

FIRST = 2
"""Initial number of connections."""

MOMENT = 0.02
"""Seconds to wait for the next planned transfer before copying begins; ten times that for the first few."""

AHEAD = 2048
"""Maximum number of planned transfers in the queue."""

PAUSE = 0.005
"""Seconds between checks of the queue by the planner."""

TICK = 0.03
"""Seconds between checks of the rate."""

GRACE = 0.5
"""Seconds for workers to end after an interruption."""

PER_FILE = 64 << 10
"""Weight of a file in addition to its bytes, so that empty files count as progress."""


class Halted(BaseException):
    """Raised inside a transfer when the whole run is over."""


class Runner:
    """Carries out transfers and reports to an observer."""

    def __init__(self, transfers: Iterable[Transfer], observer: Observer, options: CopyOptions) -> None:
        self._transfers: Iterator[Transfer] = iter(transfers)
        self._observer = observer
        self._options = options
        self._most = options.most
        self._throttle = Throttle(options.bwlimit) if options.bwlimit else None
        self._ready: queue.SimpleQueue[Transfer | None] = queue.SimpleQueue()
        self._changed = threading.Condition()
        self._telling = threading.RLock()
        self._error: BaseException | None = None
        self._is_over = False
        self._is_drained = False
        self._processes: list[CopyProcess] = []
        self._workers = self._wanted = self._added = 0
        self._in_processes = 0
        """Concurrent transfers in processes beyond one per process."""
        self._files = self._bytes = 0  # counted without a lock: only rates are taken from them

    def run(self) -> None:
        """Carry out all transfers. Raises what the observer or the plan raises, and KeyboardInterrupt."""
        try:
            first, is_all = self._first()
            if is_all and len(first) == 1:
                self._observer.planned(None)
                self._carry_out(first[0])
            elif first:
                self._run_many(first)
        except BaseException:
            self._is_over = True
            self._options.abandon()
            raise

    def _first(self) -> tuple[list[Transfer], bool]:
        """The first transfers that the plan yields without delay, and whether these are all."""
        first: list[Transfer] = []
        until = time.monotonic() + 10 * MOMENT
        before = until
        for transfer in self._transfers:
            self._observer.planned(transfer)
            first.append(transfer)
            now = time.monotonic()
            is_slow = now - before > MOMENT or now > until
            if len(first) >= WORTH_IT or (len(first) > 1 and is_slow):
                return first, False
            before = now
        return first, True

    # One thread watches, one plans, the others copy, or have processes copy.

    def _run_many(self, first: list[Transfer]) -> None:
        for transfer in first:
            self._ready.put(transfer)
        try:
            self._processes = processes_for(first, self._options)
            self._in_processes = sum(process.at_once - 1 for process in self._processes)
            self._most -= self._in_processes
            self._watch()
        except BaseException:
            self._is_over = True
            self._end_processes()
            self._halt()
            raise
        self._end_processes()

    def _end_processes(self) -> None:
        for process in self._processes:
            process.ask_to_end()
        for process in self._processes:
            process.end()

    def _watch(self) -> None:
        self._start(self._plan, "algo-plan")
        self._wanted = min(max(FIRST, len(self._processes)), self._most)
        # The transfers inside processes count as well: an increase must be large beside them to be noticed.
        concurrency = AdaptiveConcurrency(
            most=self._most + self._in_processes, start=self._wanted + self._in_processes, cpu=self._cpu
        )
        with self._changed:
            for process in self._processes:
                self._start_worker(process)
            while self._workers < self._wanted:
                self._start_worker()
            while self._workers and not self._error:
                self._changed.wait(TICK)
                done = self._bytes + self._files * PER_FILE
                active, events = self._workers + self._in_processes, self._files + self._bytes // BLOCK
                self._wanted = concurrency.wanted(done, active, events) - self._in_processes
                while self._workers + self._added < self._wanted and not (self._is_drained or self._ready.empty()):
                    self._start_worker()
        if self._error:
            raise self._error

    def _cpu(self) -> float:
        return time.process_time() + sum(process.cpu for process in self._processes)

    def _start_worker(self, process: CopyProcess | None = None) -> None:
        self._workers += 1
        self._start(lambda: self._work(process), "algo-transfer")

    def _start(self, target: Callable[[], None], name: str) -> None:
        threading.Thread(target=self._guarded, args=(target,), name=name, daemon=True).start()

    def _guarded(self, target: Callable[[], None]) -> None:
        try:
            target()
        except Halted:
            pass
        except BaseException as error:
            with self._changed:
                self._error = self._error or error
                self._is_over = True
                self._changed.notify()

    def _plan(self) -> None:
        for transfer in self._transfers:
            if self._is_over:
                return
            self._observer.planned(transfer)
            self._offer(transfer)
        self._observer.planned(None)
        self._offer(None)

    def _offer(self, transfer: Transfer | None) -> None:
        if self._ready.qsize() >= AHEAD:
            while self._ready.qsize() > AHEAD // 2 and not self._is_over:
                time.sleep(PAUSE)
        self._ready.put(transfer)

    def _work(self, process: CopyProcess | None) -> None:
        """Carry out queued transfers one at a time, or pass suitable ones to a process."""
        is_counted = True
        batch = BatchSize(process.at_once if process else 1)
        try:
            while not self._is_over:
                transfer = self._ready.get()
                if transfer is None:
                    self._is_drained = True
                    self._ready.put(None)  # for the next one
                    return
                if process and process.is_alive and process.takes(transfer):
                    self._have_carried_out(transfer, process, batch)
                else:
                    self._carry_out(transfer)
                if self._workers > self._wanted and not process:
                    with self._changed:
                        if self._workers > max(1, self._wanted):
                            self._workers -= 1
                            is_counted = False
                            return
        finally:
            with self._changed:
                self._workers -= is_counted
                if not self._workers:
                    self._changed.notify()

    def _have_carried_out(self, first: Transfer, process: CopyProcess, batch: BatchSize) -> None:
        """Pass a transfer and some queued ones to the process; do the ones that it did not do here."""
        transfers = [first]
        others: list[Transfer] = []
        for _ in range(batch.size - 1):
            try:
                transfer = self._ready.get_nowait()
            except queue.Empty:
                break
            if transfer is None:
                self._ready.put(None)
                break
            (transfers if process.takes(transfer) else others).append(transfer)
        with batch:
            entries = process.copy(transfers)
        self._check_stopped()
        copied: list[tuple[Transfer, Entry]] = []
        for transfer, entry in zip(transfers, entries, strict=True):
            if entry:
                copied.append((transfer, entry))
            else:
                others.append(transfer)
        self._tell_of_copies(copied)
        for transfer in others:
            self._carry_out(transfer)

    def _tell_of_copies(self, copied: list[tuple[Transfer, Entry]]) -> None:
        with self._telling:
            self._observer.copied(copied)
        self._files += len(copied)
        self._bytes += sum(entry.size or 0 for _, entry in copied)

    def _carry_out(self, transfer: Transfer) -> None:
        observer, seen = self._observer, 0

        def advanced(position: int, size: int | None, *, is_sent: bool = True) -> None:
            nonlocal seen
            self._check_stopped()
            moved, seen = position - seen, position
            self._bytes += moved
            if self._throttle and moved > 0 and is_sent:
                self._throttle.spend(moved, self._check_stopped)
            with self._telling:
                observer.advanced(transfer, position, size)

        with self._telling:
            observer.started(transfer)
        block = self._throttle.block if self._throttle else BLOCK
        try:
            within = partial(advanced, is_sent=False)
            entry = execute(transfer, advanced, self._options, block=block, budget=self, within=within)
        except Kept:
            with self._telling:
                observer.kept(transfer)
        except AlgoError as error:
            with self._telling:
                self._check_stopped()  # what fails after the end fails because of it
                observer.failed(transfer.source, error)
        else:
            with self._telling:
                observer.finished(transfer, entry)
        self._files += 1

    def _check_stopped(self) -> None:
        if self._is_over:
            raise Halted

    def take(self) -> bool:
        """One more connection for a running transfer (`ConnectionBudget`)."""
        with self._changed:
            if max(1, self._workers) + self._added >= self._most:
                return False
            self._added += 1
            return True

    def give_back(self) -> None:  # noqa: D102
        with self._changed:
            self._added -= 1

    def _halt(self) -> None:
        """Signal the workers to stop, and wait briefly; a worker that waits for a connection does not notice."""
        self._is_over = True
        try:
            while True:
                self._ready.get_nowait()
        except queue.Empty:
            self._ready.put(None)
        until = time.monotonic() + GRACE
        with self._changed:
            while self._workers and (left := until - time.monotonic()) > 0:
                self._changed.wait(left)
