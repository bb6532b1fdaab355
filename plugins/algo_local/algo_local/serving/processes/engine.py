"""The engine process of a platform with `--processes`: executor, scheduled calls, notifications and metrics.

Front ends send it their calls, and forward requests whose effect must outlive the front end (`web/forwarding.py`).
"""

from __future__ import annotations

import contextlib
import io
import os
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from algo_core.errors import AlgoError
from algo_local.execution.payload import SHUTTING_DOWN
from algo_local.execution.ready_workers import workers_kept_ready
from algo_local.execution.relay.engine import EngineServer, Tell
from algo_local.execution.workers.process_tree import children
from algo_local.records.record import DONE, FAILED, NONE
from algo_local.serving.log import Log
from algo_local.serving.monitoring import Monitoring
from algo_local.serving.processes.control import CUT, LINK, SERVING, Control
from algo_local.serving.processes.shutdown_limit import limit_shutdown
from algo_local.serving.schedules import Clock
from algo_local.web.answers import answer_of
from algo_local.web.app import Application
from algo_local.web.handlers.invoke import fitting
from algo_local.web.http import Request
from algo_local.worker_updates import review, review_and_prepare

if TYPE_CHECKING:
    from algo_local.algorithms.build import Build
    from algo_local.callers import CallContext
    from algo_local.execution.payload import Outcome
    from algo_local.execution.relay.marks import Marks
    from algo_local.platform import Platform
    from algo_local.records.record import Record


class _Calls:
    """See `algo_local.execution.relay.engine.Calls`."""

    def __init__(self, platform: Platform, monitoring: Monitoring) -> None:
        self._platform = platform
        self._monitoring = monitoring

    def counted(self, account: str) -> contextlib.AbstractContextManager[None]:
        """See `Calls.counted`."""
        return self._platform.concurrency.counted(account)

    def hosted(self, context: CallContext, tell: Tell) -> contextlib.AbstractContextManager[None]:
        """See `Calls.hosted`."""
        return _Hosted(self._platform, context, tell)

    def ended(self, context: CallContext, build: Build, outcome: Outcome | None, waited: float | None) -> None:
        """See `Calls.ended`."""
        failure = fitting(build, outcome).failure if outcome else SHUTTING_DOWN
        state = failure.ended or FAILED if failure else DONE
        self._monitoring.count("/".join(context.algorithm), state, outcome.duration if outcome else None, waited)

    def adopt(self, context: CallContext, build: Build, outcome: Outcome, worker: str) -> None:
        """See `Calls.adopt`."""
        algorithm = self._platform.registry.algorithm(*context.algorithm)
        level = algorithm.request_records if algorithm else NONE
        if level != NONE:
            self._platform.records.adopt(context.request_id, answer_of(fitting(build, outcome)), worker, level)

    def settled(self) -> None:
        """See `Calls.settled`."""
        self._platform.records.flush()


class _Hosted:
    """See `Calls.hosted`. A class, since a generator would cost more in each call."""

    __slots__ = ("_context", "_platform", "_tell")

    def __init__(self, platform: Platform, context: CallContext, tell: Tell) -> None:
        self._platform = platform
        self._context = context
        self._tell = tell

    def __enter__(self) -> None:
        self._platform.records.host(self._context.request_id, self._tell)

    def __exit__(self, *_: object) -> None:
        self._platform.records.end_hosting(self._context.request_id)
        if self._context.session == self._context.request_id:  # only this process knows the session
            self._platform.hosted.end_session(self._context.session)


def run_engine(
    control: Control,
    platform: Platform,
    marks: Marks,
    *,
    scheme: str,
    is_public: bool,
    say: Callable[[str], None],
    on_call: Callable[[Record], None] | None,
) -> None:
    """Run the engine until the parent ends it.

    Raises:
        AlgoError: if the platform's state cannot be used, or the executor cannot be started.
    """
    log = Log(say)
    platform.is_public, platform.is_served = is_public, True
    monitoring = Monitoring(platform, _processes)
    platform.records.observers += [monitoring.observe, *([on_call] if on_call else [])]
    platform.records.tell = log
    platform.ensure_key()
    if told := platform.unshared():
        say(told)
    platform.objects.check()  # an unusable object store is an error at start
    application = Application(platform, scheme=scheme, on_failure=log, interceptor=monitoring.answer)
    server = EngineServer(platform.executor, _Calls(platform, monitoring), _questions(platform, application), marks)
    schedules = Clock(platform, on_failure=log)
    try:
        with workers_kept_ready(lambda: review_and_prepare(platform), platform.changed, on_failure=log):
            platform.webhooks.start()
            schedules.start()
            control.check = server.check
            control.ready()
            for order in control.orders():
                if order.name == LINK and order.link:
                    server.serve(order.link)
                elif order.name == SERVING and platform.account and not platform.keys.all():
                    say("There are no keys yet; make one with: algo local key new OWNER")
                elif order.name == CUT:
                    schedules.stop()
                    platform.executor.close()
                    control.ready()
    finally:
        limit_shutdown()
        schedules.stop()
        platform.executor.close()
        server.close()
        platform.end_background()
        platform.close()


def _processes() -> list[int]:
    """The process ids of the parent and of its children: the engine and the front ends, not workers of algorithms."""
    return [os.getppid(), *(children(os.getppid()) or {os.getpid()})]


def _questions(platform: Platform, application: Application) -> dict[str, Callable[[Any, bytes], tuple[Any, bytes]]]:
    def answer(head: Any, body: bytes) -> tuple[Any, bytes]:
        method, target, headers = head
        response = application.answer(Request(method, target, headers, io.BytesIO(body), len(body)))
        assert isinstance(response.body, bytes), f"{target} has a body that is no bytes"
        return (response.status, response.headers, response.length), response.body

    def follow(head: Any, body: bytes) -> tuple[Any, bytes]:
        with contextlib.suppress(AlgoError):
            review(platform)
        platform.changed.set()
        return None, b""

    def notify(head: Any, body: bytes) -> tuple[Any, bytes]:
        platform.webhooks.start()
        return None, b""

    def build(head: Any, body: bytes) -> tuple[Any, bytes]:
        platform.pending_builds.begin(str(head))
        return None, b""

    return {"answer": answer, "follow": follow, "notify": notify, "build": build}
