"""The journal of a batch: the results file, from which an interrupted run resumes.

The first line describes the run, and each further line one input, in one write. A killed process leaves at most one
incomplete line at the end, which is cut off on resuming.
"""

from __future__ import annotations

import contextlib
import errno
import json
import os
import stat
import time
import uuid
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from types import MappingProxyType
from typing import Any, Protocol

from algo_core.errors import AlgoError, AlreadyExists, ConfigError, UsageError
from algo_core.files import replacing, status_of
from algo_core.locks import acquire
from algo_core.storage.uri import pasted
from algo_run.batch.csv_rows import COLUMNS, FORMER_COLUMNS, csv_of_row, header_in_csv, line_of_csv, row_of_csv
from algo_run.batch.done import DoneInputs
from algo_run.call import approximated
from algo_run.json_text import dumped

FORMAT = 1
NO_FACTS: Mapping[str, Any] = MappingProxyType({})
_NO_SYNC = frozenset({errno.EINVAL, errno.ENOSYS, errno.ENOTSUP, errno.EROFS})
"""Errors of file systems that write at once, or when they want."""

SYNC_SECONDS = 1.0
"""Seconds between syncs to disk: the maximum loss at a power failure."""

MARKS = {"failed": "error", "differing": "differs", "slower": "slower", "not_kept": "not_kept"}
"""What a summary counts: rows in which a member is set."""


def marks_of(row: dict[str, Any]) -> list[str]:
    """The categories under which a summary counts a row."""
    return [mark for mark, member in MARKS.items() if row.get(member)]


def described_by(line: bytes, *, is_csv: bool) -> dict[str, Any]:
    """The facts of a run in the first line of its journal; empty if the file is no journal."""
    try:
        value = json.loads(header_in_csv(line) if is_csv else line.decode("utf-8"))
    except (ValueError, RecursionError):
        return {}
    is_journal = isinstance(value, dict) and {"run", "algorithm", "inputs"} <= value.keys()
    return value if is_journal and value.get("format") == FORMAT else {}


def failed_request(row: dict[str, Any]) -> str | None:
    """The request id of a failed row, if the platform gave one."""
    identifier = row.get("request_id") if row.get("error") else None
    return identifier if isinstance(identifier, str) else None


class Identified(Protocol):
    """An input: its number, its digest, and a name for messages."""

    @property
    def number(self) -> int: ...  # noqa: D102
    @property
    def digest(self) -> str: ...  # noqa: D102
    @property
    def name(self) -> str: ...  # noqa: D102


