"""The served platform against nginx, Starlette on uvicorn, and an older state of itself.

    python benchmarks/serve.py [--write] [--baseline CHECKOUT] [small] [large] [listing] [several] [clients]

With `--write`, `docs/benchmarks-serve.md` is written from it. `CHECKOUT` is a directory with the platform's older
state, such as one made by `git worktree add`. All sides of a comparison run in turn on one machine, a round each;
ratios are medians of those of each round. Processor time is that of the server alone, as the system has it.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import os
import tempfile
import threading
import time
from collections.abc import Callable, Sequence
from hashlib import md5
from pathlib import Path
from statistics import median

from call_figures import Found
from serve_client import throughput
from serve_page import write_page
from serve_sides import Side, nginx_side, platform, starlette_side
from servers import memory_directory

SMALL = 4 << 10
LARGE = 256 << 20
FILES = 200
LISTED = 10_000
OURS, OLDER, NGINX = "this state", "the older state", "nginx"
ONE, TWO = "one process", "two processes"

Taken = dict[str, dict[str, list[float]]]
"""What was measured: work, side, a value for each round."""


def small(sides: Sequence[Side], rounds: int = 15, requests: int = 400) -> Taken:
    """Microseconds of the server's processor time for a request: 4 KiB both ways, and a warm call."""
    data = os.urandom(SMALL)
    taken: Taken = {}
    prepared = []
    for side in sides:
        connection = side.connect()
        names = [f"/v1/data/.my/bench/small{number}" for number in range(FILES)]
        work = {
            "PUT of 4 KiB": [connection.request("PUT", name, data) for name in names],
            "GET of 4 KiB": [connection.request("GET", name) for name in names],
        }
        if side.calls:
            work["warm call"] = [connection.request("POST", "/v1/algo/demo/Hello", b'"x"', "application/json")]
        for sent in work.values():
            for request in sent:
                connection.exchange(request)
        prepared.append((side, connection, work))
    for name in ("PUT of 4 KiB", "GET of 4 KiB", "warm call"):
        for _ in range(rounds):
            for side, connection, work in prepared:
                if sent := work.get(name):
                    for number in range(20):  # the others had the caches meanwhile
                        connection.exchange(sent[number % len(sent)])
                    began = side.processor_seconds()
                    for number in range(requests):
                        connection.exchange(sent[number % len(sent)])
                    spent = (side.processor_seconds() - began) / requests * 1e6
                    taken.setdefault(name, {}).setdefault(side.name, []).append(spent)
    return taken


def several(base: Path, rounds: int = 7, connections: int = 8, seconds: float = 2.0) -> Taken:
    """Microseconds for a request where eight clients at once send one after the other, of one process and of two.

    All share the machine with the client, which is one thread.
    """
    taken: Taken = {}
    with contextlib.ExitStack() as stack:
        sides = []
        for name, count in ((ONE, "1"), (TWO, "2")):
            (base / name).mkdir()
            sides.append(stack.enter_context(platform(name, base / name, options=("--processes", count))))
        for _ in range(rounds):
            for work in ("PUTs of 4 KiB", "GETs of 4 KiB", "warm calls"):
                for side in sides:
                    clients = [side.connect() for _ in range(connections)]
                    names = [f"/v1/data/.my/bench/several{number}" for number in range(connections)]
                    for client, name in zip(clients, names, strict=True):
                        client.send("PUT", name, os.urandom(SMALL))
                    if work == "warm calls":
                        call = ("POST", "/v1/algo/demo/Hello", b'"x"', "application/json")
                        sent = [client.request(*call) for client in clients]
                    elif work.startswith("PUT"):
                        sent = [
                            client.request("PUT", name, os.urandom(SMALL))
                            for client, name in zip(clients, names, strict=True)
                        ]
                    else:
                        sent = [client.request("GET", name) for client, name in zip(clients, names, strict=True)]
                    throughput(clients, sent, seconds / 4)
                    spent = side.processor_seconds()
                    rate = throughput(clients, sent, seconds)
                    spent = side.processor_seconds() - spent
                    taken.setdefault(f"{work}, in all", {}).setdefault(side.name, []).append(1e6 / rate)
                    per_request = spent / (rate * seconds) * 1e6
                    taken.setdefault(f"{work}, processors", {}).setdefault(side.name, []).append(per_request)
                    for client in clients:
                        client.socket.close()
    return taken


