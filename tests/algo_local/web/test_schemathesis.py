"""The served API under generated requests: no failure, and no answer of another shape than the document says."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from support.world import World

from algo_core.errors import ExitCode
from algo_local.serving.http.listener import listen
from algo_local.serving.http.server import Server

CHECKS = "not_a_server_error,response_schema_conformance,content_type_conformance,status_code_conformance"


@pytest.mark.parametrize(("caller", "phase"), [("alice", "fuzzing"), ("administrator", "coverage")])
def test_generated_requests_are_answered_as_documented(
    fresh: Callable[[], World], tmp_path: Path, caller: str, phase: str
) -> None:
    world = fresh()
    listener = listen("127.0.0.1", 0)
    server = Server(world.application, listener, on_failure=world.failures.append)
    server.run()
    address = f"http://127.0.0.1:{listener.getsockname()[1]}"
    command = [
        sys.executable, "-m", "schemathesis.cli", "run", f"{address}/v1/openapi.json", "--no-color",
        "--header", f"Authorization: Simple {world.keys[caller]}", "--checks", CHECKS, "--phases", phase,
        "--max-examples", "2", "--seed", "1", "--continue-on-failure", "--suppress-health-check", "all",
    ]  # fmt: skip
    try:
        done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True)
    finally:
        world.platform.executor.close()
        server.stop()
    assert world.failures == []
    assert done.returncode == ExitCode.OK, done.stdout[-5000:] + done.stderr
    assert "Unresolvable references" not in done.stdout
