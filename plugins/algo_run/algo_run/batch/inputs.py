"""The inputs of a batch, one at a time: JSON Lines, lines of text, rows of CSV or Parquet, files.

An invalid input is an item as well: it counts as a failure of that input.
"""

from __future__ import annotations

import functools
import json
import os
import stat
import sys
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, BinaryIO, NamedTuple

from algo_core.errors import UsageError
from algo_core.files import matching
from algo_core.names import native
from algo_core.storage.uri import parse_data_uri
from algo_core.text import lines_in_utf_8
from algo_run.payload import BINARY, BODY_LIMIT, JSON, STDIN, TEXT, Payload, fault_of, parse_json

if TYPE_CHECKING:
    from algo_core.context import App
    from algo_run.batch.tables import Made

MOST_COUNTED = 1 << 30
"""The largest file in bytes whose lines are counted for the time that is left."""


class Item(NamedTuple):
    """One input: its number from 0 on, a name for messages, and its payload; `problem` says why it cannot be sent."""

    number: int
    name: str
    payload: Payload
    problem: str = ""

    @property
    def digest(self) -> str:
        """Identifies the input: 16 hexadecimal digits of the SHA-256 of its type and content."""
        return str(_sha256()(f"{self.payload.content_type}\n".encode() + self.payload.body).hexdigest()[:16])

    @property
    def head(self) -> dict[str, Any]:
        """The members of its row that do not depend on the outcome."""
        return {"index": self.number, "name": self.name, "input": self.digest}


@functools.cache
def _sha256() -> Callable[[bytes], Any]:
    """The function from `hashlib`, which loads OpenSSL: the first calls need not wait for that."""
    from hashlib import sha256

    return sha256


def open_inputs(app: App, kind: str, source: str, results: str | None = None) -> Iterator[Item]:
    """The inputs of an option; `kind` is `each`, `line` or `file`. Files that hold `results` are no inputs.

    Raises:
        UsageError: if the format of a file is unknown, or nothing matches.
        ConfigError: if a format needs a package that is not installed.
        OSError: if the file cannot be read.
    """
    for number, (name, make) in enumerate(_made(app, kind, source, results)):
        try:
            payload, problem = make(), ""
            if len(payload.body) > BODY_LIMIT:
                problem = f"it is larger than {BODY_LIMIT / (1 << 20):g} MiB, the most that an algorithm takes as input"
        except (ValueError, RecursionError, OSError) as error:
            payload, problem = Payload(BINARY, b""), invalid(error)
        yield Item(number, name, payload, problem)


def count_inputs(kind: str, source: str) -> int | None:
    """About how many inputs there are, if that is found out quickly: lines of a file."""
    is_of_lines = kind == "line" or (kind == "each" and not source.endswith(".parquet"))
    if not is_of_lines or not os.path.isfile(source) or os.path.getsize(source) > MOST_COUNTED:
        return None
    with open(source, "rb") as file:
        lines = sum(block.count(b"\n") for block in iter(lambda: file.read(1 << 20), b""))
    return lines - source.endswith(".csv")


def invalid(error: Exception) -> str:
    """The reason why an input is invalid."""
    if isinstance(error, json.JSONDecodeError):
        return f"not JSON: {fault_of(error)} at column {error.colno}"
    if isinstance(error, UnicodeDecodeError):
        return f"not UTF-8 at byte {error.start}"
    if isinstance(error, RecursionError):
        return "nested too deeply to be checked as JSON"
    if isinstance(error, OSError):
        return error.strerror or str(error)
    return str(error)


def _made(app: App, kind: str, source: str, results: str | None) -> Iterable[Made]:
    if kind == "file":
        return _files(app, source, results)
    if kind == "line":
        return _lines_of_text(source)
    suffix = os.path.splitext(source)[1].lower()
    if suffix in {".csv", ".parquet"}:
        from algo_run.batch.tables import rows_of_csv, rows_of_parquet

        return rows_of_csv(source) if suffix == ".csv" else rows_of_parquet(source)
    if suffix in {".jsonl", ".ndjson", ".json"} or source == STDIN:
        return _lines_of_json(source)
    raise UsageError(
        f"The format of {source} cannot be told from its name",
        "Name a file that ends in .jsonl, .csv or .parquet; for lines of text use --each-line, for files --each-file",
    )


@contextmanager
def _opened(source: str) -> Iterator[BinaryIO]:
    if source != STDIN:
        with open(source, "rb") as file:
            yield file
    elif sys.stdin is None:
        raise UsageError("Standard input is closed", "Name a file, or pipe the inputs in")
    else:
        yield sys.stdin.buffer


def lines_of(source: str) -> Iterator[tuple[str, bytes]]:
    """The lines of a file, `-` for standard input, that are not blank, and where they are. Raises OSError.

    What they begin with stays, so that columns are those of the file.
    """
    for name, line in _numbered(source):
        if line.strip():
            yield name, line.rstrip()


def _numbered(source: str) -> Iterator[tuple[str, bytes]]:
    shown = "standard input" if source == STDIN else source
    with _opened(source) as file:
        for number, line in enumerate(lines_in_utf_8(file), 1):
            yield f"{shown}:{number}", line


def _lines_of_text(source: str) -> Iterator[Made]:
    for name, line in _numbered(source):
        yield name, functools.partial(_text, line.rstrip(b"\r\n"))


def _lines_of_json(source: str) -> Iterator[Made]:
    for name, content in lines_of(source):
        yield name, functools.partial(_json, content)


def _json(content: bytes) -> Payload:
    parse_json(content)
    return Payload(JSON, content)


def _text(content: bytes) -> Payload:
    content.decode("utf-8")
    return Payload(TEXT, content)


def _files(app: App, pattern: str, results: str | None) -> Iterator[Made]:
    """Inputs from files: local ones as bytes, remote ones as text with their URI."""
    uri = parse_data_uri(pattern)
    if not uri.is_local:
        names = [str(entry.uri) for entry in app.storage(uri).list(uri) if not entry.is_directory]
        if not names:
            raise UsageError(f"There are no files in {pattern}", "Name a directory that holds the inputs")
        for name in names:
            yield name, functools.partial(_text, name.encode("utf-8"))
        return
    own = os.path.realpath(results) if results else None
    paths = sorted(path for path in matching(native(uri.path)) if not os.path.isdir(path) and not _is_within(path, own))
    if not paths:
        raise UsageError(f"No file matches {pattern}", "Quote the pattern to keep the shell from expanding it")
    for path in paths:
        yield path, functools.partial(_file, path, is_named=path == native(uri.path))


def _is_within(path: str, other: str | None) -> bool:
    """Whether a file is another one, or within it."""
    return other is not None and f"{os.path.realpath(path)}/".startswith(f"{other.rstrip('/')}/")


def _file(path: str, *, is_named: bool) -> Payload:
    if not is_named and not stat.S_ISREG(os.stat(path).st_mode):  # it could be waited for for ever
        raise ValueError("it is no regular file")
    with open(path, "rb") as file:
        return Payload(BINARY, file.read(BODY_LIMIT + 1))