class Journal:
    """Results of one run, in a file that this process alone writes."""

    def __init__(
        self, path: str, algorithm: str, source: str, *, resume: bool, facts: Mapping[str, Any] = NO_FACTS
    ) -> None:
        """Open a journal: a new one, which keeps `facts` of the run, or with `resume` the existing one.

        Raises:
            AlreadyExists: if the file exists and is not to be resumed.
            UsageError: if it is not a journal, belongs to another algorithm or other inputs, or is in use.
            OSError: if it cannot be written.
        """
        self.path = path
        self.done = DoneInputs()
        self.counts: Counter[str] = Counter()
        """The recorded rows by their marks."""
        self.first_failure: str | None = None
        """The id of the first recorded call that failed, if it has one."""
        self.found = 0
        """The recorded results whose inputs have come."""
        self.facts = facts
        self._is_csv = path.endswith(".csv")
        self._columns: Sequence[str] = COLUMNS
        self._size = 0
        self._synced = time.monotonic()
        self._file = open(path, "a+b", buffering=0)  # noqa: SIM115 - closed by close()
        try:
            self._lock()
            empty = os.fstat(self._file.fileno()).st_size == 0
            if empty:
                self.run = uuid.uuid4().hex
                self._start(algorithm, source)
            elif resume:
                self.run = self._read(algorithm, source)
            else:
                raise AlreadyExists(
                    f"{path} exists already and is not overwritten",
                    "Continue it with --resume, or choose another file with -o",
                )
        except BaseException:
            self._file.close()
            raise

    def _lock(self) -> None:
        if not acquire(self._file):
            hint = "Wait until it ends, then continue with --resume"
            raise UsageError(f"Another process is writing {self.path}", hint)

    def _start(self, algorithm: str, source: str) -> None:
        described = {"run": self.run, "format": FORMAT, "algorithm": algorithm, "inputs": source, **self.facts}
        first = line_of_csv(["#" + json.dumps(described)]) + line_of_csv(COLUMNS) if self._is_csv else _line(described)
        try:
            self._append(first)
        except OSError as error:
            raise self._unwritable(error) from None
        self._sync()

    def _read(self, algorithm: str, source: str) -> str:
        self._file.seek(0)
        end = 0
        described: dict[str, Any] = {}
        with open(self._file.fileno(), "rb", closefd=False) as lines:
            for number, line in enumerate(lines):
                if not line.endswith(b"\n"):
                    break  # cut off by the end of the process that wrote it
                if number == 0:
                    described = described_by(line, is_csv=self._is_csv)
                    if not described:
                        raise self._no_journal()
                elif self._is_csv and number == 1:
                    self._columns = FORMER_COLUMNS if line == line_of_csv(FORMER_COLUMNS) else COLUMNS
                else:
                    self._remember(line, number + 1)
                end += len(line)
        if not described:
            raise self._no_journal()
        for name, wanted in (("algorithm", algorithm), ("inputs", source)):
            if described[name] != wanted:
                raise UsageError(
                    f"{self.path} holds results of {described[name]}, not of {wanted}",
                    f"Continue with {described[name]}, or choose another file with -o",
                )
        self._file.truncate(end)
        self._size = end
        self.facts = described
        return str(described["run"])

    def _no_journal(self) -> UsageError:
        return UsageError(f"{self.path} is not a results journal and is not changed", "Choose another file with -o")

    def _remember(self, line: bytes, number: int) -> None:
        try:
            row = row_of_csv(line) if self._is_csv else approximated(line)
            index, digest, marks = row["index"], row["input"], marks_of(row)
            fault = "is damaged" if type(index) is not int else ""
            if not fault and self.done.has(index):
                fault = f"is a second result of the input with the index {index}"
            if not fault:
                self.done.add(index, digest)
        except (ValueError, KeyError, TypeError, AttributeError, RecursionError):
            fault = "is damaged"
        if fault:
            raise UsageError(
                f"Line {number} of {self.path} {fault}",
                f"Remove that line to repeat the call of its input: sed -i {number}d {pasted(self.path)}",
            )
        self.counts.update(marks)
        self.first_failure = self.first_failure or failed_request(row)

    def is_done(self, one: Identified) -> bool:
        """Whether an input's result is recorded.

        Raises:
            UsageError: if the recorded result is that of another input: the inputs have changed.
        """
        if not self.done.has(one.number):
            return False
        if not self.done.matches(one.number, one.digest):
            raise UsageError(
                f"The input {one.name} differs from the one whose result is in {self.path}",
                "Restore the inputs, or start over with another file",
            )
        self.found += 1
        return True

    def record(self, rows: Sequence[dict[str, Any]]) -> None:
        """Append results of inputs, each whole or not at all.

        Raises:
            AlgoError: if one cannot be written, such as on a full disk; those before it are.
        """
        try:
            self._append(b"".join(map(self._line, rows)))
        except OSError as error:
            if len(rows) > 1:
                for row in rows:
                    self.record([row])
                return
            raise self._unwritable(error) from None
        now = time.monotonic()
        if now - self._synced > SYNC_SECONDS:
            self._sync()
            self._synced = now

    def _line(self, row: dict[str, Any]) -> bytes:
        return csv_of_row(row, self._columns) if self._is_csv else _line(row)

    def _append(self, content: bytes) -> None:
        """Write lines, whole or not at all: what was written of them is cut off if the rest cannot be."""
        try:
            written = self._file.write(content) or 0
            while written < len(content):
                written += self._file.write(content[written:]) or 0
        except OSError:
            with contextlib.suppress(OSError):
                self._file.truncate(self._size)
            raise
        self._size += len(content)

    def _sync(self) -> None:
        """Flush written lines to the disk, where the file system supports that."""
        try:
            os.fdatasync(self._file.fileno())
        except OSError as error:
            if error.errno not in _NO_SYNC:
                raise self._unwritable(error) from None

    def _unwritable(self, error: OSError) -> AlgoError:
        return AlgoError(
            f"Cannot write {error.filename or self.path}: {error.strerror or error}",
            "What it holds is kept: correct that, such as by making space, then continue with --resume",
        )

    def close(self) -> None:
        """Close the file; everything recorded is on the disk. AlgoError if it is not."""
        try:
            self._sync()
        finally:
            self._file.close()


