"""`/healthz` and `/metrics` of the served platform, and counts of calls since its start."""

from __future__ import annotations

import bisect
import os
import threading
from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Iterator
from typing import TYPE_CHECKING, Any

from algo_core.errors import AlgoError
from algo_local.callers import DENIED
from algo_local.error_codes import ErrorCode
from algo_local.web.authorization import authenticate
from algo_local.web.http import ApiError, Request, Response, json_response

if TYPE_CHECKING:
    from algo_local.platform import Platform
    from algo_local.records.record import Record

BUCKETS = (0.001, 0.005, 0.01, 0.05, 0.1, 0.5, 1.0, 5.0, 10.0, 60.0, 300.0)
"""Upper bounds of the histograms' buckets, in seconds."""


METRICS = "/metrics"


class Histogram:
    """A histogram: counts of durations below each bound, and their sum."""

    def __init__(self) -> None:
        self._counts = [0] * (len(BUCKETS) + 1)
        self.sum = 0.0

    def observe(self, seconds: float) -> None:
        """Count a duration."""
        self._counts[bisect.bisect_left(BUCKETS, seconds)] += 1
        self.sum += seconds

    def buckets(self) -> list[tuple[str, float]]:
        """Bounds and cumulative counts in Prometheus's form."""
        found, total = [], 0
        for bound, count in zip((*map(str, BUCKETS), "+Inf"), self._counts, strict=True):
            total += count
            found.append((bound, float(total)))
        return found


class _Together:
    """Prometheus's process metrics for several processes: sums, and the earliest start time."""

    def __init__(self, processes: Iterable[int]) -> None:
        self._processes = list(processes)

    def collect(self) -> Iterator[Any]:
        """See `Monitoring.collect`."""
        from prometheus_client import CollectorRegistry, ProcessCollector

        found: dict[str, Any] = {}
        for process in self._processes:
            for family in ProcessCollector(pid=lambda: process, registry=CollectorRegistry()).collect():  # noqa: B023
                known = found.setdefault(family.name, family)
                if known is not family:
                    (one,), (other,) = known.samples, family.samples
                    both = (one.value, other.value)
                    known.samples = [one._replace(value=(min if "start_time" in one.name else sum)(both))]
        yield from found.values()


