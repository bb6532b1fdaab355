"""Rows of tables as inputs: CSV and Parquet, each row as an object."""

from __future__ import annotations

import csv
import json
import re
from collections.abc import Callable, Iterator
from functools import partial
from typing import Any, NoReturn

from algo_core.errors import ConfigError, UsageError
from algo_core.text import as_text
from algo_run.payload import JSON, Payload

LONGEST_CELL = 1 << 30
"""Maximum size of a cell of CSV in characters; Python's own limit is smaller than many inputs and results."""

ROWS = 1000
"""Rows of Parquet that are in memory at once."""

Made = tuple[str, Callable[[], Payload]]
"""A name, and a function that returns the payload or raises ValueError with the reason."""

_NOT_UTF_8 = re.compile("[\udc80-\udcff]")


def rows_of_csv(source: str) -> Iterator[Made]:
    """Rows as objects whose values are text, by the names in the first row.

    Raises:
        UsageError: if the first row cannot be read, or has a name twice.
        OSError: if the file cannot be read.
    """
    csv.field_size_limit(LONGEST_CELL)
    with as_text(open(source, "rb"), "surrogateescape", newline="") as file:
        rows = csv.reader(file, strict=True)
        names = _names(source, rows)
        while names is not None:
            try:
                row = next(rows, None)
            except csv.Error as error:  # the reader goes on with the next line
                yield f"{source}:{rows.line_num}", partial(_refuse, f"not CSV: {error}")
                continue
            except UnicodeDecodeError as error:  # of UTF-16, whose rest means nothing
                yield f"{source}:{rows.line_num + 1}", partial(_refuse, f"not text: {error.reason}")
                return
            if row is None:
                return
            if row:
                yield f"{source}:{rows.line_num}", partial(_row, names, row)


def _names(source: str, rows: Any) -> list[str] | None:
    try:
        names: list[str] | None = next(rows, None)
    except (csv.Error, UnicodeDecodeError) as error:
        raise UsageError(f"{source}:1 is not CSV: {error}", "The first row has the names of the columns") from None
    if names and _NOT_UTF_8.search("".join(names)):
        raise UsageError(f"{source}:1 is not UTF-8", "Convert the file with iconv")
    if names and len(set(names)) < len(names):
        raise UsageError(f"{source} has a duplicate name in its first row", "Give each column its own name")
    return names


def _row(names: list[str], row: list[str]) -> Payload:
    if len(row) != len(names):
        noun = "cell" if len(row) == 1 else "cells"
        raise ValueError(f"{len(row)} {noun}, where the first row has {len(names)} names")
    for name, text in zip(names, row, strict=True):
        if _NOT_UTF_8.search(text):
            raise ValueError(f"not UTF-8 in the column {name}")
    return _encoded(dict(zip(names, row, strict=True)))


def rows_of_parquet(source: str) -> Iterator[Made]:
    """Rows as objects; dates, times and decimals are texts.

    Raises:
        ConfigError: if the package for that is not installed.
        UsageError: if that is no Parquet file, or it is damaged.
        OSError: if the file cannot be read.
    """
    try:
        from pyarrow import ArrowException, parquet
    except ImportError:
        raise ConfigError(
            "Parquet files need the package pyarrow", "Install it with: pip install 'algo-run[parquet]'"
        ) from None
    number = 0
    with open(source, "rb") as file:
        try:
            for batch in parquet.ParquetFile(file).iter_batches(batch_size=ROWS):
                for row in batch.to_pylist():
                    yield f"{source} row {number}", partial(_encoded, row)
                    number += 1
        except (ArrowException, OSError) as error:
            where = f" from row {number} on" if number else ""
            reason = str(error).partition("\n")[0].rstrip(".")
            raise UsageError(f"{source} cannot be read as Parquet{where}: {reason}", "Write the file again") from None


def _encoded(value: Any) -> Payload:
    try:
        text = json.dumps(value, ensure_ascii=False, allow_nan=False, default=_as_text)
    except ValueError as error:
        reason = "infinite numbers and NaN have no form in JSON" if "float" in str(error) else str(error)
        raise ValueError(reason) from None
    return Payload(JSON, text.encode("utf-8", "surrogatepass"))


def _as_text(value: object) -> str:
    if isinstance(value, bytes):
        raise ValueError("bytes have no form in JSON")
    return str(value)


def _refuse(reason: str) -> NoReturn:
    raise ValueError(reason)
