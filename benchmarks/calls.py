"""Calls of algorithms on the served platform: what the record costs, how many run at once, and how fair that is.

    python benchmarks/calls.py [--write] [record] [sleeper] [accounts] [order] [loading] [clients] [peers]
        [throughput]

With `--write`, `docs/benchmarks-calls.md` is written from it. Each figure is a ratio of two sides that are measured in
turn in one run, on a platform of its own. `loading` is of commands on the embedded platform: what the second one has of
an algorithm that the first one has loaded. `clients` is of many calls from one command, `peers` of other servers of
functions, `throughput` of processor time.
"""

from __future__ import annotations

import http.client
import json
import multiprocessing
import os
import random
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor
from itertools import accumulate
from pathlib import Path
from typing import Any

from call_clients import clients
from call_figures import Found, write_page
from call_peers import peers
from call_throughput import throughput
from picture import Chart

from algo_local.algorithms import lifecycle
from algo_local.execution.scaling import Scaling
from algo_local.execution.workers.local_pool import LocalPool
from algo_local.opening import open_platform
from algo_local.platform import Platform
from algo_local.serving.http.listener import listen
from algo_local.serving.http.server import Server
from algo_local.web.app import Application

SLEEP = 0.2
ORDER_SLEEP = 0.05
CALLERS = 80


def write(root: Path, name: str, code: str) -> Path:
    """A directory with an algorithm."""
    source = root / name / "src"
    source.mkdir(parents=True)
    (source / "__init__.py").write_text("")
    (source / f"{name}.py").write_text(code)
    return source.parent


class Served:
    """A platform in this process, and its address."""

    def __init__(self, root: Path, scaling: Scaling | None = None) -> None:
        self.platform: Platform = open_platform(root / "platform")
        if scaling:
            endpoint = lambda: self.platform._callback  # noqa: E731 - as the platform itself does
            self.platform.parts["executor"] = LocalPool(endpoint, self.platform.root / "processes", scaling)
        self._listener = listen("127.0.0.1", 0)
        self._server = Server(Application(self.platform), self._listener)
        self._server.run()
        self.port = self._listener.getsockname()[1]
        self.root = root

    def publish(self, reference: str, code: str) -> None:
        """Publish code as version 1.0.0 of an algorithm."""
        owner, _, name = reference.partition("/")
        self.platform.publish(write(self.root, name, code), owner, name, "1.0.0")

    def key(self, account: str) -> str:
        """A new key of an account."""
        return self.platform.keys.create(self.platform.metadata.ensure_account(account), "benchmark")[1]

    def close(self) -> None:
        """End it."""
        self.platform.executor.close()
        self._server.stop()
        self.platform.close()


def caller(port: int, key: str) -> Callable[[str, Any], Any]:
    """Calls algorithms, on a connection of its own."""
    connection = http.client.HTTPConnection("127.0.0.1", port)
    headers = {"Authorization": f"Simple {key}", "Content-Type": "application/json"}

    def call(algorithm: str, value: Any) -> Any:
        connection.request("POST", f"/v1/algo/{algorithm}", json.dumps(value), headers)
        answer = json.loads(connection.getresponse().read())
        assert "result" in answer, answer
        return answer["result"]

    return call


def record(served: Served) -> list[Found]:
    """A warm call that is on record against one that is not: medians of rounds in turn."""
    served.publish("bench/Echo", "def apply(input):\n    return input\n")
    call = caller(served.port, served.key("bench"))
    algorithm = served.platform.registry.algorithm("bench", "Echo")
    assert algorithm
    medians: dict[str, list[float]] = {"none": [], "full": []}
    for _ in range(10):
        for level, found in medians.items():
            lifecycle.update(served.platform.registry, algorithm, {"request_records": level})
            call("bench/Echo", "x")
            found.append(statistics.median(_timed(lambda: call("bench/Echo", "x")) for _ in range(200)))
    without, with_record = (statistics.median(medians[level]) for level in ("none", "full"))
    difference = (with_record - without) * 1000
    return [Found("a warm call on record", "one that is not", difference, 0.3, unit=" ms more")]


def _timed(work: Callable[[], object]) -> float:
    began = time.perf_counter()
    work()
    return time.perf_counter() - began


def sleeper(served: Served, seconds: float = 10.0) -> list[Found]:
    """Callers of an algorithm that sleeps, against what sleeping alone would give."""
    served.publish("bench/Sleeper", f"import time\ndef apply(input):\n    time.sleep({SLEEP})\n    return 1\n")
    counts = _load(served, [("bench", CALLERS)], "bench/Sleeper", warm=20.0, seconds=seconds)
    rate, ideal = counts["bench"] / seconds, CALLERS / SLEEP
    return [Found("80 callers of a sleeper of 0.2 s", f"{ideal:.0f} calls/s", rate / ideal, 0.95, at_least=True)]


def accounts(served: Served, seconds: float = 30.0) -> list[Found]:
    """Ten accounts, one of which makes ten times the calls of each other: Jain's index of what they get."""
    served.publish("bench/Fair", f"import time\ndef apply(input):\n    time.sleep({SLEEP})\n    return 1\n")
    callers = [(f"account{number}", 4 if number else 40) for number in range(10)]
    counts = _load(served, callers, "bench/Fair", warm=10.0, seconds=seconds)
    shares = list(counts.values())
    jain = sum(shares) ** 2 / (len(shares) * sum(share**2 for share in shares))
    return [Found("ten accounts, one with ten times the callers", "Jain's index", jain, 0.98, at_least=True)]


