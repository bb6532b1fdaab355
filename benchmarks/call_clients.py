"""Many calls from one command: `algo run --each` against `requests.Session` in threads and a shell loop of curl.

Whole processes are measured, start-up included, against one server that does nothing but answer (`call_server.py`).
"""

from __future__ import annotations

import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from statistics import median

from call_figures import Found
from measure import clean_environ
from picture import Chart

CALLS = 1000
IN_FLIGHT = 80
SECONDS = 0.02
"""The latency of each answer, where there is one."""

ROUNDS = 3
LOOPED = 100
"""Calls of the shell loop that are measured: its time for more is in proportion."""

HERE = Path(__file__).resolve().parent

SESSION = f"""
import sys, threading, queue, requests
address, inputs = sys.argv[1:]
url, headers = address + "/v1/algo/bench/Echo/1.0.0", {{"Content-Type": "application/json"}}
waiting = queue.SimpleQueue()
lines = open(inputs).read().splitlines()
for line in lines: waiting.put(line)
def work():
    with requests.Session() as session:
        while True:
            try: line = waiting.get_nowait()
            except queue.Empty: return
            assert session.post(url, line, headers=headers).json()["result"] == 1
threads = [threading.Thread(target=work) for _ in range({IN_FLIGHT})]
for thread in threads: thread.start()
for thread in threads: thread.join()
"""

LOOP = """
while read -r line; do
    curl -sf -H 'Content-Type: application/json' --data "$line" "$1/v1/algo/bench/Echo/1.0.0" || exit 1
done < "$2" > /dev/null
"""


@contextmanager
def server(milliseconds: float) -> Iterator[str]:
    """The address of a server that answers after so long."""
    command = [sys.executable, str(HERE / "call_server.py"), str(milliseconds)]
    process = subprocess.Popen(command, stdout=subprocess.PIPE)
    assert process.stdout
    try:
        yield f"http://127.0.0.1:{int(process.stdout.readline())}"
    finally:
        process.kill()
        process.wait()
        process.stdout.close()


class Clients:
    """Three ways to make calls, in a directory of its own."""

    def __init__(self, root: Path, address: str) -> None:
        self._root = root
        self._address = address
        self._environ = clean_environ(
            HOME=str(root), ALGORITHMIA_API=address, ALGORITHMIA_API_KEY="simbench", ALGO_CACHE_DIR=str(root / "cache")
        )

    def _inputs(self, count: int) -> Path:
        file = self._root / f"{count}.jsonl"
        file.write_text("".join(f'{{"n": {number}}}\n' for number in range(count)))
        return file

    def algo(self, count: int) -> float:
        """Seconds of `algo run --each`."""
        results = self._root / "results.jsonl"
        results.unlink(missing_ok=True)
        each = ["--each", str(self._inputs(count)), "-o", str(results), "--concurrency", str(IN_FLIGHT), "--quiet"]
        spent = self._timed([sys.executable, "-m", "algo_core", "run", "bench/Echo/1.0.0", *each])
        assert results.read_bytes().count(b"\n") == count + 1
        return spent

    def session(self, count: int) -> float:
        """Seconds of a script with a `requests.Session` in each thread."""
        return self._timed([sys.executable, "-c", SESSION, self._address, str(self._inputs(count))])

    def loop(self, count: int) -> float:
        """Seconds of a shell loop that starts curl for each call; of more than `LOOPED` calls, in proportion."""
        measured = min(count, LOOPED)
        spent = self._timed(["/bin/sh", "-c", LOOP, "loop", self._address, str(self._inputs(measured))])
        return spent * count / measured

    def _timed(self, command: Sequence[str]) -> float:
        began = time.perf_counter()
        subprocess.run(command, env=self._environ, check=True, stdout=subprocess.DEVNULL)
        return time.perf_counter() - began


def ideal(count: int) -> float:
    """Seconds for calls that take `SECONDS` each, with `IN_FLIGHT` at once, if nothing else took time."""
    return -(-count // IN_FLIGHT) * SECONDS


def clients(root: Path) -> tuple[list[Found], list[Chart]]:
    """Calls without latency and with it; medians of rounds in which the sides take turns."""
    counts = (10, 100, CALLS)
    with server(0) as address:
        near = _rounds(Clients(root, address), counts, ("algo", "session", "loop"))
    with server(SECONDS * 1000) as address:
        far = _rounds(Clients(root, address), counts, ("algo",))
    ours = near["algo"][CALLS]
    found = [
        Found("1,000 calls, 80 in flight", "requests.Session in threads", ours / near["session"][CALLS], 0.25),
        Found("1,000 calls, 80 in flight", "a shell loop of curl", ours / near["loop"][CALLS], 0.02),
        Found("1,000 calls, 80 in flight, 20 ms per answer", "ideal", far["algo"][CALLS] / ideal(CALLS), 1.3),
    ]
    ticks = {float(count): f"{count:,}" for count in counts}
    names = {"algo": "algo run --each", "session": "requests in threads", "loop": "a loop of curl"}
    lines = {names[side]: _points(times) for side, times in near.items()}
    distant = {"algo run --each": _points(far["algo"]), "ideal": _points({count: ideal(count) for count in counts})}
    return found, [
        Chart("calls without latency", "calls", "seconds", lines, ticks),
        Chart("20 ms per answer", "calls", "seconds", distant, ticks),
    ]


def _rounds(measured: Clients, counts: Sequence[int], sides: Sequence[str]) -> dict[str, dict[int, float]]:
    taken: dict[str, dict[int, list[float]]] = {side: {count: [] for count in counts} for side in sides}
    for _ in range(ROUNDS):
        for count in counts:
            for side in sides:
                taken[side][count].append(getattr(measured, side)(count))
    return {side: {count: median(times) for count, times in found.items()} for side, found in taken.items()}


def _points(times: dict[int, float]) -> list[tuple[float, float]]:
    return [(float(count), seconds) for count, seconds in times.items()]
