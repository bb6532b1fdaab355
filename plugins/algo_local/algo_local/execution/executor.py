"""Run algorithms in warm workers: which worker takes a call, for whom it acts, and when it is started and ended."""

from __future__ import annotations

import atexit
import secrets
import string
import threading
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from algo_core.errors import AlgoError
from algo_local.algorithms.build import Build
from algo_local.callers import CallContext
from algo_local.execution.payload import SHUTTING_DOWN, Failure, Outcome, Payload
from algo_local.execution.protocol import CANNOT_RUN, encode_request

if TYPE_CHECKING:
    from algo_local.execution.worker import Endpoint, Worker, Workers

_LETTERS = string.ascii_letters + string.digits

_CANCELLED = Failure("The call was cancelled", "SystemError", ended="cancelled")

_Key = tuple[Path, Path, str, str, tuple[tuple[str, str], ...]]


def _key(build: Build) -> _Key:
    # A worker never gets to know secrets that are set or changed after it was started: others take the calls then.
    return build.source, build.python, build.module, build.network_access, build.secrets


class _Pool:
    """The workers of one build. The executor's lock guards it."""

    def __init__(self) -> None:
        self.idle: list[Worker] = []
        self.count = 0

    def take(self, account: str) -> Worker | None:
        """The worker of this account that was idle for the shortest time; nobody else's may serve it."""
        mine = next((worker for worker in reversed(self.idle) if worker.account == account), None)
        return self.remove(mine) if mine else None

    def oldest(self) -> Worker | None:
        """The worker that was idle for the longest time."""
        return self.remove(self.idle[0]) if self.idle else None

    def remove(self, worker: Worker) -> Worker:
        """Take one of the idle workers out."""
        self.idle.remove(worker)
        return worker


