"""The workers of builds: started when calls wait for them, given to one call after the other, and stopped when idle."""

from __future__ import annotations

import secrets
import string
import sys
import threading
import time
from collections import OrderedDict
from collections.abc import Callable, Hashable
from pathlib import Path
from typing import TYPE_CHECKING

from algo_core.errors import AlgoError
from algo_local.algorithms.build import Build
from algo_local.callers import CallContext
from algo_local.execution.executor import Endpoint
from algo_local.execution.payload import NOT_BEGUN, Failure, Outcome
from algo_local.execution.protocol import CANNOT_RUN
from algo_local.execution.scaling import Scaling
from algo_local.execution.scheduler import HOLD_SECONDS, LONG_SECONDS, REMEMBERED, Scheduler, Start
from algo_local.execution.workers.crashes import Crashes
from algo_local.execution.workers.waiting_call import WaitingCall
from algo_local.refusals import TooManyCalls

if TYPE_CHECKING:
    from algo_local.execution.workers.contract import Worker, Workers
    from algo_local.execution.workers.keeper import Keeper

_LETTERS = string.ascii_letters + string.digits
_CANNOT_START = Failure("The algorithm's process could not be started", "SystemError")
LOAD_SECONDS = 600.0
"""Maximum seconds for loading an algorithm before its first call."""


