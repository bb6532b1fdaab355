"""The executor keeps the contract of the platform, which serves algorithms with it."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from algo_core.testing import Platform, assert_plugin_well_formed
from algo_local.testing import ExecutorContract

from acme_cluster.executor import ProcessExecutor


class NoPlatform:
    """An address at which no platform answers: the contract's algorithms call none."""

    address = "http://127.0.0.1:9"

    def serve_also(self, listener: Any) -> Any:
        return listener.close

    def close(self) -> None:
        pass


class TestExecutor(ExecutorContract):
    @pytest.fixture
    def executor(self, tmp_path: Path) -> Iterator[ProcessExecutor]:
        executor = ProcessExecutor(NoPlatform, tmp_path / "executor")
        executor.start()
        yield executor
        executor.close()


def test_the_plugin_is_well_formed() -> None:
    assert_plugin_well_formed("acme-cluster")


def test_a_platform_runs_algorithms_with_it(algo_platform: Platform) -> None:
    served = algo_platform.serve(engine="acme-cluster")
    called = algo_platform.home.run("run", "demo/Hello", "-d", "World", environ=served.environ)
    assert (called.code, called.text.strip()) == (0, "Hello World"), called.stderr
