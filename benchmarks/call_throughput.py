"""The processor time of the served platform per trivial call: of this version, and of the one before calls were
recorded and scheduled, taken in turn; and where this version's goes.
"""

from __future__ import annotations

import contextlib
import cProfile
import os
import pstats
import subprocess
import tarfile
import tempfile
import threading
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from io import BytesIO
from pathlib import Path
from statistics import median
from typing import Any

from call_figures import Found
from call_peers import Call, caller, ours
from call_platform import ECHO
from startup import ROOT

BEFORE = "f30fb77c0d4286f15a869d0ddd82fb2324ff95b0"
"""The last commit without a record of calls and without a scheduler."""

STAY_SECONDS = 0.05
"""How long a thread stays with a connection on which nothing arrives."""

WARM, ROUNDS, CALLS, PROFILED = 200, 6, 500, 1000

PARTS = (
    ("other threads: what writes the record, and watches connections", ()),
    ("reading the request, and writing the response", ()),
    ("the caller and the version that is meant: key, roles, visibility", ("authorization.py:authorize",)),
    ("input and result: JSON, schemas", ("invoke.py:_payload", "invoke.py:_check_input", "invoke.py:_response")),
    ("a worker: whose turn it is, taking it, giving it back", ("worker_pool.py:_acquire", "worker_pool.py:_release")),
    ("the conversation with the worker's process", ("process.py:call",)),
    ("the record", ("recorder.py:begin", "recorder.py:finish")),
    ("the session's end", ("hosted.py:end_session",)),
)
"""What a call consists of, by the functions that do it; without any, what is not within the application.

What other threads do is less per call the more calls there are at once: the record is written ten times a second.
"""


_OBSTACLES = (
    "",
    "What stands in the way of twice the throughput is that no part has half of it: each is some dozens of",
    "microseconds of Python and of system calls. More processes (`algo local serve --processes`) use more cores.",
)


def throughput(root: Path) -> tuple[list[Found], list[str]]:
    """The figure, and the text about what stands in the way."""
    older = root / "older"
    _unpack(BEFORE, older)
    path = os.pathsep.join((str(older), str(older / "plugins" / "algo_local")))
    with contextlib.ExitStack() as stack:
        sides = {
            "now": stack.enter_context(ours(root / "now")),
            "before": stack.enter_context(ours(root / "before", path)),
        }
        found: dict[str, list[float]] = {name: [] for name in sides}
        beside: list[float] = []
        for call, _ in sides.values():
            _repeat(call, WARM)
        for _ in range(ROUNDS):
            for name, (call, process) in sides.items():
                began = threads(process)
                _repeat(call, CALLS)
                spent = [seconds - began.get(thread, 0.0) for thread, seconds in threads(process).items()]
                found[name].append(sum(spent) / CALLS)
                if name == "now":
                    beside.append((sum(spent) - max(spent)) / CALLS)  # one thread serves the one connection
    costs = {name: median(times) * 1e6 for name, times in found.items()}
    work = f"trivial calls per second of a core, {1e6 / costs['now']:,.0f}"
    compared = f"before the record and the scheduler, {1e6 / costs['before']:,.0f}"
    figure = Found(work, compared, costs["before"] / costs["now"], 2.0, at_least=True)
    return [figure], _explained(costs, shares(root / "profiled", costs["now"], median(beside) * 1e6))


def _unpack(commit: str, directory: Path) -> None:
    """The packages of a commit."""
    command = ["git", "-C", str(ROOT), "archive", commit, "algo_core", "plugins"]
    archive = subprocess.run(command, check=True, capture_output=True).stdout
    with tarfile.open(fileobj=BytesIO(archive)) as tree:
        tree.extractall(directory, filter="data")


def _repeat(call: Call, count: int) -> None:
    for _ in range(count):
        call()


def threads(process: int) -> dict[str, float]:
    """The processor time in seconds of each thread of a process, without that of the processes which it has started."""
    found = {}
    for thread in Path(f"/proc/{process}/task").iterdir():
        with contextlib.suppress(OSError):  # it has ended
            found[thread.name] = int((thread / "schedstat").read_text("ascii").split()[0]) / 1e9
    return found


