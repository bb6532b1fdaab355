"""The executor `ray` keeps the contract of executors, in Python and in JavaScript."""

from __future__ import annotations

import pytest

from algo_local.execution.executor import Executor
from algo_local.testing import JAVASCRIPT, ExecutorContract


class TestPython(ExecutorContract):
    @pytest.fixture
    def executor(self, ray_executor: Executor) -> Executor:
        return ray_executor


class TestJavaScript(TestPython):
    programs = JAVASCRIPT
