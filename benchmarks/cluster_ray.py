"""Figures of Ray: a call through HTTP against one of a bare actor, and two nodes against one."""

from __future__ import annotations

import contextlib
import os
import secrets
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from statistics import median
from typing import Any

from call_figures import Found
from capacity_measure import call, drive, publish
from serve_sides import Side, platform

WORKERS = 8
"""For each node."""

CALLS, ROUNDS, SECONDS = 200, 5, 4.0
BARE = """
import os, sys, time
import ray

@ray.remote(num_cpus=1)
class Echo:
    def apply(self, value):
        return value

ray.init(address=sys.argv[1], log_to_driver=False, logging_level="ERROR", namespace="bare")
actor = Echo.remote()
for _ in range(100):
    ray.get(actor.apply.remote("x"))
for line in sys.stdin:
    began = time.perf_counter()
    for _ in range(int(line)):
        ray.get(actor.apply.remote("x"))
    print(time.perf_counter() - began, flush=True)
"""
NODE: dict[str, Any] = {
    "node_ip_address": "127.0.0.1",
    "object_store_memory": 80 << 20,
    "include_dashboard": False,
}


def figures(base: Path) -> Iterator[Found]:
    """Both figures, on a cluster that is made for them and ends with them."""
    with _cluster() as cluster:
        cluster.add_node(**NODE, num_cpus=WORKERS, env_vars={"ALGO_RAY_CACHE": str(base / "node-1")})
        settings = {"ALGO_RAY_ADDRESS": cluster.address}
        with platform("ray", base, options=["--engine", "ray"], settings=settings) as side:
            publish(base, {"Sleeper": 0, "Echo": 0}, settings)
            with _bare(cluster.address) as bare:
                yield from _latency(side, bare)
            one = _sleepers(side, WORKERS)
            cluster.add_node(**NODE, num_cpus=WORKERS, env_vars={"ALGO_RAY_CACHE": str(base / "node-2")})
            two = _sleepers(side, 2 * WORKERS)
            compared = f"those of one, {one:.0f}"
            yield Found(f"sleepers of 100 ms on two nodes, {two:.0f} a second", compared, two / one, 1.9, at_least=True)


@contextlib.contextmanager
def _cluster() -> Iterator[Any]:
    """A head without processors, where the platform joins."""
    before = dict(os.environ)
    os.environ.update(
        RAY_ENABLE_WINDOWS_OR_OSX_CLUSTER="0",  # loopback is loopback
        RAY_AUTH_MODE="token",
        RAY_AUTH_TOKEN=secrets.token_hex(32),
        RAY_USAGE_STATS_ENABLED="0",
    )
    from ray.cluster_utils import Cluster

    cluster = Cluster(initialize_head=True, head_node_args={**NODE, "num_cpus": 0})
    try:
        yield cluster
    finally:
        cluster.shutdown()
        os.environ.clear()
        os.environ.update(before)


@contextlib.contextmanager
def _bare(address: str) -> Iterator[subprocess.Popen[str]]:
    """A process that calls a bare actor as often as it is told, and says how many seconds that took."""
    with subprocess.Popen(
        [sys.executable, "-c", BARE, address], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as process:
        yield process
        assert process.stdin
        process.stdin.close()


def _latency(side: Side, bare: subprocess.Popen[str]) -> Iterator[Found]:
    connection, request = side.connect(), call(side, "Echo")
    for _ in range(20):
        connection.exchange(request)
    taken: list[tuple[float, float]] = []
    for _ in range(ROUNDS):
        assert bare.stdin
        assert bare.stdout
        print(CALLS, file=bare.stdin, flush=True)
        theirs = float(bare.stdout.readline()) / CALLS
        began = time.perf_counter()
        for _ in range(CALLS):
            connection.exchange(request)
        taken.append(((time.perf_counter() - began) / CALLS, theirs))
    ours, theirs = (median(values) * 1e3 for values in zip(*taken, strict=True))
    ratio = median(one / other for one, other in taken)
    yield Found(f"a call through HTTP and Ray, {ours:.2f} ms", f"a call of a bare actor, {theirs:.2f} ms", ratio, 2.0)


def _sleepers(side: Side, workers: int) -> float:
    """Calls each second, once all workers are there: until the rate grows no more."""
    request, best = call(side, "Sleeper"), 0.0
    while True:
        rate = max(drive([side], request, 2 * workers, SECONDS) for _ in range(2))
        if rate < best * 1.02:
            return best
        best = rate