def large(sides: Sequence[Side], rounds: int = 7) -> Taken:
    """Seconds for 256 MiB both ways, against nginx, and for the MD5 of as much."""
    data = os.urandom(LARGE)
    taken: Taken = {"PUT of 256 MiB": {}, "GET of 256 MiB": {}}
    connections = [(side, side.connect()) for side in sides if side.name in {OURS, OLDER, NGINX}]
    for _ in range(rounds):
        began = time.perf_counter()
        md5(data, usedforsecurity=False).hexdigest()
        taken["PUT of 256 MiB"].setdefault("MD5 alone", []).append(time.perf_counter() - began)
        for method, sent in (("PUT", data), ("GET", None)):
            for side, connection in connections:
                request = connection.request(method, "/v1/data/.my/bench/large", sent)
                began = time.perf_counter()
                connection.exchange(request, keep=False)
                seconds = time.perf_counter() - began
                taken[f"{method} of 256 MiB"].setdefault(side.name, []).append(seconds)
    return taken


def listing(sides: Sequence[Side], rounds: int = 7) -> Taken:
    """Milliseconds of the server's processor time for a page of listings of 2,000 and of 10,000 names."""
    taken: Taken = {}
    connections = []
    for side in (side for side in sides if side.calls):
        connection = side.connect()
        for name, count in (("few", 2000), ("many", LISTED)):
            connection.send("POST", "/v1/data/.my", json.dumps({"name": name}).encode(), "application/json")
            for number in range(count):
                connection.send("PUT", f"/v1/data/.my/{name}/file{number:06}", b"")
        connections.append((side, connection))
    for _ in range(rounds):
        for side, connection in connections:
            for name, count in (("few", 2000), ("many", LISTED)):
                began, pages, query = side.processor_seconds(), 0, ""
                while query is not None:
                    page = json.loads(connection.send("GET", f"/v1/data/.my/{name}{query}"))
                    query = f"?marker={page['marker']}" if "marker" in page else None
                    pages += 1
                spent = (side.processor_seconds() - began) / pages * 1e3
                taken.setdefault(f"a page of {count:,} names", {}).setdefault(side.name, []).append(spent)
    return taken


def clients(side: Side, count: int = 80, seconds: float = 60.0) -> tuple[int, list[str], float, float]:
    """Requests of many clients at once, the errors, and how memory and threads have grown between the thirds."""
    end, errors, done = time.monotonic() + seconds, [], [0] * count
    data = os.urandom(SMALL)

    def work(number: int) -> None:
        try:
            connection = side.connect()
            name = f"/v1/data/.my/bench/client{number}"
            while time.monotonic() < end:
                connection.send("PUT", name, data)
                if connection.send("GET", name) != data:
                    errors.append("other bytes")
                connection.send("POST", "/v1/algo/demo/Hello", b'"x"', "application/json")
                done[number] += 3
        except Exception as error:
            errors.append(f"{type(error).__name__}: {error}"[:300])

    threads = [threading.Thread(target=work, args=(number,)) for number in range(count)]
    for thread in threads:
        thread.start()
    seen = []
    for _ in range(3):
        time.sleep(seconds / 3 - 0.5)
        seen.append((side.memory(), side.count("fd") + side.count("task")))
    for thread in threads:
        thread.join()
    return sum(done), errors, seen[-1][0] / seen[0][0], seen[-1][1] / seen[0][1]