class Stream:
    """Results on a stream without resume: standard output; None discards them."""

    def __init__(self, file: Any, facts: Mapping[str, Any] = NO_FACTS) -> None:
        self._file = file
        self.run = uuid.uuid4().hex
        self.done = DoneInputs()
        self.counts: Counter[str] = Counter()
        self.first_failure: str | None = None
        self.found = 0
        self.facts = facts

    def is_done(self, one: Identified) -> bool:  # noqa: D102
        return False

    def record(self, rows: Sequence[dict[str, Any]]) -> None:
        """Write results of inputs."""
        if self._file:
            self._file.write(b"".join(map(_line, rows)))
            self._file.flush()

    def close(self) -> None:
        """Leave the stream open: its owner closes it."""


class Directory(Journal):
    """A file for each result in a directory, with a journal for everything but the results."""

    NAME = "journal.jsonl"

    def __init__(
        self, path: str, algorithm: str, source: str, *, resume: bool, facts: Mapping[str, Any] = NO_FACTS
    ) -> None:
        os.makedirs(path, exist_ok=True)
        found = set(os.listdir(path))
        if resume and found and self.NAME not in found:
            raise ConfigError(
                f"{path} holds no {self.NAME} to continue, and its files are not overwritten",
                "Choose another directory with -o",
            )
        if not resume and found - {self.NAME}:
            raise AlreadyExists(
                f"{path} is not empty, and its files are not overwritten",
                "Continue it with --resume, or choose another directory with -o",
            )
        self._directory = path
        super().__init__(os.path.join(path, self.NAME), algorithm, source, resume=resume, facts=facts)

    def _line(self, row: dict[str, Any]) -> bytes:
        # the result goes under its number, whole, and the rest into the journal
        row = dict(row)
        if "result" in row:
            content, suffix = _content(row.pop("result"), row.get("metadata", {}).get("content_type"))
            name = f"{row['index']:09d}{suffix}"
            with replacing(os.path.join(self._directory, name)) as file:
                file.write(content)
            row["file"] = name
        return super()._line(row)


def _content(result: Any, kind: str | None) -> tuple[bytes, str]:
    import base64

    if kind == "binary" and isinstance(result, str):
        with contextlib.suppress(ValueError):
            return base64.b64decode(result, validate=True), ".bin"
    if isinstance(result, str):
        return result.encode("utf-8", "replace"), ".txt"
    return _line(result), ".json"


def open_journal(
    path: str | None,
    stdout: Any,
    algorithm: str,
    source: str,
    *,
    resume: bool,
    facts: Mapping[str, Any] = NO_FACTS,
) -> Journal | Stream:
    """The destination of results: a directory if the path ends in a slash or is one, else a file, else standard output.

    Raises:
        UsageError, AlreadyExists, OSError: as `Journal` does.
    """
    if path is None or path == "-":
        if resume:
            raise UsageError("--resume needs the results file to continue", "Name it with -o FILE")
        return Stream(stdout, facts)
    if resume and status_of(path) is None:
        raise ConfigError(f"There is no {path} to continue", "Leave out --resume to start")
    found = status_of(path)
    if found and not stat.S_ISREG(found.st_mode) and not stat.S_ISDIR(found.st_mode):
        raise UsageError(f"{path} is no regular file", "Leave out -o, and redirect standard output")
    kind = Directory if path.endswith("/") or os.path.isdir(path) else Journal
    return kind(path, algorithm, source, resume=resume, facts=facts)


def _line(value: Any) -> bytes:
    return dumped(value).encode("utf-8") + b"\n"


@contextlib.contextmanager
def closing(journal: Journal | Stream) -> Iterator[Journal | Stream]:
    """Close a journal at the end of a block; an error of the block comes before one of closing. Raises AlgoError."""
    try:
        yield journal
    except BaseException:
        with contextlib.suppress(AlgoError):
            journal.close()
        raise
    journal.close()