class Executor:
    """Runs builds, each in up to `replicas_per_build` workers that are kept for `idle_seconds` after their last call.

    A worker serves one account, and one call at a time; what a build keeps in memory or on disk between calls is never
    seen by another account. Calls beyond the limit wait for a worker of their account to come free, or replace an idle
    one of another account. Calls that algorithms make are allowed as many workers again for each level below the
    client's call, so that an algorithm that calls itself never waits for a worker that waits for it.

    `endpoint()` gives where algorithms call the platform; asked whenever a worker is started. Workers keep their files
    below `directory`. All methods may be called from any thread.
    """

    def __init__(
        self,
        endpoint: Callable[[], Endpoint],
        directory: Path,
        *,
        replicas_per_build: int = 4,
        idle_seconds: float = 300.0,
    ) -> None:
        self._endpoint = endpoint
        self._directory = directory
        self._replicas_per_build = replicas_per_build
        self._idle_seconds = idle_seconds
        lock = threading.Lock()
        self._changed = threading.Condition(lock)  # a worker came free, or went
        self._closing = threading.Condition(lock)  # apart, so that a call's end does not wake the janitor
        self._pools: dict[_Key, _Pool] = {}
        self._serving: dict[str, CallContext] = {}
        self._waiting: set[str] = set()
        self._cancelled: set[str] = set()
        self._alive: set[Worker] = set()
        self._factory: Workers | None = None
        self._janitor: threading.Thread | None = None
        self._closed = False
        atexit.register(self.close)

    def run(
        self,
        build: Build,
        payload: Payload,
        *,
        timeout: float,
        context: CallContext,
        on_start: Callable[[str], None] | None = None,
    ) -> Outcome:
        """Hand `payload` to the algorithm and return what came of it, at the latest when `timeout` seconds are over.

        `on_start` is told the worker's name when one has taken the call.

        The time includes waiting for a worker and loading. When it is over, the process and its children are killed.
        Nothing that the algorithm does is raised; see `Failure`. Raises TypeError or ValueError if the payload's data
        is not of its content type.
        """
        deadline = time.monotonic() + timeout
        request = encode_request(payload)
        try:
            worker = self._acquire(build, context, deadline)
        except _NoWorker as refusal:
            return Outcome(None, refusal.failure, 0.0, "")
        try:
            if on_start:
                on_start(worker.name)
            outcome = worker.call(request, deadline)
        finally:
            cancelled = self._release(build, worker)
        return replace(outcome, result=None, failure=_CANCELLED) if cancelled and outcome.failure else outcome

    def cancel(self, request_id: str) -> bool:
        """End a call that waits or runs; whether there was one. What it has answered by then stands."""
        with self._changed:
            if request_id in self._waiting:
                self._cancelled.add(request_id)
                self._changed.notify_all()
                return True
            serving = [token for token, context in self._serving.items() if context.request_id == request_id]
            workers = [worker for worker in self._alive if worker.token in serving]
            if serving:
                self._cancelled.add(request_id)
        for worker in workers:
            worker.kill()
        return bool(serving)

    def context_of(self, token: str) -> CallContext | None:
        """The call that the worker with this token (its `ALGORITHMIA_API_KEY`) serves now; None if it serves none."""
        with self._changed:
            return self._serving.get(token)

    def close(self) -> None:
        """End every worker: idle ones get 3 seconds to do so by themselves, busy ones are killed. May be repeated."""
        atexit.unregister(self.close)
        with self._changed:
            self._closed = True
            idle = [worker for pool in self._pools.values() for worker in pool.idle]
            self._pools = {key: pool for key, pool in self._pools.items() if self._without_idle(pool)}
            self._alive.difference_update(idle)
            busy = list(self._alive)
            self._changed.notify_all()
            self._closing.notify_all()
        for worker in busy:
            worker.kill()  # the thread that waits for its answer cleans up behind it
        _stop_all(idle)
        if self._factory:
            self._factory.close()

    @staticmethod
    def _without_idle(pool: _Pool) -> bool:
        """Forget the pool's idle workers; whether there are others."""
        pool.count -= len(pool.idle)
        pool.idle = []
        return pool.count > 0

    def _acquire(self, build: Build, context: CallContext, deadline: float) -> Worker:
        limit = self._replicas_per_build * (context.depth + 1)
        leaving: list[Worker] = []
        try:
            with self._changed:
                self._waiting.add(context.request_id)
                while True:
                    if self._closed:
                        raise _NoWorker(SHUTTING_DOWN)
                    if self._is_cancelled(context):
                        raise _NoWorker(_CANCELLED)
                    pool = self._pools.setdefault(_key(build), _Pool())
                    while worker := pool.take(context.caller):
                        if worker.is_reusable:
                            self._serving[worker.token] = context
                            return worker
                        leaving.append(self._dismissed(pool, worker))
                    if pool.count >= limit and (other := pool.oldest()):
                        leaving.append(self._dismissed(pool, other))
                    if pool.count < limit:
                        pool.count += 1
                        break
                    if not self._changed.wait(deadline - time.monotonic()):
                        raise _NoWorker(Failure(CANNOT_RUN, "TimeoutError"))
        finally:
            with self._changed:
                self._waiting.discard(context.request_id)
            for worker in leaving:
                worker.stop()
        return self._start(build, context)

    def _dismissed(self, pool: _Pool, worker: Worker) -> Worker:
        """Count an idle worker no longer; the lock is held, so that ending it is left to the caller."""
        pool.count -= 1
        self._alive.discard(worker)
        return worker

    def _start(self, build: Build, context: CallContext) -> Worker:
        token = "sim" + "".join(secrets.choice(_LETTERS) for _ in range(25))
        with self._changed:
            self._serving[token] = context  # loading may already call the platform
        try:
            worker = self._workers().start(build, context.caller, token)
        except BaseException as error:
            with self._changed:
                self._is_cancelled(self._serving.pop(token))
                self._forget(build)
            if isinstance(error, (OSError, AlgoError)):
                raise _NoWorker(Failure(_explain(build, error), "SystemError")) from error
            raise
        with self._changed:
            self._alive.add(worker)
            unwanted = self._closed or context.request_id in self._cancelled
        if unwanted:
            worker.kill()
        return worker

    def _workers(self) -> Workers:
        with self._changed:
            if self._factory is None:
                from algo_local.execution.worker import Workers

                self._factory = Workers(self._endpoint, self._directory)
            return self._factory

    def _release(self, build: Build, worker: Worker) -> bool:
        """Have a worker take another call, or end it; whether its call was to be cancelled."""
        with self._changed:
            context = self._serving.pop(worker.token, None)  # from here on, what is left of the call acts for nobody
            cancelled = self._is_cancelled(context)
        keep = False
        try:
            keep = worker.settle()
        finally:
            with self._changed:
                keep = keep and not self._closed
                if keep:
                    worker.idle_since = time.monotonic()
                    self._pools[_key(build)].idle.append(worker)
                    self._changed.notify_all()
                    self._ensure_janitor()
                else:
                    self._alive.discard(worker)
                    self._forget(build)
            if not keep:
                worker.stop()
        return cancelled

    def _is_cancelled(self, context: CallContext | None) -> bool:
        """Whether a call was to be cancelled, which is forgotten with this; the lock is held."""
        if context is None or context.request_id not in self._cancelled:
            return False
        self._cancelled.discard(context.request_id)
        return True

    def _forget(self, build: Build) -> None:
        """One worker of the build fewer; the lock is held."""
        pool = self._pools[_key(build)]
        pool.count -= 1
        if not pool.count:
            del self._pools[_key(build)]
        self._changed.notify_all()

    def _ensure_janitor(self) -> None:
        if self._janitor is None:
            self._janitor = threading.Thread(target=self._retire_idle, name="algo-idle", daemon=True)
            self._janitor.start()

    def _retire_idle(self) -> None:
        """End workers that nobody called for `idle_seconds`; ends itself when there is none left to watch."""
        while True:
            with self._changed:
                oldest = min(
                    (worker.idle_since for pool in self._pools.values() for worker in pool.idle),
                    default=None,
                )
                if oldest is None or self._closed:
                    self._janitor = None
                    return
                wait = oldest + self._idle_seconds - time.monotonic()
                if wait > 0:
                    self._closing.wait(wait)
                    continue
                retired = self._take_idle_before(time.monotonic() - self._idle_seconds)
            _stop_all(retired)

    def _take_idle_before(self, moment: float) -> list[Worker]:
        retired = []
        for key, pool in list(self._pools.items()):
            for worker in [worker for worker in pool.idle if worker.idle_since <= moment]:
                retired.append(self._dismissed(pool, pool.remove(worker)))
            if not pool.count:
                del self._pools[key]
        return retired


class _NoWorker(Exception):
    """No worker can take the call; the failure to report."""

    def __init__(self, failure: Failure) -> None:
        super().__init__(failure.message)
        self.failure = failure


def _explain(build: Build, error: OSError | AlgoError) -> str:
    if isinstance(error, AlgoError):
        return f"{error.message}. {error.hint}" if error.hint else error.message
    for path in (build.source, build.python):
        if not path.exists():
            return f"The build of this version is incomplete ({path} is missing); publish the algorithm again"
    return f"The algorithm's process could not be started: {error}"


def _stop_all(workers: list[Worker]) -> None:
    """End workers that serve no call: all at once, so that together they take no longer than the slowest."""
    if not workers:
        return
    from algo_local.execution.process import STOP_GRACE

    deadline = time.monotonic() + STOP_GRACE
    for worker in workers:
        worker.end_input()
    for worker in workers:
        worker.stop(grace=deadline - time.monotonic())
