"""What the platform reads of an algorithm's answers."""

from __future__ import annotations

import json
from typing import Any

import pytest

from algo_local.execution.payload import ContentType, Failure, Payload
from algo_local.execution.protocol import LONGEST_FAILURE, decode_answer, encode_request

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


@pytest.mark.parametrize(
    ("content_type", "data", "line"),
    [
        ("text", 'é "x"\n\ud800', r'"\u00e9 \"x\"\n\ud800"'),
        ("json", {"a": [1, 1.5, None, True], "é": {}}, r'{"a":[1,1.5,null,true],"\u00e9":{}}'),
        ("json", [float("inf"), {"b": -float("inf")}], '[1e999,{"b":-1e999}]'),
        ("json", [float("nan"), float("inf")], "[NaN,1e999]"),
        ("binary", b"\0\xff", '"AP8="'),
    ],
)
def test_a_request_is_one_line_of_ascii(content_type: ContentType, data: Any, line: str) -> None:
    expected = f'{{"content_type":"{content_type}","data":{line}}}\n'
    assert encode_request(Payload(content_type, data)) == expected.encode("ascii")
