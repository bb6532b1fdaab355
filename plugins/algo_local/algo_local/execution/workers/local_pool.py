"""The executor on this machine: a call waits for a warm worker, which then acts for its caller."""

from __future__ import annotations

import atexit
import secrets
import string
import sys
import threading
import time
from collections import Counter, OrderedDict
from collections.abc import Callable, Hashable, Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, cast

from algo_core.errors import AlgoError
from algo_local.algorithms.build import Build
from algo_local.callers import CallContext
from algo_local.execution.executor import Description, Endpoint
from algo_local.execution.payload import NOT_BEGUN, Failure, Outcome, Payload
from algo_local.execution.protocol import CANNOT_RUN, encode_request
from algo_local.execution.scaling import Scaling
from algo_local.execution.scheduler import (
    HOLD_SECONDS,
    LONG_SECONDS,
    REMEMBERED,
    BuildWorkers,
    Scheduler,
    Start,
    Ticket,
)
from algo_local.execution.workers.contract import NotHandedOver
from algo_local.execution.workers.crashes import Crashes
from algo_local.refusals import TooManyCalls

if TYPE_CHECKING:
    from algo_local.execution.workers.contract import Worker, Workers
    from algo_local.execution.workers.keeper import Keeper

_LETTERS = string.ascii_letters + string.digits
_CANCELLED = Failure("The call was cancelled", "SystemError", ended="cancelled")
_CANNOT_START = Failure("The algorithm's process could not be started", "SystemError")
LOAD_SECONDS = 600.0
"""Seconds that loading an algorithm ahead of calls may take."""

ATTEMPTS = 3
"""Workers that a call is given one after the other, where those before were lost before they could run it."""

_START_GRACE = 10.0
"""Seconds that `close` waits for starting processes."""

_Key = tuple[str, str, str, str, tuple[tuple[str, str], ...], tuple[tuple[str, float], ...]]
"""Strings, since paths are slow to compare."""


def _key(build: Build) -> _Key:
    # A worker never gets to know secrets, nor takes other resources, that are set after it was started: others take
    # the calls then.
    return str(build.source), str(build.python), build.module, build.network_access, build.secrets, build.resources


class _Call(Ticket["Worker"]):
    """A waiting call, until it gets a worker or is given up."""

    def __init__(self, build: Build, context: CallContext) -> None:
        super().__init__(_key(build), context.caller, context.depth, time.monotonic())
        self.least, self.most = build.min_workers, build.max_workers
        self.label = "/".join(context.algorithm)
        self.build = build
        self.context = context
        self.failure: Failure | None = None
        self.is_decided = False
        self.told: threading.Event | None = None
        """Set when it is decided, if that took so long that a thread waits for it: events are dear."""

    def decide(self) -> None:
        """It has a worker, or a failure; the lock is held."""
        self.is_decided = True
        if self.told:
            self.told.set()