class Monitoring:
    """Answers monitoring requests, outside the API: `/healthz` for anybody, `/metrics` with an administrator's key."""

    def __init__(self, platform: Platform, processes: Callable[[], Iterable[int]] = lambda: (os.getpid(),)) -> None:
        """`processes` returns the process ids of the platform that is served."""
        self._platform = platform
        self._processes = processes
        self._lock = threading.Lock()
        self._pages = {"/healthz": self._health, METRICS: self._metrics}
        self._calls: Counter[tuple[str, str]] = Counter()
        self._seconds: defaultdict[str, Histogram] = defaultdict(Histogram)
        self._waited: defaultdict[str, Histogram] = defaultdict(Histogram)

    def observe(self, record: Record) -> None:
        """Count a call that has ended. From any thread."""
        waited = None if record.started_at is None else record.started_at - record.created_at
        self.count(f"{record.owner}/{record.name}", record.state, record.duration, waited)

    def count(self, algorithm: str, state: str, duration: float | None, waited: float | None) -> None:
        """Count a call that has ended, by its algorithm, final state and times. From any thread."""
        with self._lock:
            self._calls[algorithm, state] += 1
            if duration is not None:
                self._seconds[algorithm].observe(duration)
            if waited is not None:
                self._waited[algorithm].observe(max(0.0, waited))

    def answer(self, request: Request) -> Response | None:
        """The response to a monitoring request; None for any other request.

        Raises:
            ApiError: 401 or 403 without an administrator's key, 405 for anything but GET and HEAD.
        """
        found = self._pages.get(request.path)
        if not found:
            return None
        if request.method not in {"GET", "HEAD"}:
            message = f"{request.method} is not allowed here, only GET, HEAD"
            raise ApiError(405, message, ErrorCode.INVALID_REQUEST, {"Allow": "GET, HEAD"})
        return found(request)

    def _health(self, request: Request) -> Response:
        try:
            with self._platform.database.read() as rows:
                rows.execute("SELECT 1 FROM settings LIMIT 1").fetchone()
        except AlgoError:
            return json_response({"status": "unavailable"}, 503)
        return json_response({"status": "ok"})

    def _metrics(self, request: Request) -> Response:
        caller = authenticate(request, self._platform, trusted=False)
        if not (caller.may_administer and caller.key and caller.key.is_administrators):
            raise ApiError(403, DENIED, ErrorCode.NOT_AUTHORIZED)
        from prometheus_client import CollectorRegistry
        from prometheus_client.exposition import CONTENT_TYPE_LATEST, generate_latest

        registry = CollectorRegistry(auto_describe=False)
        registry.register(_Together(self._processes()))
        registry.register(self)
        return Response(200, generate_latest(registry), {"Content-Type": CONTENT_TYPE_LATEST})

    def collect(self) -> Iterator[Any]:
        """The families of metrics, as a collector of prometheus-client gives them."""
        from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, HistogramMetricFamily

        with self._lock:
            calls = dict(self._calls)
            histograms = [
                (name, text, [(algorithm, found.buckets(), found.sum) for algorithm, found in histogram.items()])
                for name, text, histogram in (
                    ("algo_call_seconds", "Duration of calls, without the start of a worker", self._seconds),
                    ("algo_call_wait_seconds", "Time until a worker took a call", self._waited),
                )
            ]
        counter = CounterMetricFamily("algo_calls", "Calls that have ended", labels=["algorithm", "state"])
        for (algorithm, state), count in calls.items():
            counter.add_metric([algorithm, state], count)
        yield counter
        for name, text, found in histograms:
            family = HistogramMetricFamily(name, text, labels=["algorithm"])
            for algorithm, buckets, total in found:
                family.add_metric([algorithm], buckets, total)
            yield family
        described = self._platform.executor.describe()
        for name, text, value in (
            ("algo_workers", "Processes that run algorithms", described.workers),
            ("algo_workers_busy", "Workers that serve a call", described.busy),
            ("algo_queue_length", "Calls that wait for a worker", described.waiting),
            ("algo_workers_memory_bytes", "Resident memory of all workers", described.memory),
        ):
            yield GaugeMetricFamily(name, text, value=value)
        yield from self._workers_by_algorithm()
        writing = self._platform.records.writing
        yield GaugeMetricFamily(
            "algo_records_waiting", "Records of calls that are to be written", value=writing.waiting
        )
        for name, text, value in (
            ("algo_records_lost", "Records of calls that could not be written, and were given up", writing.lost),
            ("algo_record_write_failures", "Attempts to write records of calls that failed", writing.failures),
        ):
            yield CounterMetricFamily(name, text, value=value)

    def _workers_by_algorithm(self) -> Iterator[Any]:
        from prometheus_client.core import GaugeMetricFamily

        from algo_local.execution.workers.local_pool import LocalPool

        executor = self._platform.executor
        builds = executor.builds() if isinstance(executor, LocalPool) else []
        for name, text, attribute in (
            ("algo_algorithm_workers", "Workers of an algorithm's versions together", "workers"),
            ("algo_algorithm_workers_busy", "Those of them that serve a call", "busy"),
            ("algo_algorithm_workers_min", "Workers that a version of it keeps", "least"),
            ("algo_algorithm_workers_max", "Workers that a version of it may have", "most"),
        ):
            family = GaugeMetricFamily(name, text, labels=["algorithm"])
            found: dict[str, int] = {}
            for build in builds:
                value, before = getattr(build, attribute), found.get(build.label, 0)
                found[build.label] = before + value if attribute in ("workers", "busy") else max(before, value)
            for label, value in found.items():
                family.add_metric([label], value)
            yield family
