"""Limits on the number and lifetime of workers, and their settings."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass

from algo_local.execution.limits import count_of, physical_memory, size_of

UNLIMITED = 1 << 40
"""Bytes of memory that no worker reaches: it is not looked at then."""

WORKER_BYTES = 32 << 20
"""The memory of a small worker, in bytes."""


@dataclass(frozen=True, slots=True)
class Scaling:
    """Limits of workers and calls, times in seconds."""

    total: int = 64
    """Workers at once; as many again for each level of calls that algorithms make."""
    most: int = 48
    """Workers of one build at once; the same."""
    least: int = 0
    """Workers of one build that are kept however long they were idle."""
    queue: int = 1000
    """Calls that may wait for a worker; when so many do, an account may add calls up to an even share of it."""
    idle: float = 300.0
    """Seconds that a worker is kept after its last call."""
    age: float = 3600.0
    calls: int = 10_000
    memory: int = UNLIMITED
    """Bytes that a worker's processes may have in memory together after a call; with more it is replaced."""

    @classmethod
    def of(cls, environ: Mapping[str, str] = os.environ) -> Scaling:
        """The limits from the environment (`ALGO_LOCAL_WORKERS`, ...); at most three quarters of all workers for one
        build.

        Raises:
            ConfigError: if a variable does not hold a size or number.
        """
        total = count_of(environ, "ALGO_LOCAL_WORKERS", max(8, min(256, physical_memory() * 3 // 4 // WORKER_BYTES)))
        return cls(
            total=total,
            most=min(total, count_of(environ, "ALGO_LOCAL_WORKERS_PER_VERSION", max(1, total * 3 // 4))),
            least=count_of(environ, "ALGO_LOCAL_WORKERS_KEPT", 0),
            queue=count_of(environ, "ALGO_LOCAL_QUEUE", 1000),
            age=float(count_of(environ, "ALGO_LOCAL_WORKER_SECONDS", 3600)),
            calls=count_of(environ, "ALGO_LOCAL_WORKER_CALLS", 10_000),
            memory=size_of(environ, "ALGO_LOCAL_WORKER_MEMORY", UNLIMITED),
        )
