"""Inputs from tables and lines: what is invalid is that input's failure, named with its place, and the others go on."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator
from datetime import date
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

from algo_core.errors import ConfigError, UsageError
from algo_run.batch.inputs import count_inputs, open_inputs
from algo_run.batch.tables import rows_of_csv, rows_of_parquet


def outcomes(made: Any) -> list[tuple[str, Any]]:
    """Names with values, or with the reason why there is none."""
    found = []
    for name, make in made:
        try:
            found.append((name, json.loads(make().body)))
        except ValueError as error:
            found.append((name, str(error)))
    return found


@pytest.mark.parametrize(
    ("content", "expected"),
    [
        (b"", []),
        (b"a,b\n", []),
        (b"a,b\r\n1,2\r\n", [(2, {"a": "1", "b": "2"})]),
        (b'a,b\n3\n4,5,6\n7,8', [
            (2, "1 cell, where the first row has 2 names"), (3, "3 cells, where the first row has 2 names"),
            (4, {"a": "7", "b": "8"})]),
        (b'a\n"x"y\nz\n', [(2, "not CSV: ',' expected after '\"'"), (3, {"a": "z"})]),
        (b'a\nx\n"open\ny\n', [(2, {"a": "x"}), (4, "not CSV: unexpected end of data")]),
        (b"a,b\n\xff,1\n2,3\n", [(2, "not UTF-8 in the column a"), (3, {"a": "2", "b": "3"})]),
        (b'a\n"x\ny"\n\nz\n', [(3, {"a": "x\ny"}), (5, {"a": "z"})]),
        ("a\n\u00e4\n".encode("utf-16"), [(2, {"a": "\u00e4"})]),
        (b"a\n" + b"x" * 200_000, [(2, {"a": "x" * 200_000})]),
    ],
)  # fmt: skip
def test_rows_of_csv(tmp_path: Path, content: bytes, expected: list[tuple[int, Any]]) -> None:
    file = tmp_path / "in.csv"
    file.write_bytes(content)
    assert outcomes(rows_of_csv(str(file))) == [(f"{file}:{line}", value) for line, value in expected]


@pytest.mark.parametrize(
    ("content", "says"),
    [(b"a,a\n1,2\n", "duplicate name"), (b"\xff\n1\n", "not UTF-8"), (b'"a"b\n1\n', ":1 is not CSV")],
)
def test_a_first_row_that_is_no_row_of_names(tmp_path: Path, content: bytes, says: str) -> None:
    (tmp_path / "in.csv").write_bytes(content)
    with pytest.raises(UsageError, match=says):
        list(rows_of_csv(str(tmp_path / "in.csv")))


@pytest.mark.parametrize(
    ("line", "reason"),
    [
        (b'  {"a": x}', "not JSON: Expecting value at column 9"),
        (b'{"a":"NaN","b":NaN}', "not JSON: NaN is not a JSON value at column 16"),
        (b"[-Infinity]", "not JSON: -Infinity is not a JSON value at column 2"),
        (b"1 2", "not JSON: Extra data at column 3"),
        (b'"\xff"', "not UTF-8 at byte 1"),
        (b"\x00", "not JSON: Expecting value at column 1"),
        (b"[" * 200_000, "nested too deeply to be checked as JSON"),
    ],
)
def test_broken_lines_are_named_with_their_column(tmp_path: Path, line: bytes, reason: str) -> None:
    file = tmp_path / "in.jsonl"
    file.write_bytes(b"1\n\n" + line + b"\n2\n")
    one, broken, two = open_inputs(None, "each", str(file))  # type: ignore[arg-type]  # asked only for storages
    assert (broken.name, broken.problem) == (f"{file}:3", reason)
    assert (one.number, two.number, two.name, two.payload.body) == (0, 2, f"{file}:4", b"2")
    assert count_inputs("each", str(file)) == 4


class FakeParquet(ModuleType):
    """The part of pyarrow that is used, on batches that a test gives."""

    class ArrowException(Exception):
        """As pyarrow's."""

    def __init__(self, *batches: Any) -> None:
        super().__init__("pyarrow")
        self.batches = batches
        self.parquet = self

    def ParquetFile(self, file: Any) -> FakeParquet:
        return self

    def iter_batches(self, batch_size: int) -> Iterator[Any]:
        for batch in self.batches:
            if isinstance(batch, Exception):
                raise batch
            yield type("Batch", (), {"to_pylist": lambda self, rows=batch: rows})()


def test_rows_of_parquet(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    file = tmp_path / "in.parquet"
    file.write_bytes(b"")
    rows = [{"n": 1, "d": date(2020, 1, 2)}, {"f": float("nan")}, {"b": b"x"}]
    monkeypatch.setitem(sys.modules, "pyarrow", FakeParquet(rows, [{"n": None}]))
    assert outcomes(rows_of_parquet(str(file))) == [
        (f"{file} row 0", {"n": 1, "d": "2020-01-02"}),
        (f"{file} row 1", "infinite numbers and NaN have no form in JSON"),
        (f"{file} row 2", "bytes have no form in JSON"),
        (f"{file} row 3", {"n": None}),
    ]
    for error in (FakeParquet.ArrowException("cut.\nmore"), OSError("cut")):
        monkeypatch.setitem(sys.modules, "pyarrow", FakeParquet([{}], error))
        with pytest.raises(UsageError, match=r"in\.parquet cannot be read as Parquet from row 1 on: cut$"):
            list(rows_of_parquet(str(file)))
    monkeypatch.setitem(sys.modules, "pyarrow", None)
    with pytest.raises(ConfigError, match="pyarrow"):
        next(rows_of_parquet(str(file)))
