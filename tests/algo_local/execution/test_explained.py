"""Algorithms that end themselves with a text, or miss a module of their own, say so in the failure."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from algo_local.algorithms.build import Build
from algo_local.execution.executor import Executor
from algo_local.execution.payload import Payload
from tests.algo_local.execution.conftest import CONTEXT

APPLY = "\ndef apply(input):\n    return input\n"


@pytest.mark.parametrize("confinement", ["plain"], indirect=True)
@pytest.mark.parametrize(
    ("code", "message", "error_type"),
    [
        ("import sys\nsys.exit('FOO is not set')" + APPLY, "FOO is not set", "LoadingError"),
        ("import sys\ndef load():\n    sys.exit('no model')" + APPLY, "no model", "LoadingError"),
        ("import sys\ndef apply(input):\n    sys.exit('BAR is not set')", "BAR is not set", "SystemExit"),
        ("import sys\nsys.exit(3)" + APPLY, "exited with code 3", "SystemExit"),
        (
            "import helpers" + APPLY,
            "No module named 'helpers'; src/helpers is imported with: from . import helpers",
            "LoadingError",
        ),
    ],
)
def test_what_an_algorithm_says_as_it_ends(
    executor: Executor, build: Callable[..., Build], code: str, message: str, error_type: str
) -> None:
    made = build(code, **{"src/helpers.py": ""})
    for _ in range(2):
        failure = executor.call(made, Payload("text", "x"), timeout=60, context=CONTEXT).failure
        assert failure
        assert (failure.message, failure.error_type) == (message, error_type)
