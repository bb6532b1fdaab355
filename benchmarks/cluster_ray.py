"""Figures of Ray: a call through HTTP against one of a bare actor, and two nodes against one."""

from __future__ import annotations

import contextlib
import os
import re
import secrets
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from statistics import median
from typing import Any

from call_figures import Found
from capacity_measure import administrator, call, drive, publish, until
from serve_client import Connection
from serve_sides import Side, platform

WORKERS = 4
"""For each node."""

CALLS, ROUNDS, SECONDS = 200, 7, 1.0
SLEEPER_ROUNDS, SLEEPER_SECONDS = 5, 4.0
BARE = """
import sys, time
import ray

@ray.remote(num_cpus=0, resources={"node": 0.01})
class Echo:
    def apply(self, value):
        return value

ray.init(address=sys.argv[1], log_to_driver=False, logging_level="ERROR", namespace="bare")
actors = [Echo.remote() for _ in range(int(sys.argv[2]))]
for _ in range(100):
    ray.get([actor.apply.remote("x") for actor in actors])
print("ready", flush=True)
for line in sys.stdin:
    count, width = map(int, line.split())
    called = actors[:width]
    began = time.perf_counter()
    for _ in range(count):
        ray.get([actor.apply.remote("x") for actor in called])
    print((time.perf_counter() - began) / count / width, flush=True)
"""
"""Calls of bare actors: a line says how often, and of how many actors at once; the answer is the seconds of a call."""

TOKEN = secrets.token_hex(32)
"""Of all clusters: a process remembers the first one."""

NODE: dict[str, Any] = {
    "node_ip_address": "127.0.0.1",
    "object_store_memory": 80 << 20,
    "include_dashboard": False,
}


def calls(base: Path) -> Iterator[Found]:
    """A warm call against one of a bare actor: one at a time, and several under way."""
    with _cluster() as cluster:
        _add_node(cluster, base, 1)
        with _platform(cluster, base, "Echo") as side, _bare(cluster.address) as bare:
            connection, request = side.connect(), call(side, "Echo")
            until(lambda: connection.exchange(request))

            yield _compared("a call through HTTP and Ray", lambda: _alone(connection, request), lambda: bare(CALLS, 1))
            drive([side], request, WORKERS, 5.0)  # until all workers are there
            yield _compared(
                f"a call through HTTP and Ray, {WORKERS} under way",
                lambda: 1 / drive([side], request, WORKERS, SECONDS),
                lambda: bare(CALLS, WORKERS),
            )


def longer(base: Path) -> float:
    """Seconds that a warm call takes longer with a worker on a node of a cluster than with a local one."""
    here, there = base / "local", base / "cluster"
    for each in (here, there):
        each.mkdir()
    with _cluster() as cluster:
        _add_node(cluster, there, 1)
        with _platform(cluster, there, "Echo") as with_ray, platform("local", here) as local:
            publish(here, {"Echo": 0})
            sides = [(side.connect(), call(side, "Echo")) for side in (with_ray, local)]
            for connection, request in sides:
                until(lambda: connection.exchange(request))  # noqa: B023 - it is called at once
            taken = [[_alone(*side) for side in sides] for _ in range(ROUNDS)]
    return median(one - another for one, another in taken)


def _alone(connection: Connection, request: bytes) -> float:
    """Seconds of a call, one at a time."""
    began = time.perf_counter()
    for _ in range(CALLS):
        connection.exchange(request)
    return (time.perf_counter() - began) / CALLS


def _compared(work: str, ours: Callable[[], float], theirs: Callable[[], float]) -> Found:
    taken = [(ours(), theirs()) for _ in range(ROUNDS)]
    mine, other = (median(values) * 1e3 for values in zip(*taken, strict=True))
    ratio = median(one / another for one, another in taken)
    return Found(f"{work}, {mine:.2f} ms", f"likewise of bare actors, {other:.2f} ms", ratio, 2.0)


def nodes(base: Path) -> Iterator[Found]:
    """Sleepers on two nodes against one."""
    with _cluster() as cluster:
        _add_node(cluster, base, 1)
        with _platform(cluster, base, "Sleeper") as side:
            watching = Connection(side.port, administrator(base))
            one = _sleepers(side, watching, WORKERS)
            _add_node(cluster, base, 2)
            two = _sleepers(side, watching, 2 * WORKERS)
    compared = f"those of one, {one:.1f}"
    yield Found(f"sleepers of 100 ms on two nodes, {two:.1f} a second", compared, two / one, 1.9, at_least=True)


def _sleepers(side: Side, watching: Connection, workers: int) -> float:
    """Calls each second in the best round, once there are so many workers; more callers wait for them."""
    request = call(side, "Sleeper")
    ends = time.monotonic() + 120
    while _workers(watching.send("GET", "/metrics").decode()) < workers:
        if time.monotonic() > ends:
            raise RuntimeError(f"{workers} workers do not come about")
        drive([side], request, 2 * workers, 1.0)
    return max(drive([side], request, 2 * workers, SLEEPER_SECONDS) for _ in range(SLEEPER_ROUNDS))


def _workers(metrics: str) -> int:
    (found,) = re.findall(r"^algo_workers (\d+)", metrics, re.MULTILINE)
    return int(found)


@contextlib.contextmanager
def _platform(cluster: Any, base: Path, name: str) -> Iterator[Side]:
    settings: Mapping[str, str] = {"ALGO_RAY_ADDRESS": cluster.address}
    with platform("ray", base, options=["--engine", "ray"], settings=settings) as side:
        publish(base, {name: 0}, settings)
        yield side


def _add_node(cluster: Any, base: Path, number: int) -> None:
    cache = {"ALGO_RAY_CACHE": str(base / f"node-{number}")}
    cluster.add_node(**NODE, num_cpus=WORKERS, resources={"node": 1}, env_vars=cache)


@contextlib.contextmanager
def _cluster() -> Iterator[Any]:
    """A head without processors, where the platform joins."""
    before = dict(os.environ)
    directory = tempfile.mkdtemp(prefix="r-", dir="/tmp")  # short: sockets below have room for about 100 bytes
    os.mkdir(f"{directory}/ray")
    os.environ.update(
        RAY_TMPDIR=directory,
        RAY_ENABLE_WINDOWS_OR_OSX_CLUSTER="0",  # loopback is loopback
        RAY_AUTH_MODE="token",
        RAY_AUTH_TOKEN=TOKEN,
        RAY_USAGE_STATS_ENABLED="0",
    )
    from ray.cluster_utils import Cluster

    cluster = Cluster(initialize_head=True, head_node_args={**NODE, "num_cpus": 0, "temp_dir": directory})
    try:
        yield cluster
    finally:
        cluster.shutdown()
        shutil.rmtree(directory, ignore_errors=True)
        os.environ.clear()
        os.environ.update(before)


@contextlib.contextmanager
def _bare(address: str) -> Iterator[Callable[[int, int], float]]:
    """Calls bare actors, in a process of its own; the seconds of a call."""
    with subprocess.Popen(
        [sys.executable, "-c", BARE, address, str(WORKERS)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as process:
        assert process.stdin
        assert process.stdout
        given, answers = process.stdin, process.stdout
        if answers.readline() != "ready\n":
            raise RuntimeError("Bare actors do not start")

        def measure(count: int, width: int) -> float:
            print(count, width, file=given, flush=True)
            return float(answers.readline())

        yield measure
        given.close()
