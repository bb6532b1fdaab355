"""The executor of `algo local dev`: keeps a worker of the newest build warm, and none of older ones."""

from __future__ import annotations

import threading
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

from algo_local.algorithms.build import Build
from algo_local.callers import CallContext
from algo_local.execution.executor import Description, Endpoint
from algo_local.execution.payload import Outcome, Payload
from algo_local.execution.scaling import Scaling
from algo_local.execution.workers.local_pool import LocalPool

DRAIN_SECONDS = 60.0
"""Seconds that calls of an older build may still take."""


class DevelopmentExecutor:
    """Runs the newest build of the developed directory in a pool of its own, and all other builds in a common pool."""

    def __init__(self, endpoint: Callable[[], Endpoint], directory: Path) -> None:
        self._endpoint = endpoint
        self._directory = directory
        self._lock = threading.Lock()
        self._others = LocalPool(endpoint, directory)
        self._newest: tuple[Build, LocalPool] | None = None
        self._older: set[LocalPool] = set()

    def renew(self, build: Build) -> None:
        """Keep a worker of this build warm from now on, instead of the previous one's."""
        pool = LocalPool(self._endpoint, self._directory, replace(Scaling.of(), least=1))
        with self._lock:
            before, self._newest = self._newest, (build, pool)
            if before:
                self._older.add(before[1])
        if before:
            threading.Thread(target=self._end, args=(before[1],), name="algo-renewed", daemon=True).start()

    def _end(self, pool: LocalPool) -> None:
        pool.drain(DRAIN_SECONDS)
        pool.close()
        with self._lock:
            self._older.discard(pool)

    def _pools(self) -> list[LocalPool]:
        with self._lock:
            return [self._others, *self._older, *([self._newest[1]] if self._newest else [])]

    def start(self) -> None:
        """See `Executor.start`."""

    def call(self, build: Build, payload: Payload, **options: Any) -> Outcome:
        """See `Executor.call`."""
        with self._lock:
            pool = self._newest[1] if self._newest and self._newest[0].source == build.source else self._others
        return pool.call(build, payload, **options)

    def cancel(self, request_id: str) -> bool:
        """See `Executor.cancel`."""
        return any(pool.cancel(request_id) for pool in self._pools())

    def context_of(self, token: str) -> CallContext | None:
        """See `Executor.context_of`."""
        found = (pool.context_of(token) for pool in self._pools())
        return next((context for context in found if context), None)

    def describe(self) -> Description:
        """See `Executor.describe`."""
        each = [pool.describe() for pool in self._pools()]
        return Description(*(sum(numbers) for numbers in zip(*each, strict=True)))

    def drain(self, seconds: float) -> bool:
        """See `Executor.drain`."""
        ended = [pool.drain(seconds) for pool in self._pools()]  # each pool refuses calls from now on
        return all(ended)

    def close(self) -> None:
        """See `Executor.close`."""
        for pool in self._pools():
            pool.close()
