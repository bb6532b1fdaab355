"""The rows of a journal in CSV, one line for each."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from algo_run.call import approximated
from algo_run.json_text import Written, dumped

COLUMNS = ("index", "input", "result", "error_type", "error", "duration", "request_id")
FORMER_COLUMNS = COLUMNS[:6]
"""The columns of journals of version 1.0, which are continued with the same columns."""


def _cells(line: bytes) -> list[str]:
    import csv

    from algo_run.batch.tables import LONGEST_CELL

    csv.field_size_limit(LONGEST_CELL)
    try:
        return next(csv.reader([line.decode("utf-8")]))
    except (StopIteration, csv.Error) as error:
        raise ValueError(error) from None


def header_in_csv(line: bytes) -> str:
    """What describes the run, in the first line. ValueError if that is no CSV."""
    return "".join(_cells(line)[:1]).removeprefix("#")


def row_of_csv(line: bytes) -> dict[str, Any]:
    """The row in a line of a journal in CSV. ValueError if that is none."""
    cells = _cells(line)
    named = dict(zip(FORMER_COLUMNS if len(cells) == len(FORMER_COLUMNS) else COLUMNS, cells, strict=True))
    row: dict[str, Any] = {"index": int(named["index"]), "input": named["input"]}
    if identifier := named.get("request_id"):
        row["request_id"] = identifier
    if named["error_type"]:
        return row | {"error": {"type": named["error_type"], "message": named["error"]}}
    metadata = {"duration": float(named["duration"])} if named["duration"] else {}
    result = approximated(named["result"].encode())
    written = result if isinstance(result, str) else Written(named["result"], result)
    return row | {"result": written, "metadata": metadata}


def csv_of_row(row: dict[str, Any], columns: Sequence[str]) -> bytes:
    """The line of a row."""
    error = row.get("error", {})
    result = dumped(row["result"]) if "result" in row else ""
    message = str(error.get("message", "")).replace("\r", " ").replace("\n", " ")
    duration = row.get("metadata", {}).get("duration", "")
    identifier = row.get("request_id", "")
    cells = [row["index"], row["input"], result, error.get("type", ""), message, duration, identifier]
    return line_of_csv(cells[: len(columns)])


def line_of_csv(cells: Sequence[object]) -> bytes:
    """A line of CSV."""
    import csv
    import io

    text = io.StringIO()
    csv.writer(text, lineterminator="\n").writerow(cells)
    return text.getvalue().encode("utf-8")
