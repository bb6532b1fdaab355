"""The Python template and the first algorithm that a platform publishes: both run as they are."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest

from algo_local.algorithms import catalog
from algo_local.algorithms.builder import Builder
from algo_local.callers import CallContext
from algo_local.execution.executor import Executor
from algo_local.execution.payload import Payload

CONTEXT = CallContext(caller="jane", algorithm=("demo", "Hello"), session="s-1", request_id="req-1")


def test_the_python_3_template_can_be_published_as_it_is(tmp_path: Path, executor: Executor) -> None:
    archive = catalog.template_archive(catalog.environments("python3")[0]["environment_specification_id"])
    (tmp_path / "archive").write_bytes(archive)
    shutil.unpack_archive(tmp_path / "archive", tmp_path / "template", "gztar")
    build = Builder(tmp_path / "root").build(tmp_path / "template", "jane", "Greet")
    outcome = executor.call(build, Payload("text", "Jane"), timeout=60, context=CONTEXT)
    assert outcome.result == Payload("text", "hello Jane")


@pytest.mark.parametrize("data", ["HAL 9000", {"name": "HAL"}, 9000, True, None])
def test_hello(tmp_path: Path, executor: Executor, data: object) -> None:
    build = Builder(tmp_path / "root").build(catalog.HELLO, "demo", "Hello")
    kind = "text" if isinstance(data, str) else "json"
    for content_type in {kind, "json"}:
        outcome = executor.call(build, Payload(content_type, data), timeout=60, context=CONTEXT)  # type: ignore[arg-type]
        assert outcome.result == Payload("text", f"Hello {data if isinstance(data, str) else json.dumps(data)}")
