"""The executor `ray` keeps the contract of executors, in Python and in JavaScript."""

from __future__ import annotations

import pytest

from algo_local.testing import JAVASCRIPT, ExecutorContract
from algo_ray.executor import RayExecutor


class TestPython(ExecutorContract):
    @pytest.fixture
    def executor(self, ray_executor: RayExecutor) -> RayExecutor:  # type: ignore[override]
        return ray_executor


class TestJavaScript(TestPython):
    programs = JAVASCRIPT