def shares(root: Path, total: float, beside: float) -> dict[str, float]:
    """Microseconds of each part of a call, of `total`, of which `beside` are of threads that serve no connection.

    The others are split as in a profile, by the processor time of threads: what waits costs nothing. What profiling
    itself costs is taken to be spread evenly over what the application does.
    """
    from algo_local.opening import open_platform
    from algo_local.serving.http.listener import listen
    from algo_local.serving.http.server import Server
    from algo_local.web.app import Application

    source = root / "Echo" / "src"
    source.mkdir(parents=True)
    (source / "__init__.py").touch()
    (source / "Echo.py").write_text(ECHO)
    with contextlib.closing(open_platform(root / "platform")) as platform:
        platform.publish(source.parent, "bench", "Echo", "1.0.0")
        key = platform.keys.create(platform.metadata.ensure_account("bench"), "benchmark")[1]
        application = Application(platform)
        answered = _Answered(application.answer)
        application.answer = answered  # type: ignore[method-assign,assignment]
        listener = listen("127.0.0.1", 0)
        server = Server(application, listener)
        server.run()
        with ThreadPoolExecutor(1) as client:
            call = caller(listener.getsockname()[1], "/v1/algo/bench/Echo", "1", key)
            client.submit(_repeat, call, WARM).result()
            time.sleep(2 * STAY_SECONDS)  # until the connection counts as idle
            answered.seconds, served = 0.0, _Served()
            with served:
                client.submit(_repeat, call, PROFILED).result()
                time.sleep(2 * STAY_SECONDS)
            inside, around = (seconds / PROFILED * 1e6 for seconds in (answered.seconds, served.seconds))
            answered.profile = profile = cProfile.Profile(time.thread_time)
            client.submit(_repeat, call, PROFILED).result()
        platform.executor.close()
        server.stop()
    return _split(pstats.Stats(profile), total, beside, inside / around)


class _Served:
    """The processor time of the threads that serve connections, within its block."""

    def __init__(self) -> None:
        self.seconds = 0.0

    def __enter__(self) -> None:
        from algo_local.serving.http.connection import Connection

        self._serve = serve = Connection.serve

        def timed(connection: Any, head: Any, service: Any) -> Any:
            began = time.thread_time()
            try:
                return serve(connection, head, service)
            finally:
                self.seconds += time.thread_time() - began

        Connection.serve = timed  # type: ignore[method-assign]

    def __exit__(self, *_: object) -> None:
        from algo_local.serving.http.connection import Connection

        Connection.serve = self._serve  # type: ignore[method-assign]


class _Answered:
    """The application, with the processor time that it takes."""

    def __init__(self, answer: Callable[[Any], Any]) -> None:
        self._answer = answer
        self._lock = threading.Lock()
        self.seconds = 0.0
        self.profile: cProfile.Profile | None = None

    def __call__(self, request: Any) -> Any:
        with self._lock:
            if self.profile:
                return self.profile.runcall(self._answer, request)
            began = time.thread_time()
            try:
                return self._answer(request)
            finally:
                self.seconds += time.thread_time() - began


def _split(stats: Any, total: float, beside: float, inside: float) -> dict[str, float]:
    cumulative = {f"{Path(file).name}:{name}": row[3] for (file, _, name), row in stats.stats.items()}
    scale = (total - beside) * inside / cumulative["app.py:answer"]
    found = {text: sum(cumulative[name] for name in names) * scale for text, names in PARTS}
    found[PARTS[0][0]], found[PARTS[1][0]] = beside, (total - beside) * (1 - inside)
    found["the rest of the application"] = total - sum(found.values())
    return found


def _explained(costs: dict[str, float], parts: dict[str, float]) -> list[str]:
    """The section of the page."""
    rows = [f"| {text} | {micro:.0f} | {micro / costs['now']:.0%} |" for text, micro in parts.items()]
    now, before = costs["now"], costs["before"]
    took = f"takes {now:.0f} µs of processor time for a call that does nothing"
    return [
        "\n## What a trivial call costs",
        "",
        f"The server's process {took}; it took {before:.0f} µs",
        "before calls were recorded and scheduled. There is one caller, on one connection, and one worker, whose own",
        "process is not counted. Where the time goes, from a profile by processor time:",
        "",
        "| part | µs | share |",
        "| --- | ---: | ---: |",
        *rows,
        *(_OBSTACLES if before < 2 * now else ()),
    ]


if __name__ == "__main__":
    with tempfile.TemporaryDirectory() as directory:
        figures, text = throughput(Path(directory))
    print(*figures, *text, sep="\n")
