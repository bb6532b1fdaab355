"""A call that waits for a worker of its build: the scheduler's ticket, with the call's context and result."""

from __future__ import annotations

import threading
import time

from algo_local.algorithms.build import Build
from algo_local.callers import CallContext
from algo_local.execution.payload import Failure
from algo_local.execution.scheduler import Ticket
from algo_local.execution.workers.contract import Worker

BuildKey = tuple[str, str, str, str, tuple[tuple[str, str], ...], tuple[tuple[str, float], ...]]
"""Strings, since paths are slow to compare."""


def build_key(build: Build) -> BuildKey:
    """The identity of a build for the scheduler: builds with equal keys share their workers."""
    # Secrets and resources belong to it: a worker keeps those that it was started with.
    return str(build.source), str(build.python), build.module, build.network_access, build.secrets, build.resources


class WaitingCall(Ticket[Worker]):
    """A waiting call, until it gets a worker or fails."""

    def __init__(self, build: Build, context: CallContext) -> None:
        super().__init__(build_key(build), context.caller, context.depth, time.monotonic())
        self.least, self.most = build.min_workers, build.max_workers
        self.label = "/".join(context.algorithm)
        self.build = build
        self.context = context
        self.failure: Failure | None = None
        self.is_decided = False
        self.decided: threading.Event | None = None
        """Set by `decide`; created only if a thread waits for it, since events are expensive."""

    def decide(self) -> None:
        """The call has a worker, or a failure. The pool's lock is held."""
        self.is_decided = True
        if self.decided:
            self.decided.set()
