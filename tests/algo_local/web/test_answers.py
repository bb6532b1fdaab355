"""The bodies of answers, whichever way they are put together."""

from __future__ import annotations

import json

import pytest

from algo_local.execution.payload import ContentType
from algo_local.records.record import Answer
from algo_local.web.answers import wrapped


@pytest.mark.parametrize("duration", [0.1, 1e-05, 0.00010104999819304794, 300.0, 3, 1e22])
@pytest.mark.parametrize(
    ("content_type", "encoded"), [("text", b'"\xc3\xa9"'), ("json", b"[1]"), ("binary", b'"AA=="')]
)
def test_an_ordinary_answer_is_as_one_with_more(content_type: ContentType, encoded: bytes, duration: float) -> None:
    answer = Answer(content_type, encoded, None, duration, "printed")
    plain, more = (wrapped(answer, "req-1", trace=False, stdout=stdout) for stdout in (False, True))
    assert isinstance(plain.body, bytes)
    assert isinstance(more.body, bytes)
    assert plain.headers == more.headers
    found, full = json.loads(plain.body), json.loads(more.body)
    assert full["metadata"].pop("stdout") == "printed"
    assert found == full
    assert list(found) == list(full)
    assert list(found["metadata"]) == list(full["metadata"])
    assert b" " not in plain.body
