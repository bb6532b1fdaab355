"""Latency and throughput of calls at a given concurrency: closed loop, each caller waits for its answer."""

from __future__ import annotations

import threading
import time
from collections import Counter
from collections.abc import Callable
from typing import Any, NamedTuple

from algo_core.errors import AlgoError
from algo_run.batch.pool import ENDS_THE_RUN

SHARES = (0.5, 0.9, 0.95, 0.99)
"""Reported percentiles, as shares of the calls."""


class Measurement(NamedTuple):
    """A measurement at one concurrency: sorted latencies of successful calls in seconds, and failures by message."""

    concurrency: int
    seconds: float
    latencies: list[float]
    failures: Counter[str]

    @property
    def rate(self) -> float:
        """Answers per second."""
        return len(self.latencies) / self.seconds if self.seconds else 0.0

    def percentile(self, share: float) -> float:
        """The smallest latency in seconds that this share (0 to 1) of the calls does not exceed."""
        return self.latencies[max(0, -int(-share * len(self.latencies) // 1) - 1)]

    def as_dict(self) -> dict[str, Any]:
        """For `--json`: times in seconds."""
        return {
            "concurrency": self.concurrency,
            "calls": len(self.latencies) + self.failures.total(),
            "failed": self.failures.total(),
            "seconds": round(self.seconds, 6),
            "rate": round(self.rate, 3),
            "latency": {f"p{share * 100:g}": round(self.percentile(share), 6) for share in SHARES}
            | {"min": round(self.latencies[0], 6), "max": round(self.latencies[-1], 6)}
            if self.latencies
            else None,
            "errors": dict(self.failures.most_common()),
        }


def measure(call: Callable[[], object], calls: int, concurrency: int, ended: Callable[[int], object]) -> Measurement:
    """Make `calls` calls from `concurrency` threads; `ended` is told how many have been made, by one thread at a time.

    Raises:
        AuthError, NotFoundError, ConfigError: if no call can go well.
    """
    lock = threading.Lock()
    latencies: list[float] = []
    failures: Counter[str] = Counter()
    problems: list[BaseException] = []
    begun = 0

    def work() -> None:
        nonlocal begun
        while True:
            with lock:
                if begun == calls or problems:
                    return
                begun += 1
            started = time.perf_counter()
            failure: str | None = None
            try:
                call()
            except ENDS_THE_RUN as error:
                problems.append(error)
                return
            except AlgoError as error:
                failure = error.message
            except BaseException as error:
                problems.append(error)
                return
            took = time.perf_counter() - started
            with lock:
                if failure is None:
                    latencies.append(took)
                else:
                    failures[failure] += 1
                ended(len(latencies) + failures.total())

    threads = [threading.Thread(target=work, daemon=True) for _ in range(min(concurrency, calls))]
    began = time.perf_counter()
    for thread in threads:
        thread.start()
    try:
        for thread in threads:
            while thread.is_alive():
                thread.join(0.5)
    except KeyboardInterrupt as error:
        problems.append(error)
        raise
    if problems:
        raise problems[0]
    return Measurement(concurrency, time.perf_counter() - began, sorted(latencies), failures)