def ratio(taken: Taken, work: str, base: str, name: str = OURS) -> float:
    """The median of a side's values over another's, round by round."""
    return median(a / b for a, b in zip(taken[work][name], taken[work][base], strict=True))


def figures(taken: Taken) -> list[Found]:
    """The figures that have a target, as far as they were measured."""
    found: list[Found] = []
    for work, base, limit in (
        ("GET of 4 KiB", OLDER, 0.35),
        ("PUT of 4 KiB", OLDER, 0.6),
        ("warm call", OLDER, 0.5),
        ("GET of 256 MiB", NGINX, 1.1),
        ("PUT of 256 MiB", NGINX, 1.3),
    ):
        if base in taken.get(work, {}):
            what = "processor time of a" if base == OLDER else "seconds of a"
            found.append(Found(f"{what} {work}", base, ratio(taken, work, base), limit))
    for work, limit in (("GETs of 4 KiB", 1 / 1.7), ("PUTs of 4 KiB", 1 / 1.7), ("warm calls", 1.0)):
        if f"{work}, in all" in taken:
            value = ratio(taken, f"{work}, in all", ONE, TWO)
            found.append(Found(f"seconds of {work} of eight clients, two processes", ONE, value, round(limit, 3)))
    if put := taken.get("PUT of 256 MiB"):
        both = [a + b for a, b in zip(put[NGINX], put["MD5 alone"], strict=True)]
        value = median(a / b for a, b in zip(put[OURS], both, strict=True))
        found.append(Found("seconds of a PUT of 256 MiB", "nginx, and the MD5 after it", value, 1.3))
    if f"a page of {LISTED:,} names" in taken:
        few, many = taken["a page of 2,000 names"][OURS], taken[f"a page of {LISTED:,} names"][OURS]
        value = median(a / b for a, b in zip(many, few, strict=True))
        found.append(Found(f"a page of {LISTED:,} names", "a page of 2,000 names", value, 1.5))
    return found


def main() -> None:
    """Measure the figures that are named, or all."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("names", nargs="*", metavar="FIGURE")
    parser.add_argument("--write", action="store_true")
    parser.add_argument("--baseline", type=Path, metavar="CHECKOUT")
    options = parser.parse_args()
    measures: dict[str, Callable[[Sequence[Side]], Taken]] = {"small": small, "large": large, "listing": listing}
    names = options.names or [*measures, "several", "clients"]
    load = os.getloadavg()[0]
    taken: Taken = {}
    with contextlib.ExitStack() as stack:
        base = Path(stack.enter_context(tempfile.TemporaryDirectory(dir=memory_directory())))
        for name in ("ours", "older", "nginx", "starlette"):
            (base / name).mkdir()
        sides = [stack.enter_context(platform(OURS, base / "ours"))]
        if options.baseline:
            sides.append(stack.enter_context(platform(OLDER, base / "older", options.baseline.resolve())))
        sides.append(stack.enter_context(nginx_side(base / "nginx")))
        sides.append(stack.enter_context(starlette_side(base / "starlette")))
        for name in names:
            if name == "several":
                taken.update(several(base))
            elif name != "clients":
                taken.update(measures[name](sides))
        found = figures(taken)
        if "clients" in names:
            count, errors, memory, handles = clients(sides[0])
            print(f"{count} requests of 80 clients in 60 s; errors: {errors[:3]}")
            found.append(Found("errors of 80 clients in 60 s", "none", len(errors), 0))
            found.append(Found("memory of the server after 60 s", "after 20 s", memory, 1.1))
            found.append(Found("threads and descriptors of the server after 60 s", "after 20 s", handles, 1.1))
    for work, values in taken.items():
        print(work, {name: round(median(value), 3) for name, value in values.items()})
    for one in found:
        print(one)
    if options.write:
        write_page(found, taken, load)


if __name__ == "__main__":
    main()
