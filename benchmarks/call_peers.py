"""A warm call over HTTP, against BentoML and Ray Serve: the same function, one caller, one worker, in turn.

Each peer is installed into an environment of its own, below the user's cache directory, when it is first measured. All
listen on the loopback interface only, and send no reports of their use.
"""

from __future__ import annotations

import contextlib
import http.client
import json
import os
import re
import shutil
import signal
import socket
import statistics
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from queue import Empty, Queue

from call_figures import Found
from measure import clean_environ
from startup import environment

PEERS = {"BentoML": "bentoml>=1.4,<1.5", "Ray Serve": "ray[serve]>=2.40,<3"}
CACHE = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "algo-benchmarks"
QUIET = {"BENTOML_DO_NOT_TRACK": "True", "RAY_USAGE_STATS_ENABLED": "0", "DO_NOT_TRACK": "1"}

START_SECONDS, STOP_SECONDS = 120.0, 20.0
WARM, ROUNDS, CALLS = 100, 8, 100

BENTO = """
from typing import Any
import bentoml

@bentoml.service(workers=1)
class Echo:
    @bentoml.api
    def apply(self, input: Any) -> Any:
        return input
"""

RAY = """
import sys
import ray
from ray import serve
from starlette.requests import Request

@serve.deployment(num_replicas=1)
class Echo:
    async def __call__(self, request: Request):
        return (await request.json())["input"]

ray.init(include_dashboard=False, num_cpus=2, log_to_driver=False, _temp_dir=sys.argv[2], _node_ip_address="127.0.0.1")
serve.start(http_options={"host": "127.0.0.1", "port": int(sys.argv[1])})
serve.run(Echo.bind())
print("ready", flush=True)
sys.stdin.read()
serve.shutdown()
ray.shutdown()
"""

Call = Callable[[], None]


def caller(port: int, path: str, body: str, key: str = "") -> Call:
    """Makes one call, on a connection of its own."""
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=60)
    headers = {"Content-Type": "application/json", **({"Authorization": f"Simple {key}"} if key else {})}

    def call() -> None:
        try:
            connection.request("POST", path, body, headers)
            answer = connection.getresponse()
        except ConnectionError:  # it was idle for too long
            connection.close()
            connection.request("POST", path, body, headers)
            answer = connection.getresponse()
        found = answer.read()
        assert answer.status == 200, found
        value = json.loads(found)
        assert (value["result"] if key else value) == 1, found

    return call


def free_port() -> int:
    """A port that nobody listens on now."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        return int(listener.getsockname()[1])


@contextlib.contextmanager
def running(command: Sequence[str | Path], environ: dict[str, str], directory: Path) -> Iterator[subprocess.Popen[str]]:
    """A process and all that it starts, which have ended after the block."""
    process = subprocess.Popen(
        command,
        env=environ,
        cwd=directory,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        start_new_session=True,
    )
    try:
        yield process
    finally:
        assert process.stdin
        process.stdin.close()  # Ray's script ends then, with all that it has started
        for seconds, end in ((STOP_SECONDS if "ray" in str(command[0]) else 0.0, os.kill), (STOP_SECONDS, os.killpg)):
            with contextlib.suppress(subprocess.TimeoutExpired):
                process.wait(seconds)
            with contextlib.suppress(ProcessLookupError):
                end(process.pid, signal.SIGTERM if end is os.kill else signal.SIGKILL)
        process.wait()


def said(process: subprocess.Popen[str], pattern: str) -> re.Match[str]:
    """The first line that matches; what follows is read and dropped.

    Raises:
        RuntimeError: if it does not come in time.
    """
    assert process.stdout
    lines, found = process.stdout, Queue[str]()
    threading.Thread(target=lambda: [found.put(line) for line in lines], daemon=True).start()
    deadline, seen = time.monotonic() + START_SECONDS, ""
    while time.monotonic() < deadline and (process.poll() is None or not found.empty()):
        with contextlib.suppress(Empty):
            line = found.get(timeout=0.2)
            seen += line
            if match := re.search(pattern, line):
                return match
    raise RuntimeError(f"{process.args!r} does not serve: {seen[-2000:]}")


@contextlib.contextmanager
def ours(root: Path, path: str = "") -> Iterator[tuple[Call, int]]:
    """A call of the served platform, and its process; `path` is where an older version's packages are."""
    root.mkdir(parents=True)
    environ = clean_environ(HOME=str(root), **({"PYTHONPATH": path} if path else {}))
    command = [sys.executable, Path(__file__).with_name("call_platform.py"), root]
    with running(command, environ, root) as process:
        found = said(process, r"^(sim\w+) Serving on http://127\.0\.0\.1:(\d+)")
        yield caller(int(found[2]), "/v1/algo/bench/Echo", "1", found[1]), process.pid


@contextlib.contextmanager
def bento(root: Path) -> Iterator[Call]:
    """A call of BentoML's server."""
    python = installed("BentoML")
    root.mkdir()
    (root / "service.py").write_text(BENTO)
    port = free_port()
    command = [python.with_name("bentoml"), "serve", "service:Echo", "--host", "127.0.0.1", "--port", str(port)]
    with running(command, clean_environ(HOME=str(root), **QUIET), root) as process:
        said(process, r"Service Echo initialized")
        yield caller(port, "/apply", '{"input": 1}')


@contextlib.contextmanager
def ray(root: Path) -> Iterator[Call]:
    """A call of Ray Serve."""
    python = installed("Ray Serve")
    root.mkdir()
    (root / "service.py").write_text(RAY)
    port = free_port()
    command = [python, "service.py", str(port), str(root / "state")]
    with running(command, clean_environ(HOME=str(root), **QUIET), root) as process:
        said(process, r"^ready")
        yield caller(port, "/", '{"input": 1}')


def installed(peer: str) -> Path:
    """The interpreter of a peer's environment, which is made if there is none."""
    path = CACHE / peer.lower().replace(" ", "-")
    ready = path / "ready"
    if not ready.exists():
        shutil.rmtree(path, ignore_errors=True)
        path.parent.mkdir(parents=True, exist_ok=True)
        environment(path, PEERS[peer])
        ready.touch()
    return path / "bin" / "python"


def peers(root: Path) -> list[Found]:
    """Medians of single calls, in rounds in which the sides take turns; all servers run all the time."""
    with contextlib.ExitStack() as stack:
        calls = {
            "ours": stack.enter_context(ours(root / "ours"))[0],
            "BentoML": stack.enter_context(bento(root / "bento")),
            "Ray Serve": stack.enter_context(ray(root / "ray")),
        }
        times: dict[str, list[float]] = {name: [] for name in calls}
        for call in calls.values():
            for _ in range(WARM):
                call()
        for _ in range(ROUNDS):
            for name, call in calls.items():
                for _ in range(CALLS):
                    began = time.perf_counter()
                    call()
                    times[name].append(time.perf_counter() - began)
    medians = {name: statistics.median(found) for name, found in times.items()}
    limits = {"BentoML": 0.10, "Ray Serve": 0.05}
    return [
        Found(
            f"a warm call over HTTP, {medians['ours'] * 1000:.2f} ms",
            f"{name}, {medians[name] * 1000:.2f} ms",
            medians["ours"] / medians[name],
            limit,
        )
        for name, limit in limits.items()
    ]
