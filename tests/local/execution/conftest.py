"""Algorithms written in the test that runs them, built and run for real."""

from __future__ import annotations

import textwrap
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from algo_local.algorithms.builder import Builder
from algo_local.execution.executor import Executor
from algo_local.execution.payload import Build, CallContext, Outcome, Payload

CONTEXT = CallContext(caller="jane", algorithm=("demo", "Hello"), session="s-1", request_id="req-1")

Run = Callable[..., Outcome]


@pytest.fixture
def write(tmp_path: Path) -> Callable[..., Path]:
    """Write an algorithm directory; `write(code, name="Hello", **{"requirements.txt": "..."})`."""

    def write(code: str, name: str = "Hello", directory: str = "algorithm", **files: str) -> Path:
        root = tmp_path / directory
        for path, text in {f"src/{name}.py": code, "src/__init__.py": "", **files}.items():
            (root / path).parent.mkdir(parents=True, exist_ok=True)
            (root / path).write_text(textwrap.dedent(text), "utf-8")
        return root

    return write


@pytest.fixture
def build(tmp_path: Path, write: Callable[..., Path]) -> Callable[..., Build]:
    """Write an algorithm and build it: `build(code)`; its module is src/Hello.py."""

    def build(code: str, **files: str) -> Build:
        count = len(list(tmp_path.glob("algorithm-*")))
        return Builder(tmp_path / "root").build(write(code, directory=f"algorithm-{count}", **files), "demo", "Hello")

    return build


@pytest.fixture
def executor() -> Iterator[Executor]:
    executor = Executor(lambda: "http://127.0.0.1:9")
    yield executor
    executor.close()


@pytest.fixture
def run(executor: Executor, build: Callable[..., Build]) -> Run:
    """Build the code (once for each text) and run it: `run(code, input, timeout=60)`."""
    builds: dict[str, Build] = {}

    def run(code: str, data: Any = "x", *, timeout: float = 60.0, **files: str) -> Outcome:
        if code not in builds:
            builds[code] = build(code, **files)
        kind = "text" if isinstance(data, str) else "binary" if isinstance(data, bytes) else "json"
        return executor.run(builds[code], Payload(kind, data), timeout=timeout, context=CONTEXT)

    return run


@pytest.fixture(autouse=True)
def temporary_files(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Processes keep their files here, so that a test can tell that nothing is left."""
    import tempfile

    directory = tmp_path / "processes"
    directory.mkdir()
    monkeypatch.setattr(tempfile, "tempdir", str(directory))
    return directory