class LocalPool:
    """The executor on this machine: runs builds in workers that are kept for a while after their last call.

    `Scaling` says how many there are, and how long they are kept.

    A worker serves one account, and one call at a time; what a build keeps in memory or on disk between calls is never
    seen by another account. Which call is next, `Scheduler` decides.

    `endpoint()` gives where algorithms call the platform; asked whenever a worker is started. Workers keep their files
    below `directory`. Idle ones go to the `keeper` when `rest` is called. All methods may be called from any thread.

    `workers` starts workers elsewhere than on this machine.
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
        self._closing = threading.Condition(self._lock)  # what the janitor waits for
        self._quiet = threading.Condition(self._lock)  # what `drain` waits for
        self._none_starts = threading.Condition(self._lock)
        self._scheduler: Scheduler[Worker] = Scheduler(self.scaling)
        self._calls: dict[str, _Call] = {}
        self._serving: dict[str, CallContext] = {}
        self._alive: set[Worker] = set()
        self._loading: set[Worker] = set()
        self._cancelled: set[str] = set()
        self._starting = 0
        self._crashes = Crashes()
        self._short: set[str] = set()
        self._unplaced: dict[Hashable, str] = {}
        """Why workers of a build that are being started have no place, for calls whose time is over before."""
        self._callers: OrderedDict[Hashable, str] = OrderedDict()
        self._factory = workers
        self._janitor: threading.Thread | None = None
        self._closed = False
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

    def _acquired(self, build: Build, context: CallContext, deadline: float) -> _Call:
        """A call with a worker that can take it, or with a failure."""
        while True:
            call = _Call(build, context)
            call.failure = self._acquire(call, deadline)
            worker = call.worker
            if call.failure or worker is None or worker.is_reusable or not worker.is_loaded:
                return call
            self._release(call, worker, 0.0, None)  # it has ended, or said something, while it was idle

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
        """Have a call end that waits, as by the platform's end; False for one that runs."""
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
        """End a worker, since there is no room to start one of a build for an account.

        It is the one that was idle the longest of those that are not to be kept; never one of the same build and
        account, which can take the call as it is. If there is none, it is the next one that has served a call of an
        account that has had more service.
        """
        with self._lock:
            idle = self._scheduler.retirable(time.monotonic())
            own = _key(build), account
            others = [found for found in idle if (found[0], found[1].account) != own]
            if not others:
                if not idle:
                    self._short.add(account)
                return
            key, worker = min(others, key=lambda found: found[1].idle_since)
            self._scheduler.retire(key, worker)
            self._alive.discard(worker)
        _stop_all([worker])

    def _gives_way(self, call: _Call) -> bool:
        """Whether the worker of a call that has ended is to make room for another account; the lock is held."""
        for account in self._short:
            if self._scheduler.has_had_less(account, call.account):
                self._short.discard(account)
                return True
        return False

    def queues(self) -> dict[str, int]:
        """How many calls wait for a worker, by algorithm."""
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
            worker.kill()  # the thread that waits for its answer cleans up behind it
        _stop_all([worker for _, worker in idle])
        if self._factory:
            self._factory.close()
        with self._lock:
            self._none_starts.wait_for(lambda: not self._starting, timeout=_START_GRACE)

    def prepare(self, build: Build, context: CallContext) -> None:
        """Start workers of a build, and load it, until it has its `min_workers`; returns at once.

        They are for the account that called it last in this process, at first that of `context`.
        """
        with self._lock:
            key, now = _key(build), time.monotonic()
            if self._closed or self._crashes.failure(key, now):
                return
            self._ahead(_Call(build, replace(context, caller=self._callers.get(key, context.caller))))

    def reserve(self, wanted: Sequence[tuple[Build, CallContext, int]]) -> None:
        """Start workers of builds for the callers of contexts, until each has so many; returns at once.

        They are kept however long they are idle, and given up to no other account, until this says something else.
        """
        with self._lock:
            if self._closed:
                return
            counts: Counter[tuple[Hashable, str]] = Counter()
            for build, context, count in wanted:
                counts[_key(build), context.caller] += count
            self._scheduler.reserved = counts
            for build, context, _ in wanted:
                if not self._crashes.failure(_key(build), time.monotonic()):
                    self._ahead(_Call(build, context))

    def _ahead(self, call: _Call) -> None:
        """Start missing workers of those to keep ready; the lock is held."""
        starts = self._scheduler.ahead(call)
        self._starting += len(starts)
        for start in starts:
            threading.Thread(target=self._start_ahead, args=(call, start), name="algo-ahead", daemon=True).start()

    def review(self, current: Callable[[str, Path], Build | None], is_account: Callable[[str], bool]) -> None:
        """Have workers follow their builds: idle ones that are too many or outdated end now, busy ones after the call.

        `current` gives the build of a source tree as it is to be run now, by the label of its calls; None if it is to
        be run no more. Workers of accounts that are none any more are outdated as well.
        """
        with self._lock:
            known = {cast("_Key", key): pool.label for key, pool in self._scheduler.pools.items()}
            callers = {account for key in known for account in self._scheduler.accounts(key)}
        builds = {key: current(label, Path(key[0])) for key, label in known.items()}  # it asks the database
        gone = {account for account in callers if not is_account(account)}
        with self._lock:
            for key, build in builds.items():
                if build and _key(build) == key:
                    self._scheduler.limit(key, build.min_workers, build.max_workers)
                    self._scheduler.outdate(key, gone)
                else:
                    self._scheduler.limit(key, 0, 0)
                    self._scheduler.outdate(key, self._scheduler.accounts(key))
            unneeded = self._take_surplus()
        _stop_all(unneeded)

    def _take_surplus(self) -> list[Worker]:
        """Idle workers that are to be ended; the lock is held."""
        idle = self._scheduler.retirable(time.monotonic() - self.scaling.idle)
        found = dict.fromkeys([*self._scheduler.surplus(), *idle])
        for key, worker in found:
            self._scheduler.retire(key, worker)
            self._alive.discard(worker)
        return [worker for _, worker in found]

    def _start_ahead(self, call: _Call, start: Start[Worker]) -> None:
        worker: Worker | None = None
        failure: Failure | None = _CANNOT_START
        try:
            worker = self._workers().start(
                *(call.build, call.account, _new_token(), call.label, call.depth),
                on_load=lambda: self._slows(start),
                on_wait=lambda reason: self._note_place(call.key, reason),
            )
            failure = self._load(worker, start)
            if failure:
                worker.stop()
                worker = None
        except (OSError, AlgoError) as error:
            failure = Failure(_explain(call.build, error), "SystemError")
        with self._lock:
            unwanted = self._take_in(start, worker)
            if worker and not unwanted:
                self._crashes.forget(call.key)
            elif failure:
                self._crashes.failed(call.key, failure, time.monotonic())
            starts = self._plan()
            unneeded = self._take_surplus()
        if unwanted:
            unwanted.stop()
        self._launch(starts)
        _stop_all(unneeded)

    def _load(self, worker: Worker, start: Start[Worker]) -> Failure | None:
        """Load an algorithm ahead of calls, unless the pool is closed in between."""
        if worker.is_loaded:
            return None
        with self._lock:
            if self._closed:
                return NOT_BEGUN
            self._loading.add(worker)
        try:
            self._slows(start)
            return worker.load(time.monotonic() + LOAD_SECONDS)
        finally:
            with self._lock:
                self._loading.discard(worker)

    def _slows(self, start: Start[Worker]) -> None:
        """Let others be started while an algorithm is loaded."""
        with self._lock:
            self._scheduler.slows(start)
            starts = self._plan()
        self._launch(starts)

    def _note_place(self, key: Hashable, unplaced: str) -> None:
        """Note why a worker of a build has no place; empty if it has one."""
        with self._lock:
            if unplaced:
                self._unplaced[key] = unplaced
            else:
                self._unplaced.pop(key, None)

    def _remember_caller(self, call: _Call) -> None:
        self._callers[call.key] = call.account
        self._callers.move_to_end(call.key)
        if len(self._callers) > REMEMBERED:
            self._callers.popitem(last=False)

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
        _stop_all(refused)

    # A call gets a worker, and gives it back

    def _acquire(self, call: _Call, deadline: float) -> Failure | None:
        """Wait for a worker; returns the failure if there is none."""
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
                call.told = threading.Event()
        self._launch(starts)
        try:
            if call.told and not call.told.wait(min(HOLD_SECONDS, max(0.0, deadline - time.monotonic()))):
                with self._lock:
                    starts = self._plan()
                self._launch(starts)
                if not call.told.wait(min(LONG_SECONDS, max(0.0, deadline - time.monotonic()))):
                    with self._lock:
                        starts = self._plan()
                    self._launch(starts)
                    call.told.wait(max(0.0, deadline - time.monotonic()))
        finally:
            with self._lock:
                if not call.is_decided:
                    self._decide(call, Failure(self._unplaced.get(call.key) or CANNOT_RUN, "TimeoutError"))
            if call.worker and sys.exc_info()[0]:  # interrupted as it came
                self._release(call, call.worker, 0.0, None)
        return call.failure

    def _decide(self, call: _Call, failure: Failure) -> None:
        """Remove a call from the queue; the lock is held."""
        self._scheduler.withdraw(call)
        self._calls.pop(call.context.request_id, None)
        self._cancelled.discard(call.context.request_id)
        call.failure = failure
        call.decide()

    def _plan(self) -> list[Start[Worker]]:
        """Assign idle workers to calls; returns the workers to start. The lock is held."""
        plan = self._scheduler.plan(time.monotonic())
        for ticket in plan.given:
            assert isinstance(ticket, _Call)
            assert ticket.worker is not None
            self._serving[ticket.worker.token] = ticket.context
            ticket.decide()
        for start in plan.starts:
            if start.instead_of:
                self._alive.discard(start.instead_of)
        self._starting += len(plan.starts)
        return plan.starts

    def _launch(self, starts: list[Start[Worker]]) -> None:
        for start in starts:
            try:
                threading.Thread(target=self._start, args=(start,), name="algo-start", daemon=True).start()
            except RuntimeError as error:  # the system grants no thread
                self._started(
                    start, None, Failure(f"The algorithm's process could not be started: {error}", "SystemError")
                )

    def _start(self, start: Start[Worker]) -> None:
        """Start a worker in a thread; its call takes the first worker that becomes ready."""
        call = start.ticket
        assert isinstance(call, _Call)
        token = _new_token()
        worker: Worker | None = None
        failure = _CANNOT_START
        try:
            if start.instead_of:
                start.instead_of.stop()
            with self._lock:
                self._serving[token] = call.context  # loading may already call the platform
            worker = self._workers().start(
                *(call.build, call.account, token, call.label, call.depth),
                on_load=lambda: self._slows(start),
                on_wait=lambda reason: self._note_place(call.key, reason),
            )
        except (OSError, AlgoError) as error:
            failure = Failure(_explain(call.build, error), "SystemError")
        finally:
            with self._lock:
                self._serving.pop(token, None)
            self._started(start, worker, failure)
        time.sleep(HOLD_SECONDS)  # by then it is seen whether one more was enough
        with self._lock:
            starts = self._plan()
        self._launch(starts)

    def _started(self, start: Start[Worker], worker: Worker | None, failure: Failure) -> None:
        call = start.ticket
        assert isinstance(call, _Call)
        with self._lock:
            unwanted = self._take_in(start, worker)
            if not worker:
                self._crashes.failed(call.key, failure, time.monotonic())
                if not call.is_decided:
                    self._decide(call, failure)
            starts = self._plan()
            unneeded = self._take_surplus()
        if unwanted:
            unwanted.stop()
        self._launch(starts)
        _stop_all(unneeded)

    def _take_in(self, start: Start[Worker], worker: Worker | None) -> Worker | None:
        """A start has ended, with a worker or without; returns a worker that came too late. The lock is held."""
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

    def _release(self, call: _Call, worker: Worker, seconds: float, outcome: Outcome | None) -> bool:
        """Return a worker to the pool, or stop it; whether its call was cancelled."""
        identifier = call.context.request_id
        with self._lock:
            self._serving.pop(worker.token, None)  # from here on, the token is invalid
            self._calls.pop(identifier, None)
            if not self._calls:
                self._quiet.notify_all()
            cancelled = identifier in self._cancelled
            self._cancelled.discard(identifier)
        keep = False
        try:
            keep = worker.settle() and worker.is_fresh(self.scaling)
        finally:
            with self._lock:
                now = time.monotonic()
                if outcome and not cancelled:
                    self._note(call.key, worker, outcome, now)
                keep = keep and not self._closed and not self._gives_way(call)
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

    def _note(self, key: Hashable, worker: Worker, outcome: Outcome, now: float) -> None:
        """Record whether a build could be loaded; the lock is held."""
        if worker.is_loaded:
            self._crashes.forget(key)
        elif outcome.failure and outcome.failure.error_type != "TimeoutError" and not outcome.failure.ended:
            self._crashes.failed(key, outcome.failure, now)

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
            _stop_all([worker for _, worker in retired])


def _may_repeat(build: Build) -> bool:
    """Whether a call may run twice."""
    from algo_local.algorithms.configuration import is_idempotent

    return is_idempotent(build.source)


def _new_token() -> str:
    return "sim" + "".join(secrets.choice(_LETTERS) for _ in range(25))


def _explain(build: Build, error: OSError | AlgoError) -> str:
    if isinstance(error, AlgoError):
        return f"{error.message}. {error.hint}" if error.hint else error.message
    for path in (build.source, build.python):
        if not path.exists():
            return f"The build of this version is incomplete ({path} is missing); publish the algorithm again"
    return f"The algorithm's process could not be started: {error}"


def _stop_all(workers: list[Worker]) -> None:
    """Stop idle workers concurrently, so that together they take as long as the slowest."""
    if not workers:
        return
    from algo_local.execution.workers.process import STOP_GRACE

    deadline = time.monotonic() + STOP_GRACE
    for worker in workers:
        worker.end_input()
    for worker in workers:
        worker.stop(grace=deadline - time.monotonic())
