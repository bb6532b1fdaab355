"""Algorithms written in the test that runs them, built and run for real."""

from __future__ import annotations

import socket
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from support.programs import needs

from algo_local.algorithms.build import Build
from algo_local.algorithms.builder import Builder
from algo_local.callers import CallContext
from algo_local.execution.executor import Executor
from algo_local.execution.payload import Outcome, Payload
from algo_local.execution.scaling import Scaling
from algo_local.execution.workers.local_pool import LocalPool

CONTEXT = CallContext(caller="jane", algorithm=("demo", "Hello"), session="s-1", request_id="req-1")

Run = Callable[..., Outcome]


@pytest.fixture
def build(tmp_path: Path, write: Callable[..., Path]) -> Callable[..., Build]:
    """Write an algorithm and build it: `build(code)`; its module is src/Hello.py."""

    def build(code: str, **files: str) -> Build:
        count = len(list(tmp_path.glob("algorithm-*")))
        return Builder(tmp_path / "root").build(write(code, directory=f"algorithm-{count}", **files), "demo", "Hello")

    return build


@pytest.fixture(params=["sandbox", "plain"])
def confinement(request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    """Algorithms in a sandbox, where they see the test's own directory as well, and without one."""
    if request.param == "plain":
        monkeypatch.setenv("ALGO_LOCAL_SANDBOX", "off")
    else:
        needs("bwrap")
        monkeypatch.setenv("ALGO_LOCAL_SANDBOX", "required")
        monkeypatch.setenv("ALGO_LOCAL_SANDBOX_PATHS", f"{tmp_path}=rw")
        tmp_path.chmod(0o777)  # in the sandbox of a platform that is root, algorithms are somebody else
    return str(request.param)


class FixedEndpoint:
    """An address at which nobody answers."""

    address = "http://127.0.0.1:9"

    def serve_also(self, listener: socket.socket) -> Callable[[], None]:
        return listener.close


@pytest.fixture
def processes(tmp_path: Path) -> Path:
    """Where workers keep their files, so that a test can tell that nothing is left."""
    return tmp_path / "root" / "processes"


@pytest.fixture
def make_executor(confinement: str, processes: Path) -> Iterator[Callable[..., Executor]]:
    """Makes executors that are closed in the end: `make_executor(most=1)`."""
    made = []

    def make(**options: Any) -> Executor:
        made.append(LocalPool(FixedEndpoint, processes, Scaling(**options)))
        return made[-1]

    yield make
    for executor in made:
        executor.close()


@pytest.fixture
def executor(make_executor: Callable[..., Executor]) -> Executor:
    return make_executor()


@pytest.fixture
def run(executor: Executor, build: Callable[..., Build]) -> Run:
    """Build the code (once for each text) and run it: `run(code, input, timeout=60)`."""
    builds: dict[str, Build] = {}

    def run(code: str, data: Any = "x", *, timeout: float = 60.0, **files: str) -> Outcome:
        if code not in builds:
            builds[code] = build(code, **files)
        kind = "text" if isinstance(data, str) else "binary" if isinstance(data, bytes) else "json"
        return executor.call(builds[code], Payload(kind, data), timeout=timeout, context=CONTEXT)

    return run
