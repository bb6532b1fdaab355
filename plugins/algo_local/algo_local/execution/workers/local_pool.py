"""The executor on this machine: each call waits for a worker, which then acts for the caller."""

from __future__ import annotations

import atexit
import time
from collections import Counter
from collections.abc import Callable, Hashable, Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, cast

from algo_local.algorithms.build import Build
from algo_local.callers import CallContext
from algo_local.execution.executor import Description, Endpoint, has_to_agree
from algo_local.execution.payload import NOT_BEGUN, Failure, Outcome, Payload
from algo_local.execution.protocol import encode_request
from algo_local.execution.scaling import Scaling
from algo_local.execution.scheduler import BuildWorkers
from algo_local.execution.workers.contract import NotHandedOver
from algo_local.execution.workers.waiting_call import BuildKey, WaitingCall, build_key
from algo_local.execution.workers.worker_pool import WorkerPool, stop_all

if TYPE_CHECKING:
    from algo_local.execution.workers.contract import Workers
    from algo_local.execution.workers.keeper import Keeper

_CANCELLED = Failure("The call was cancelled", "SystemError", ended="cancelled")

ATTEMPTS = 3
"""Workers that a call gets one after the other, if the earlier ones were lost before they could run it."""

_START_GRACE = 10.0
"""Seconds that `close` waits for starting processes."""


