"""`TEST_CASES.json`: what is expected of results, and mistakes in the file."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from algo_local.algorithms.build import BuildError
from algo_local.cases import KINDS, Case, read_cases
from algo_local.execution.payload import Failure, Outcome, Payload

FAILED = Outcome(None, Failure("no luck"), 0.0, "")


def gave(value: Any) -> Outcome:
    return Outcome(Payload("binary" if isinstance(value, bytes) else "json", value), None, 0.0, "")


@pytest.mark.parametrize(
    ("case", "outcome", "expected"),
    [
        ({"expected_output": {"a": 1}}, gave({"a": 1}), None),
        ({"expected_output": 1, "tree": ["a", 1]}, gave({"a": [0, 1]}), None),
        ({"expected_output": 2, "tree": ["a", 1]}, gave({"a": [0, 1]}), "expected 2 at ['a', 1], got 1"),
        ({"expected_output": 1, "tree": ["b"]}, gave({"a": 1}), "the result has no 'b' at ['b']: {\"a\": 1}"),
        ({"expected_output": 1, "tree": [3]}, gave([1]), "the result has no 3"),
        ({"expected_output": 1, "tree": ["a"]}, gave(1), "the result has no 'a'"),
        ({"expected_output": "x"}, gave("y"), 'expected "x", got "y"'),
        ({"expected_output": "x"}, gave(b"abc"), 'expected "x", got 3 bytes'),
        ({"expected_output": 1}, FAILED, "it failed: no luck"),
        ({"expected_output": 0.7, "type": "GREATER_OR_EQUAL"}, gave(0.7), None),
        ({"expected_output": 0.7, "type": "GREATER_OR_EQUAL"}, gave(0.6), "expected at least 0.7, got 0.6"),
        ({"expected_output": 5, "type": "LESS_OR_EQUAL"}, gave(6), "expected at most 5, got 6"),
        ({"expected_output": 5, "type": "LESS_OR_EQUAL"}, gave("6"), 'expected a number, got "6"'),
        ({"type": "NO_EXCEPTION"}, gave(None), None),
        ({"type": "NO_EXCEPTION"}, FAILED, "it failed: no luck"),
        ({"type": "EXCEPTION"}, FAILED, None),
        ({"type": "EXCEPTION"}, gave(1), "it should have failed, and gave 1"),
    ],
)
def test_what_is_expected(tmp_path: Path, case: dict[str, Any], outcome: Outcome, expected: str | None) -> None:
    (tmp_path / "TEST_CASES.json").write_text(json.dumps([{"input": 0, **case}]))
    (read,) = read_cases(tmp_path)
    wrong = read.failure(outcome)
    assert wrong is None if expected is None else (wrong or "").startswith(expected)


@pytest.mark.parametrize(
    ("text", "message", "hint"),
    [
        ("[", "is not JSON", "Correct it"),
        ("{}", "does not hold a list", "case_name"),
        ("[1]", "case 1 has no input", "looks like"),
        ('[{"input": 1, "expected_output": 1}, {"case_name": "x"}]', "case 2 has no input", "looks like"),
        ('[{"input": 1, "expected_ouput": 1}]', "unknown member 'expected_ouput'", "'expected_output'"),
        ('[{"inpt": 1}]', "unknown member 'inpt'", "'input'"),
        ('[{"input": 1}]', "has no expected_output", "NO_EXCEPTION"),
        ('[{"input": 1, "type": "EXACT"}]', "unknown type 'EXACT'", "There are EXACT_MATCH"),
        ('[{"input": 1, "type": "exact_mach"}]', "unknown type 'exact_mach'", "'EXACT_MATCH'"),
        ('[{"input": 1, "type": "LESS_OR_EQUAL", "expected_output": "1"}]', "must be a number", "Correct"),
        ('[{"input": 1, "expected_output": 1, "tree": "a"}]', "must be a list of keys", "Correct"),
    ],
)
def test_a_mistake_is_named(tmp_path: Path, text: str, message: str, hint: str) -> None:
    (tmp_path / "TEST_CASES.json").write_text(text)
    with pytest.raises(BuildError) as caught:
        read_cases(tmp_path)
    assert message in caught.value.message
    assert hint in (caught.value.hint or "")


def test_names_and_no_file(tmp_path: Path) -> None:
    assert read_cases(tmp_path) == []
    (tmp_path / "TEST_CASES.json").write_text('\ufeff[{"input": null, "type": "EXCEPTION", "other": 1}]', "utf-8")
    assert read_cases(tmp_path) == [Case("case 1", None, "EXCEPTION")]
    assert len(KINDS) == 5