def order(served: Served, calls: int = 60) -> list[Found]:
    """Calls of one account that arrive at odd moments, more than one worker can serve: none waits much longer than
    where what came first is served first."""
    served.publish("bench/Order", f"import time\ndef apply(input):\n    time.sleep({ORDER_SLEEP})\n    return 1\n")
    key, chance = served.key("bench"), random.Random(13)
    caller(served.port, key)("bench/Order", None)
    begins = list(accumulate(chance.uniform(0.2, 1.1) * ORDER_SLEEP for _ in range(calls)))
    times: list[tuple[float, float]] = []
    start = time.monotonic() + 0.5

    def work(begin: float) -> None:
        call = caller(served.port, key)
        time.sleep(max(0.0, start + begin - time.monotonic()))
        arrived = time.monotonic()
        call("bench/Order", None)
        times.append((arrived, time.monotonic()))

    threads = [threading.Thread(target=work, args=(begin,)) for begin in begins]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return [Found("the longest wait against that of its turn", "first come, first served", longest_wait(times), 1.2)]


def longest_wait(times: list[tuple[float, float]]) -> float:
    """How many times as long as in its turn a call took at most; of calls at one worker, by arrival and end.

    The worker's times are what they are: in turn, the call that came as the n-th would have had the n-th end.
    """
    times = sorted(times)
    in_turn = sorted(end for _, end in times)
    return max((ended - arrived) / (turn - arrived) for (arrived, ended), turn in zip(times, in_turn, strict=True))


def _load(
    served: Served, callers: list[tuple[str, int]], algorithm: str, *, warm: float, seconds: float
) -> dict[str, int]:
    """Calls that ended within `seconds`, by account, once the workers are there; made in another process."""
    keys = [(name, served.key(name), number) for name, number in callers]
    with ProcessPoolExecutor(1, multiprocessing.get_context("spawn")) as other:
        return other.submit(_calls, served.port, keys, algorithm, warm, seconds).result()


def _calls(
    port: int, callers: list[tuple[str, str, int]], algorithm: str, warm: float, seconds: float
) -> dict[str, int]:
    counts = dict.fromkeys((name for name, _, _ in callers), 0)
    lock, begin, end = threading.Lock(), time.monotonic() + warm, time.monotonic() + warm + seconds

    def work(name: str, key: str) -> None:
        call = caller(port, key)
        while time.monotonic() < end:
            call(algorithm, None)
            if begin <= time.monotonic() < end:
                with lock:
                    counts[name] += 1

    threads = [threading.Thread(target=work, args=(name, key)) for name, key, number in callers for _ in range(number)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return counts


def loading(served: Served, seconds: float = 2.0, times: int = 5) -> list[Found]:
    """The second `algo run` of an algorithm that takes a while to load, against the first: medians of pairs."""
    root = served.root / "embedded"
    environ = {**os.environ, "HOME": str(served.root), "ALGO_LOCAL_ROOT": str(root), "ALGO_LOCAL_KEEP_SECONDS": "60"}
    algo = [sys.executable, "-m", "algo_core"]
    source = write(served.root, "Loading", f"import time\ntime.sleep({seconds})\ndef apply(input):\n    return input\n")
    publish = ["local", "publish", str(source), "bench/Loading", "--version", "1.0.0"]
    subprocess.run([*algo, *publish], env=environ, check=True, capture_output=True)

    def run() -> float:
        call = [*algo, "run", "bench/Loading", "-d", "x"]
        return _timed(lambda: subprocess.run(call, env=environ, check=True, capture_output=True))

    pairs = []
    for _ in range(times):
        pairs.append((run(), run()))
        subprocess.run([*algo, "local", "stop"], env=environ, check=True, capture_output=True)
    first, second = (statistics.median(side) for side in zip(*pairs, strict=True))
    return [Found("the second `algo run` of what takes 2 s to load", "the first", second / first, 0.15)]


FIGURES: dict[str, tuple[Callable[[Served], list[Found]], Scaling | None]] = {
    "record": (record, None),
    "sleeper": (sleeper, None),
    "accounts": (accounts, Scaling(total=20, most=20)),
    "order": (order, Scaling(total=1, most=1)),
    "loading": (loading, None),
}


def main(arguments: list[str]) -> None:
    """Measure the figures that are named, or all."""
    load = os.getloadavg()[0]
    names = [name for name in arguments if name != "--write"] or [*FIGURES, "peers", "throughput", "clients"]
    found: list[Found] = []
    charts: list[Chart] = []
    sections: list[str] = []
    for name in names:
        with tempfile.TemporaryDirectory() as root:
            if name == "clients":
                more, charts = clients(Path(root))
            elif name == "peers":
                more = peers(Path(root))
            elif name == "throughput":
                more, sections = throughput(Path(root))
            else:
                more = _measured(name, Path(root))
        for one in more:
            print(one, flush=True)
        if name == "throughput":
            print("\n".join(sections), flush=True)
        found += more
    if "--write" in arguments:
        write_page(found, charts, load, sections)


def _measured(name: str, root: Path) -> list[Found]:
    measure, scaling = FIGURES[name]
    served = Served(root, scaling)
    try:
        return measure(served)
    finally:
        served.close()


if __name__ == "__main__":
    main(sys.argv[1:])
