"""The servers that `serve.py` compares: the platform of this tree and of another, nginx, and Starlette on uvicorn."""

from __future__ import annotations

import contextlib
import os
import re
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from measure import clean_environ
from serve_client import Connection
from servers import _free_port, _wait_for, nginx
from startup import ROOT, environment

STARLETTE = """
import hashlib, os, sys
from starlette.applications import Starlette
from starlette.responses import FileResponse, JSONResponse
from starlette.routing import Route
import uvicorn

def place(request):
    return os.path.join(sys.argv[2], request.path_params["name"])

async def get(request):
    return FileResponse(place(request))

async def put(request):
    digest = hashlib.md5()
    with open(place(request) + ".part", "wb") as file:
        async for block in request.stream():
            digest.update(block)
            file.write(block)
    os.replace(file.name, place(request))
    return JSONResponse({"result": place(request)}, headers={"ETag": digest.hexdigest()})

path = "/v1/data/.my/bench/{name}"
routes = [Route(path, get, methods=["GET"]), Route(path, put, methods=["PUT"])]
uvicorn.run(Starlette(routes=routes), port=int(sys.argv[1]), log_level="error")
"""


@dataclass
class Side:
    """A running server."""

    name: str
    processes: list[int]
    port: int
    fields: dict[str, str] = field(default_factory=dict)
    """Header fields of each request."""
    calls: bool = False
    """Whether it runs algorithms."""

    def connect(self) -> Connection:
        """A new connection of a client."""
        return Connection(self.port, self.fields)

    def processor_seconds(self) -> float:
        """What its processes have used so far; not the workers of algorithms."""
        return sum(time.clock_gettime((~process << 3) | 2) for process in self.processes)  # the clock of a process

    def memory(self) -> int:
        """Bytes that its processes have in memory."""
        pages = (int(Path(f"/proc/{process}/statm").read_text().split()[1]) for process in self.processes)
        return sum(pages) * os.sysconf("SC_PAGE_SIZE")

    def count(self, what: str) -> int:
        """How many threads (`task`) or descriptors (`fd`) they have."""
        return sum(len(os.listdir(f"/proc/{process}/{what}")) for process in self.processes)


NO_SETTINGS: Mapping[str, str] = {}


def environ_of(base: Path, checkout: Path = ROOT) -> dict[str, str]:
    """The environment of commands of a checkout whose platform is in `base`."""
    parts = [checkout, *sorted(path for path in (checkout / "plugins").iterdir() if path.is_dir())]
    return clean_environ(HOME=str(base), ALGO_LOCAL_ROOT=str(base / "state"), PYTHONPATH=":".join(map(str, parts)))


@contextlib.contextmanager
def platform(
    name: str, base: Path, checkout: Path = ROOT, options: Sequence[str] = (), settings: Mapping[str, str] = NO_SETTINGS
) -> Iterator[Side]:
    """`algo local serve` of a checkout, with the packages of this environment; its collection `bench` is there.

    `settings` are further variables of its environment.
    """
    environ = {**environ_of(base, checkout), **settings}
    algo = [sys.executable, "-m", "algo_core"]
    made = subprocess.run([*algo, "local", "key", "new", "bench"], env=environ, capture_output=True, text=True)
    key = re.search(r"sim\w+", made.stdout)
    if not key:
        raise RuntimeError(f"No key was made: {made.stderr}")
    command = [*algo, "local", "serve", "--port", "0", *options]
    log = base / "log"
    with open(log, "wb") as written:
        process = subprocess.Popen(command, env=environ, stdout=written, stderr=subprocess.STDOUT, cwd=base)
    try:
        port = _port(process, log)
        side = Side(name, [process.pid], port, {"Authorization": f"Simple {key[0]}"}, calls=True)
        if options:
            side.processes += _children(process.pid)
        connection = side.connect()
        connection.send("POST", "/v1/data/.my", b'{"name": "bench"}', "application/json")
        yield side
    finally:
        process.terminate()
        process.wait(30)


def _port(process: subprocess.Popen[bytes], log: Path) -> int:
    end = time.monotonic() + 60
    while time.monotonic() < end and process.poll() is None:
        if found := re.search(r"http://127.0.0.1:(\d+)", log.read_text()):
            return int(found[1])
        time.sleep(0.05)
    raise RuntimeError(f"The platform does not start: {log.read_text()}")


def _children(process: int) -> list[int]:
    return [int(child) for child in Path(f"/proc/{process}/task/{process}/children").read_text().split()]


@contextlib.contextmanager
def nginx_side(base: Path) -> Iterator[Side]:
    """nginx, with a file for each GET and WebDAV's PUT."""
    with nginx(base) as server:
        server.collection("bench")
        master = int((base / "nginx.pid").read_text())
        yield Side("nginx", [master, *_children(master)], server.plain)


@contextlib.contextmanager
def starlette_side(base: Path) -> Iterator[Side]:
    """A trivial application of Starlette on uvicorn, with uvloop and httptools, in an environment of its own."""
    python = environment(base / "environment", "starlette", "uvicorn[standard]")
    files = base / "files"
    files.mkdir()
    port = _free_port()
    process = subprocess.Popen([python, "-c", STARLETTE, str(port), files])
    try:
        _wait_for(process, port)
        yield Side("Starlette on uvicorn", [process.pid], port)
    finally:
        process.terminate()
        process.wait(30)