class WorkerPool:
    """Carries out the decisions of `Scheduler`: which call gets a worker, and which workers are started and stopped.

    `LocalPool` adds the contract of executors. Each worker is started in a thread of its own.
    """

    def __init__(
        self,
        endpoint: Callable[[], Endpoint],
        directory: Path,
        scaling: Scaling | None = None,
        keeper: Keeper | None = None,
        workers: Workers | None = None,
    ) -> None:
        self.scaling = scaling or Scaling.of()
        self._endpoint = endpoint
        self._directory = directory
        self._keeper = keeper
        self._lock = threading.Lock()
        self._closing = threading.Condition(self._lock)  # the janitor thread waits for it
        self._quiet = threading.Condition(self._lock)  # `drain` waits for it
        self._none_starts = threading.Condition(self._lock)
        self._scheduler: Scheduler[Worker] = Scheduler(self.scaling)
        self._calls: dict[str, WaitingCall] = {}
        self._serving: dict[str, CallContext] = {}
        self._alive: set[Worker] = set()
        self._loading: set[Worker] = set()
        self._cancelled: set[str] = set()
        self._starting = 0
        self._crashes = Crashes()
        self._short: set[str] = set()
        self._unplaced: dict[Hashable, str] = {}
        """By build, why its starting workers have no place yet: the failure of calls whose time is over before."""
        self._callers: OrderedDict[Hashable, str] = OrderedDict()
        self._factory = workers
        self._janitor: threading.Thread | None = None
        self._closed = False

    # Calls get workers, and return them

    def _acquire(self, call: WaitingCall, deadline: float) -> Failure | None:
        """Wait until a call gets a worker; returns the failure if it gets none."""
        with self._lock:
            if self._closed:
                return NOT_BEGUN
            if failure := self._crashes.failure(call.key, call.arrived):
                return failure
            if call.depth == 0 and self._scheduler.is_full_for(call.account):
                raise TooManyCalls(f"Too many calls of {call.account} wait for a worker; try again")
            self._calls[call.context.request_id] = call
            self._remember_caller(call)
            self._scheduler.arrive(call)
            starts = self._plan()
            if not call.is_decided:
                call.decided = threading.Event()
        self._launch(starts)
        try:
            if call.decided and not call.decided.wait(min(HOLD_SECONDS, max(0.0, deadline - time.monotonic()))):
                with self._lock:
                    starts = self._plan()
                self._launch(starts)
                if not call.decided.wait(min(LONG_SECONDS, max(0.0, deadline - time.monotonic()))):
                    with self._lock:
                        starts = self._plan()
                    self._launch(starts)
                    call.decided.wait(max(0.0, deadline - time.monotonic()))
        finally:
            with self._lock:
                if not call.is_decided:
                    self._decide(call, Failure(self._unplaced.get(call.key) or CANNOT_RUN, "TimeoutError"))
            if call.worker and sys.exc_info()[0]:  # interrupted just as the call got its worker
                self._release(call, call.worker, 0.0, None)
        return call.failure

    def _decide(self, call: WaitingCall, failure: Failure) -> None:
        """End the wait of a call with a failure; the lock is held."""
        self._scheduler.withdraw(call)
        self._calls.pop(call.context.request_id, None)
        self._cancelled.discard(call.context.request_id)
        call.failure = failure
        call.decide()

    def _release(self, call: WaitingCall, worker: Worker, seconds: float, outcome: Outcome | None) -> bool:
        """Return a worker to the pool, or stop it; True if its call was cancelled."""
        identifier = call.context.request_id
        with self._lock:
            self._serving.pop(worker.token, None)  # the token is invalid from here on
            self._calls.pop(identifier, None)
            if not self._calls:
                self._quiet.notify_all()
            cancelled = identifier in self._cancelled
            self._cancelled.discard(identifier)
        keep = False
        try:
            # After a call, whether it lives on is asked before the next one.
            keep = (outcome is not None or worker.is_reusable) and worker.settle() and worker.is_fresh(self.scaling)
        finally:
            with self._lock:
                now = time.monotonic()
                if outcome and not cancelled:
                    self._note_loading(call.key, worker, outcome, now)
                keep = keep and not self._closed and not self._must_yield(call)
                worker.idle_since = now
                keep = self._scheduler.ended(call, seconds, keep=keep)
                if keep:
                    self._ensure_janitor()
                else:
                    self._alive.discard(worker)
                starts = self._plan()
            if not keep:
                worker.stop()
            self._launch(starts)
        return cancelled

    def _note_loading(self, key: Hashable, worker: Worker, outcome: Outcome, now: float) -> None:
        """Record whether a build could be loaded. The lock is held."""
        if worker.is_loaded:
            self._crashes.forget(key)
        elif outcome.failure and outcome.failure.error_type != "TimeoutError" and not outcome.failure.ended:
            self._crashes.failed(key, outcome.failure, now)

    def _must_yield(self, call: WaitingCall) -> bool:
        """Whether the worker of an ended call has to be stopped to make room for another account; the lock is held."""
        for account in self._short:
            if self._scheduler.has_had_less(account, call.account):
                self._short.discard(account)
                return True
        return False

    def _plan(self) -> list[Start[Worker]]:
        """Assign idle workers to calls; returns the workers to start. The lock is held."""
        plan = self._scheduler.plan(time.monotonic())
        for ticket in plan.given:
            assert isinstance(ticket, WaitingCall)
            assert ticket.worker is not None
            self._serving[ticket.worker.token] = ticket.context
            ticket.decide()
        for start in plan.starts:
            if start.instead_of:
                self._alive.discard(start.instead_of)
        self._starting += len(plan.starts)
        return plan.starts

    def _remember_caller(self, call: WaitingCall) -> None:
        self._callers[call.key] = call.account
        self._callers.move_to_end(call.key)
        if len(self._callers) > REMEMBERED:
            self._callers.popitem(last=False)

    # Starting workers

    def _launch(self, starts: list[Start[Worker]]) -> None:
        for start in starts:
            try:
                threading.Thread(target=self._start, args=(start,), name="algo-start", daemon=True).start()
            except RuntimeError as error:  # the system grants no thread
                self._start_ended(
                    start, None, Failure(f"The algorithm's process could not be started: {error}", "SystemError")
                )

    def _start(self, start: Start[Worker]) -> None:
        """Start a worker in a thread; its call takes the first worker that becomes ready."""
        call = start.ticket
        assert isinstance(call, WaitingCall)
        token = new_token()
        worker: Worker | None = None
        failure = _CANNOT_START
        try:
            if start.instead_of:
                start.instead_of.stop()
            with self._lock:
                self._serving[token] = call.context  # the algorithm may call the platform while it loads
            worker = self._workers().start(
                *(call.build, call.account, token, call.label, call.depth),
                on_load=lambda: self._loading_takes_long(start),
                on_wait=lambda reason: self._note_place(call.key, reason),
            )
        except (OSError, AlgoError) as error:
            failure = Failure(start_failure(call.build, error), "SystemError")
        finally:
            with self._lock:
                self._serving.pop(token, None)
            self._start_ended(start, worker, failure)
        time.sleep(HOLD_SECONDS)  # then start another one if calls still wait
        with self._lock:
            starts = self._plan()
        self._launch(starts)

    def _start_ended(self, start: Start[Worker], worker: Worker | None, failure: Failure) -> None:
        call = start.ticket
        assert isinstance(call, WaitingCall)
        with self._lock:
            unwanted = self._register(start, worker)
            if not worker:
                self._crashes.failed(call.key, failure, time.monotonic())
                if not call.is_decided:
                    self._decide(call, failure)
            starts = self._plan()
            unneeded = self._remove_surplus()
        if unwanted:
            unwanted.stop()
        self._launch(starts)
        stop_all(unneeded)

    def _start_missing(self, call: WaitingCall) -> None:
        """Start the workers that a build lacks of its minimum or its reservation; the lock is held."""
        starts = self._scheduler.ahead(call)
        self._starting += len(starts)
        for start in starts:
            threading.Thread(target=self._start_in_advance, args=(call, start), name="algo-ahead", daemon=True).start()

    def _start_in_advance(self, call: WaitingCall, start: Start[Worker]) -> None:
        worker: Worker | None = None
        failure: Failure | None = _CANNOT_START
        try:
            worker = self._workers().start(
                *(call.build, call.account, new_token(), call.label, call.depth),
                on_load=lambda: self._loading_takes_long(start),
                on_wait=lambda reason: self._note_place(call.key, reason),
            )
            failure = self._load(worker, start)
            if failure:
                worker.stop()
                worker = None
        except (OSError, AlgoError) as error:
            failure = Failure(start_failure(call.build, error), "SystemError")
        with self._lock:
            unwanted = self._register(start, worker)
            if worker and not unwanted:
                self._crashes.forget(call.key)
            elif failure:
                self._crashes.failed(call.key, failure, time.monotonic())
            starts = self._plan()
            unneeded = self._remove_surplus()
        if unwanted:
            unwanted.stop()
        self._launch(starts)
        stop_all(unneeded)

    def _load(self, worker: Worker, start: Start[Worker]) -> Failure | None:
        """Load an algorithm before its first call, unless the pool is closed meanwhile."""
        if worker.is_loaded:
            return None
        with self._lock:
            if self._closed:
                return NOT_BEGUN
            self._loading.add(worker)
        try:
            self._loading_takes_long(start)
            return worker.load(time.monotonic() + LOAD_SECONDS)
        finally:
            with self._lock:
                self._loading.discard(worker)

    def _loading_takes_long(self, start: Start[Worker]) -> None:
        """Tell the scheduler that a start waits for loading, so that other workers may be started meanwhile."""
        with self._lock:
            self._scheduler.slows(start)
            starts = self._plan()
        self._launch(starts)

    def _note_place(self, key: Hashable, unplaced: str) -> None:
        """Note why a worker of a build has no place yet; empty if it has one."""
        with self._lock:
            if unplaced:
                self._unplaced[key] = unplaced
            else:
                self._unplaced.pop(key, None)

    def _register(self, start: Start[Worker], worker: Worker | None) -> Worker | None:
        """Register the result of a start; returns the worker if the pool was closed meanwhile. The lock is held."""
        self._starting -= 1
        self._unplaced.pop(start.ticket.key, None)
        self._none_starts.notify_all()
        wanted = None if self._closed else worker
        self._scheduler.started(start, wanted, time.monotonic())
        if wanted is None:
            return worker
        wanted.idle_since = time.monotonic()
        self._alive.add(wanted)
        self._ensure_janitor()
        return None

    def _workers(self) -> Workers:
        with self._lock:
            if self._factory is None:
                from algo_local.execution.workers.worker import Workers

                self._factory = Workers(self._endpoint, self._directory, self._keeper)
            return self._factory

    # Stopping idle workers

    def _remove_surplus(self) -> list[Worker]:
        """Remove idle workers beyond their limits or idle time, and return them to be stopped; the lock is held."""
        idle = self._scheduler.retirable(time.monotonic() - self.scaling.idle)
        found = dict.fromkeys([*self._scheduler.surplus(), *idle])
        for key, worker in found:
            self._scheduler.retire(key, worker)
            self._alive.discard(worker)
        return [worker for _, worker in found]

    def _ensure_janitor(self) -> None:
        if self._janitor is None and not self._closed:
            self._janitor = threading.Thread(target=self._retire_idle, name="algo-idle", daemon=True)
            self._janitor.start()

    def _retire_idle(self) -> None:
        """Stop workers after their idle time; the thread ends when none is left."""
        while True:
            with self._lock:
                oldest = min((worker.idle_since for _, worker in self._scheduler.idle()), default=None)
                if oldest is None or self._closed:
                    self._janitor = None
                    return
                moment = time.monotonic() - self.scaling.idle
                retired = self._scheduler.retirable(moment)
                if not retired:
                    self._closing.wait(max(oldest - moment, self.scaling.idle / 4))
                    continue
                for key, worker in retired:
                    self._scheduler.retire(key, worker)
                    self._alive.discard(worker)
            stop_all([worker for _, worker in retired])


def new_token() -> str:
    """A new token of a worker, in the form of an API key."""
    return "sim" + "".join(secrets.choice(_LETTERS) for _ in range(25))


def start_failure(build: Build, error: OSError | AlgoError) -> str:
    """The message about a worker that could not be started."""
    if isinstance(error, AlgoError):
        return f"{error.message}. {error.hint}" if error.hint else error.message
    for path in (build.source, build.python):
        if not path.exists():
            return f"The build of this version is incomplete ({path} is missing); publish the algorithm again"
    return f"The algorithm's process could not be started: {error}"


def stop_all(workers: list[Worker]) -> None:
    """Stop idle workers concurrently, so that together they take as long as the slowest."""
    if not workers:
        return
    from algo_local.execution.workers.process import STOP_GRACE

    deadline = time.monotonic() + STOP_GRACE
    for worker in workers:
        worker.end_input()
    for worker in workers:
        worker.stop(grace=deadline - time.monotonic())
