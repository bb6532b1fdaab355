"""Outputs of two calls, compared: numbers exactly or with tolerance, types, failures."""

from __future__ import annotations

from typing import Any

import pytest

from algo_run.batch.comparison import difference, difference_of_rows
from algo_run.batch.csv_rows import row_of_csv
from algo_run.batch.done import DoneInputs
from algo_run.batch.journal import marks_of
from algo_run.call import approximated
from algo_run.json_text import Written

HUGE = 10**400


@pytest.mark.parametrize(
    ("one", "other", "tolerance", "expected"),
    [
        (1, 1.0, 0, None),
        (2**53, 2**53 + 1, 0, f"$: {2**53} became {2**53 + 1}"),
        (2**53, 2**53 + 1, 1e-9, None),
        (HUGE, HUGE, 0, None),
        (HUGE, HUGE + 1, 1e-6, None),
        (HUGE, 2 * HUGE, 1e-6, "$: 1000"),
        (1, HUGE, 0.5, "$: 1 became 1000"),
        (float("inf"), float("inf"), 0, "$: inf became inf"),
        (True, 1, 1, "$: true or false became a number"),
        (0, 1e-9, 1e-6, None),
        ({"a": [1, 2]}, {"a": [1, 2, 3]}, 0, "$.a: 2 elements became 3"),
        ({"a": 1}, {}, 0, "$.a is missing"),
        ({}, {"a": None}, 0, "$.a is new"),
        ("x", None, 0, "$: text became null"),
    ],
)
def test_values(one: Any, other: Any, tolerance: float, expected: str | None) -> None:
    found = difference(one, other, tolerance)
    assert found == expected if expected is None else (found or "").startswith(expected)


def result(value: Any, kind: str = "json") -> dict[str, Any]:
    return {"result": value, "metadata": {"content_type": kind}}


def written(text: str) -> dict[str, Any]:
    return result(Written(text, approximated(text.encode())))


def error(message: str, kind: str = "E") -> dict[str, Any]:
    return {"error": {"message": message, "error_type": kind}}


DEEP = "[" * 900 + "]" * 900


@pytest.mark.parametrize(
    ("before", "after", "expected"),
    [
        (result("aGk=", "binary"), result("aGk=", "text"), "$: content type binary became text"),
        (result("aGk=", "binary"), {"result": "aGk="}, None),
        (result("x", "json"), result("x", "text"), None),
        (written("9" * 5000), written("9" * 5000), None),
        (written("9" * 5000), written("8" + "9" * 4999), "$: inf became inf"),
        (written('{"a": 1}'), written('{"a":1}'), None),
        (written(DEEP), written(DEEP), None),
        (error("no"), error("no"), None),
        (error("a\nb"), {"error": {"message": "a b"}}, None),
        (error("no", "A"), error("no", "B"), "it failed otherwise: no, now no"),
        (error("no"), result(1), "it failed before: no"),
        (result(1), error("no"), "it failed: no"),
    ],
)
def test_outcomes(before: dict[str, Any], after: dict[str, Any], expected: str | None) -> None:
    assert difference_of_rows(before, after) == expected


def test_what_is_too_deep_to_compare_differs_unless_the_text_is_the_same() -> None:
    value: Any = []
    for _ in range(5000):
        value = [value]
    other: Any = [value]
    assert "nested too deeply" in (difference_of_rows(result(Written("a", value)), result(Written("b", other))) or "")


def test_done_inputs_take_eight_bytes_each_and_a_damaged_number_no_more() -> None:
    done = DoneInputs()
    for number in (0, 5, 3, 5, 1 << 50):
        done.add(number, f"{number + 1:016x}")
    assert len(done) == 4
    assert [done.has(number) for number in (0, 1, 3, 5, 6, 1 << 50)] == [True, False, True, True, False, True]
    assert done.matches(5, f"{6:016x}")
    assert not done.matches(5, f"{7:016x}")
    assert done.matches(1 << 50, f"{(1 << 50) + 1:016x}")
    assert not done.matches(1 << 51, "1")
    done.add(7, "0" * 16)
    assert done.has(7)
    for number, digest in ((-1, "1"), (1, "x"), (1, "-1"), (1, "1" * 17)):
        with pytest.raises(ValueError, match=r"."):
            done.add(number, digest)


def test_rows_of_a_journal_in_csv() -> None:
    assert row_of_csv(b'3,ab,"{""a"":1}",,,0.5\n') == {
        "index": 3, "input": "ab", "result": Written('{"a":1}', {"a": 1}), "metadata": {"duration": 0.5},
    }  # fmt: skip
    assert marks_of(row_of_csv(b"3,ab,,InputError,broken,\n")) == ["failed"]
    large = b"1,ab," + b'"""' + b"x" * 300_000 + b'""",,,\n'
    assert row_of_csv(large)["result"] == "x" * 300_000
    for line in (b"", b"1,2\n", b"x,ab,1,,,\n", b"1,ab,nonsense,,,\n", b"\xff,ab,1,,,\n"):
        with pytest.raises(ValueError, match=r"."):
            row_of_csv(line)
