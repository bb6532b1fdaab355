"""What the platform reads of an algorithm's answers."""

from __future__ import annotations

import json
from typing import Any

import pytest

from algo_local.execution.payload import Failure
from algo_local.execution.protocol import LONGEST_FAILURE, decode_answer

LONG = "begin " + "\\" * 5_000_000 + " end"


@pytest.mark.parametrize(
    "error",
    [
        LONG,
        {"message": LONG},
        {"message": "short", "stacktrace": LONG},
        {"message": [LONG], "error_type": "InputError", "stacktrace": LONG},
        {"message": "short", "stacktrace": LONG + "\nMemoryError: x"},
    ],
)
def test_a_failure_has_a_limit_whichever_member_is_long(error: Any) -> None:
    found = decode_answer(json.dumps({"error": error}).encode())
    assert isinstance(found, Failure)
    texts = [found.message, found.stacktrace or ""]
    assert max(map(len, texts)) <= LONGEST_FAILURE
    assert any("begin" in text and " end" in text and "characters left out" in text for text in texts)


def test_a_failure_within_the_limit_is_unchanged() -> None:
    text = "x" * LONGEST_FAILURE
    found = decode_answer(json.dumps({"error": {"message": text, "stacktrace": text}}).encode())
    assert found == Failure(text, "AlgorithmError", text)