class LocalPool(WorkerPool):
    """The executor on this machine: runs builds in workers that are kept for a while after their last call.

    A worker serves one account, and one call at a time: another account never sees what a build keeps in memory or on
    disk between calls. `Scheduler` decides which call is next, `Scaling` limits the number of workers and their idle
    time.

    All methods may be called from any thread.
    """

    def __init__(
        self,
        endpoint: Callable[[], Endpoint],
        directory: Path,
        scaling: Scaling | None = None,
        keeper: Keeper | None = None,
        workers: Workers | None = None,
    ) -> None:
        """Set up the pool; it starts no worker yet.

        Args:
            endpoint: returns the address at which algorithms call the platform; called at each start of a worker.
            directory: where workers keep their files.
            scaling: limits of workers; by default those of the environment variables.
            keeper: takes over idle workers when `rest` is called.
            workers: starts workers elsewhere than on this machine.
        """
        super().__init__(endpoint, directory, scaling, keeper, workers)
        atexit.register(self.close)

    def start(self) -> None:
        """Do nothing: workers are started when calls wait for them."""

    def call(
        self,
        build: Build,
        payload: Payload,
        *,
        timeout: float,
        context: CallContext,
        on_start: Callable[[str], None] | None = None,
        on_output: Callable[[bytes], None] | None = None,
    ) -> Outcome:
        """See `Executor.call`; when the time is over, the process and its children are killed."""
        deadline = time.monotonic() + timeout
        request = encode_request(payload)
        lost, attempts = "", 0
        while attempts < ATTEMPTS:
            attempts += 1
            call = self._acquired(build, context, deadline)
            worker = call.worker
            if worker is None:
                return Outcome(None, call.failure, 0.0, "")
            began = time.monotonic()
            outcome: Outcome | None = None
            try:
                if on_start:
                    if has_to_agree(on_start):  # it is on record as begun from the moment on at which it may have
                        worker.await_loaded(deadline, on_output)
                    on_start(worker.name)
                outcome = worker.call(request, deadline, on_output)
            except NotHandedOver as error:
                lost = str(error)
                attempts -= error.was_idle
            finally:
                cancelled = self._release(call, worker, time.monotonic() - began, outcome)
            failure = outcome.failure if outcome else None
            if failure and failure.ended == "lost" and not cancelled and not self._closed and _may_repeat(build):
                lost = failure.message
                continue
            if outcome:
                return replace(outcome, result=None, failure=_CANCELLED) if cancelled and outcome.failure else outcome
            if cancelled:
                return Outcome(None, _CANCELLED, 0.0, "")
        failure = Failure(f"{ATTEMPTS} workers were lost before one answered: {lost}", "SystemError", ended="lost")
        return Outcome(None, failure, 0.0, "")

    def _acquired(self, build: Build, context: CallContext, deadline: float) -> WaitingCall:
        """Wait for a usable worker; returns the call with its worker, or with a failure."""
        while True:
            call = WaitingCall(build, context)
            call.failure = self._acquire(call, deadline)
            worker = call.worker
            if call.failure or worker is None or worker.is_reusable or not worker.is_loaded:
                return call
            self._release(call, worker, 0.0, None)  # it ended, or printed something, while it was idle

    def cancel(self, request_id: str) -> bool:
        """See `Executor.cancel`; the worker of a call that runs is killed."""
        with self._lock:
            call = self._calls.get(request_id)
            if call is None:
                return False
            self._cancelled.add(request_id)
            worker = call.worker
            if worker is None:
                self._decide(call, _CANCELLED)
        if worker:
            worker.kill()
        return True

    def withdraw(self, request_id: str) -> bool:
        """End a waiting call as at the end of the platform; False if the call runs, or is unknown."""
        with self._lock:
            call = self._calls.get(request_id)
            if call is None or call.worker:
                return False
            self._decide(call, NOT_BEGUN)
        return True

    def knows(self, request_id: str) -> bool:
        """Whether a call waits for a worker, or has one."""
        with self._lock:
            return request_id in self._calls

    def context_of(self, token: str) -> CallContext | None:
        """The call that the worker with this token (its `ALGORITHMIA_API_KEY`) serves now; None if it serves none."""
        with self._lock:
            return self._serving.get(token)

    def describe(self) -> Description:
        """See `Executor.describe`."""
        with self._lock:
            busy = sum(1 for call in self._calls.values() if call.worker)
            workers, waiting = list(self._alive), self._scheduler.waiting
        return Description(len(workers), busy, waiting, sum(worker.memory() for worker in workers))

    def make_room(self, account: str, build: Build) -> None:
        """Stop a worker to make room for one of `build` for `account`.

        Chooses the worker that has been idle the longest and need not be kept, but none of the same build and account,
        which can take the call itself. Without an idle worker, the next one that ends a call of an account that has had
        more service is stopped.
        """
        with self._lock:
            idle = self._scheduler.retirable(time.monotonic())
            own = build_key(build), account
            others = [found for found in idle if (found[0], found[1].account) != own]
            if not others:
                if not idle:
                    self._short.add(account)
                return
            key, worker = min(others, key=lambda found: found[1].idle_since)
            self._scheduler.retire(key, worker)
            self._alive.discard(worker)
        stop_all([worker])

    def queues(self) -> dict[str, int]:
        """The number of calls that wait for a worker, by algorithm."""
        with self._lock:
            return dict(Counter(call.label for call in self._calls.values() if call.worker is None))

    def drain(self, seconds: float) -> bool:
        """See `Executor.drain`."""
        with self._lock:
            self._closed = True
            for call in list(self._calls.values()):
                if call.worker is None:
                    self._decide(call, NOT_BEGUN)
            return self._quiet.wait_for(lambda: not self._calls, timeout=seconds)

    def close(self) -> None:
        """End every worker: idle ones get 3 seconds to do so by themselves, busy ones are killed. May be repeated."""
        atexit.unregister(self.close)
        with self._lock:
            self._closed = True
            idle = list(self._scheduler.idle())
            for key, worker in idle:
                self._scheduler.retire(key, worker)
                self._alive.discard(worker)
            for call in list(self._calls.values()):
                if call.worker is None:
                    self._decide(call, NOT_BEGUN)
            busy = [*self._alive, *self._loading]
            self._closing.notify_all()
        for worker in busy:
            worker.kill()  # the thread that waits for its answer cleans up
        stop_all([worker for _, worker in idle])
        if self._factory:
            self._factory.close()
        with self._lock:
            self._none_starts.wait_for(lambda: not self._starting, timeout=_START_GRACE)

    def prepare(self, build: Build, context: CallContext) -> None:
        """Start workers of a build, and load it, until it has its `min_workers`; returns at once.

        They serve the account that called the build last in this process; before the first call, that of `context`.
        """
        with self._lock:
            key, now = build_key(build), time.monotonic()
            if self._closed or self._crashes.failure(key, now):
                return
            self._start_missing(WaitingCall(build, replace(context, caller=self._callers.get(key, context.caller))))

    def reserve(self, wanted: Sequence[tuple[Build, CallContext, int]]) -> None:
        """Start workers until each build has the given number for the caller of its context; returns at once.

        Reserved workers are kept while idle, and never stopped for another account, until the next call of `reserve`.
        """
        with self._lock:
            if self._closed:
                return
            counts: Counter[tuple[Hashable, str]] = Counter()
            for build, context, count in wanted:
                counts[build_key(build), context.caller] += count
            self._scheduler.reserved = counts
            for build, context, _ in wanted:
                if not self._crashes.failure(build_key(build), time.monotonic()):
                    self._start_missing(WaitingCall(build, context))

    def review(self, current: Callable[[str, Path], Build | None], is_account: Callable[[str], bool]) -> None:
        """Stop surplus and outdated workers: idle ones now, busy ones after their call.

        Args:
            current: returns the current build for a call label and a source tree; None if it must not run any more.
            is_account: whether an account still exists; workers of deleted accounts are outdated.
        """
        with self._lock:
            known = {cast("BuildKey", key): pool.label for key, pool in self._scheduler.pools.items()}
            callers = {account for key in known for account in self._scheduler.accounts(key)}
        builds = {
            key: current(label, Path(key[0])) for key, label in known.items()
        }  # `current` queries the database: not under the lock
        gone = {account for account in callers if not is_account(account)}
        with self._lock:
            for key, build in builds.items():
                if build and build_key(build) == key:
                    self._scheduler.limit(key, build.min_workers, build.max_workers)
                    self._scheduler.outdate(key, gone)
                else:
                    self._scheduler.limit(key, 0, 0)
                    self._scheduler.outdate(key, self._scheduler.accounts(key))
            unneeded = self._remove_surplus()
        stop_all(unneeded)

    def builds(self) -> list[BuildWorkers]:
        """The workers of each build that has any."""
        with self._lock:
            return self._scheduler.builds()

    def rest(self) -> None:
        """Give idle workers to the keeper, if there is one, for the next process that asks for them."""
        if not self._keeper:
            return
        with self._lock:
            if self._closed or not any(True for _ in self._scheduler.idle()):
                return
        with self._keeper.open() as channel:
            if not channel:
                return
            with self._lock:
                idle = list(self._scheduler.idle())
                for key, worker in idle:
                    self._scheduler.retire(key, worker)
                    self._alive.discard(worker)
            give = partial(self._keeper.give, channel)
            refused = [worker for _, worker in idle if not worker.hand_over(give)]
        stop_all(refused)


def _may_repeat(build: Build) -> bool:
    """Whether the author has declared that a call may run twice."""
    from algo_local.algorithms.configuration import is_idempotent

    return is_idempotent(build.source)
