"""Recorded calls for a replay: inputs and outcomes, from the platform's record or from files."""

from __future__ import annotations

import base64
import os
import re
from array import array
from collections.abc import Callable, Iterator
from functools import partial
from itertools import dropwhile
from typing import TYPE_CHECKING, Any, NamedTuple

from algo_core.errors import AlgorithmFailed, NotFoundError, PermissionDenied, RequestRefused, UsageError
from algo_run.batch.caller import outcome_of, outcome_of_failure
from algo_run.batch.csv_rows import row_of_csv
from algo_run.batch.inputs import Item, invalid, lines_of, open_inputs
from algo_run.batch.journal import Directory, described_by
from algo_run.call import approximated, read_answer
from algo_run.json_text import Written, decoded, member
from algo_run.payload import JSON, STDIN, Payload, parse_json
from algo_run.record import Entry, entries, fetch, path_of

if TYPE_CHECKING:
    from algo_core.context import App
    from algo_core.http.api import ApiClient
    from algo_run.batch.pool import Row

REPLAYED = "replay-"
"""How the idempotency keys of replayed calls begin: their inputs are on record already."""

NO_DIGEST = "0" * 16
_DIGEST = re.compile("[0-9a-f]{16}")
HAVE_OUTCOME = ("done", "failed")
EVERYTHING = 1 << 62


class NotKept(Exception):
    """A call cannot be made again, or its outcome not be compared; the message is the reason."""


class StillInvalid(Exception):
    """An input could not be sent when its result was recorded, and cannot now; the message says why."""


class Recorded(NamedTuple):
    """A recorded call: its number, a name for messages, and the digest of its input.

    `load` gives its input and its outcome, a row with `result` or `error`, or `sha256` of a result that is not kept.
    It raises `NotKept`, `StillInvalid`, and ValueError if the record is damaged.
    """

    number: int
    name: str
    digest: str
    load: Callable[[], tuple[Payload, Row]]


class Selection(NamedTuple):
    """Which calls on a platform's record; `algorithm` is OWNER/NAME."""

    algorithm: str
    version: str | None = None
    since: str | None = None
    limit: int | None = None
    sudo: bool = False

    def __str__(self) -> str:
        parts = [f"calls of {self.algorithm}" + (f"/{self.version}" if self.version else "")]
        parts += [f"since {self.since}"] if self.since else []
        parts += [f"the last {self.limit}"] if self.limit else []
        return ", ".join(parts)


# The record of a platform


def calls_on_record(api: ApiClient, chosen: Selection) -> Iterator[Entry]:
    """The selected calls, newest first, without calls made by a replay."""
    asked = {"algorithm": chosen.algorithm, "since": chosen.since, "sudo": "true" if chosen.sudo else None}
    left = EVERYTHING if chosen.limit is None else chosen.limit
    for entry in entries(api, EVERYTHING, **asked):
        if chosen.version and entry.get("version") != chosen.version:
            continue
        if not entry.get("request_id") or str(entry.get("idempotency_key") or "").startswith(REPLAYED):
            continue
        if not left:
            return
        left -= 1
        yield entry


def from_record(api: ApiClient, chosen: Selection, newest: str) -> Iterator[Recorded]:
    """The chosen calls from the call `newest` on, so that calls made meanwhile change no number.

    Raises:
        NotFoundError: if that call is no longer on record.
    """
    found = dropwhile(lambda entry: str(entry["request_id"]) != newest, calls_on_record(api, chosen))
    number = -1
    for number, entry in enumerate(found):
        given = entry.get("input")
        found_digest = _DIGEST.match(str(given.get("sha256"))) if isinstance(given, dict) else None
        digest = found_digest[0] if found_digest else NO_DIGEST
        yield Recorded(number, str(entry["request_id"]), digest, _Entry(api, entry, sudo=chosen.sudo).load)
    if number < 0:
        raise NotFoundError(f"The call {newest}, with which this replay began, is no longer on record", "Start anew")


class _Entry:
    """A call on a platform's record."""

    def __init__(self, api: ApiClient, entry: Entry, *, sudo: bool) -> None:
        self._api, self._entry = api, entry
        self._asked: dict[str, str | None] = {"sudo": "true" if sudo else None}

    def load(self) -> tuple[Payload, Row]:
        """See `Recorded.load`."""
        state = str(self._entry.get("state"))
        if state not in HAVE_OUTCOME:
            raise NotKept(f"it has no result: it is {state}")
        try:
            return self._input(), self._outcome()
        except PermissionDenied:
            raise NotKept(f"it is a call of {self._entry.get('account')}, whose inputs are private") from None
        except NotFoundError:
            raise NotKept("it is no longer on record") from None

    def _input(self) -> Payload:
        path = path_of(str(self._entry["request_id"]), "input")
        try:
            with self._api.request("GET", path, query=self._asked) as response:
                return Payload(response.headers.get("Content-Type", ""), response.content)
        except RequestRefused as error:
            if error.status != 410:
                raise
            raise NotKept(f"its input is not kept: {_size(self._entry.get('input'))}") from None

    def _outcome(self) -> Row:
        duration = {"duration": self._entry.get("duration")}
        try:
            response = fetch(self._api, str(self._entry["request_id"]), wait=False, **self._asked)
            if response is None:
                raise NotKept("it has not ended")
            outcome = outcome_of(read_answer(self._api, response))
        except AlgorithmFailed as failure:
            outcome = outcome_of_failure(failure)
        except RequestRefused as error:
            output = self._entry.get("output")
            if error.status != 410 or not isinstance(output, dict):
                raise
            outcome = {"sha256": str(output.get("sha256")), "metadata": {}}
        return outcome | {"metadata": {**outcome["metadata"], **duration}}


def _size(content: Any) -> str:
    if not isinstance(content, dict):
        return "nothing is known of it"
    size = content.get("size")
    bytes_of = f"{size:,} bytes" if isinstance(size, int) else "an unknown size"
    return f"{bytes_of}, SHA-256 {content.get('sha256')}"


# Files


def from_file(app: App, path: str) -> Iterator[Recorded]:
    """The calls in a file of results, or in JSON Lines with `input`, and `output`, `result` or `error`.

    Raises:
        UsageError: if it is neither.
        OSError: if it, or the file of the inputs, cannot be read.
    """
    if os.path.isdir(path):
        path = os.path.join(path, Directory.NAME)
    if path != STDIN:
        with open(path, "rb") as file:
            header = described_by(file.readline(), is_csv=path.endswith(".csv"))
        if header:
            return _Results(app, path, header).calls()
    if path.endswith(".csv"):
        raise UsageError(f"{path} holds no results of 'algo run --each'", "Name its file of results, or JSON Lines")
    return _from_lines(path)


def _from_lines(path: str) -> Iterator[Recorded]:
    for number, (name, content) in enumerate(lines_of(path)):
        digest = Item(0, "", Payload(JSON, content)).digest
        yield Recorded(number, name, digest, partial(_from_line, content))


def _from_line(content: bytes) -> tuple[Payload, Row]:
    try:
        parse_json(content)
        value = approximated(content)
    except (ValueError, RecursionError) as error:
        raise ValueError(invalid(error)) from None
    if not isinstance(value, dict) or "input" not in value or not value.keys() & {"output", "result", "error"}:
        raise ValueError("not an object with 'input', and 'output' or 'error'")
    text = decoded(content)
    payload = Payload(JSON, (member(text, "input") or "null").encode("utf-8", "surrogatepass"))
    return payload, _outcome_in(value, text, "output" if "output" in value else "result")


def _outcome_in(value: dict[str, Any], text: str, name: str = "result") -> Row:
    """The outcome in a line whose JSON is `text`: its `error`, or the result under that name."""
    metadata = value["metadata"] if isinstance(value.get("metadata"), dict) else {}
    if "duration" in value:
        metadata = {**metadata, "duration": value["duration"]}
    if value.get("error") is not None:
        error = value["error"]
        return {"error": error if isinstance(error, dict) else {"message": str(error)}, "metadata": metadata}
    result = value.get(name)
    written = result if isinstance(result, str) else Written(member(text, name) or "null", result)
    return {"result": written, "metadata": metadata}


class _Results:
    """A file of results of `algo run --each`, and the inputs that it names."""

    def __init__(self, app: App, path: str, header: dict[str, Any]) -> None:
        self._path = path
        self._is_csv = path.endswith(".csv")
        kind, _, self._source = str(header["inputs"]).partition(" ")
        if kind not in {"each", "line", "file"}:
            raise UsageError(f"{path} holds the results of a replay", f"Name what was replayed: {header['inputs']}")
        if self._source == STDIN:
            raise UsageError(
                f"The inputs of {path} came from standard input and are not kept",
                "Name a file with both, as JSON Lines",
            )
        results = os.path.dirname(path) or "." if os.path.basename(path) == Directory.NAME else path
        self._items = open_inputs(app, kind, self._source, results)
        self._starts = array("Q")  # where the row of each input begins; 0 is the header's, and so none
        self._find_rows()

    def _find_rows(self) -> None:
        start = 0
        with open(self._path, "rb") as file:
            for line in file:
                if start and (row := self._row(line)) and isinstance(row.get("index"), int):
                    index = row["index"]
                    if len(self._starts) <= index <= len(self._starts) + (1 << 20):
                        self._starts.extend([0] * (index + 1 - len(self._starts)))
                    if 0 <= index < len(self._starts):
                        self._starts[index] = start
                start += len(line)

    def _row(self, line: bytes) -> dict[str, Any] | None:
        try:
            value = row_of_csv(line) if self._is_csv else approximated(line)
        except (ValueError, RecursionError):
            return None
        return value if isinstance(value, dict) else None

    def calls(self) -> Iterator[Recorded]:
        """One for each input, then one for each result without an input."""
        count = 0
        for item in self._items:
            count = item.number + 1
            yield Recorded(item.number, item.name, item.digest, partial(self._load, item))
        for number in range(count, len(self._starts)):
            if self._starts[number]:
                yield Recorded(number, f"input {number}", NO_DIGEST, self._no_input)

    def _no_input(self) -> tuple[Payload, Row]:
        raise NotKept(f"{self._source} no longer has this input")

    def _load(self, item: Item) -> tuple[Payload, Row]:
        start = self._starts[item.number] if item.number < len(self._starts) else 0
        if not start:
            raise NotKept(f"its result is not in {self._path}")
        with open(self._path, "rb") as file:
            file.seek(start)
            line = file.readline()
        row = self._row(line) or {}
        if row.get("input") != item.digest:
            raise NotKept("the input has changed since its result was recorded")
        if item.problem:
            error = row.get("error")
            was_invalid = isinstance(error, dict) and error.get("message") == f"{item.name}: {item.problem}"
            raise (StillInvalid if was_invalid else ValueError)(item.problem)
        if "file" in row:
            return item.payload, {**self._in_file(str(row["file"])), "metadata": row.get("metadata") or {}}
        return item.payload, row if self._is_csv else _outcome_in(row, decoded(line))

    def _in_file(self, name: str) -> Row:
        """The result in a file beside the journal."""
        path = os.path.join(os.path.dirname(self._path), os.path.basename(name))
        try:
            with open(path, "rb") as file:
                content = file.read()
        except OSError as error:
            raise NotKept(f"its result is not kept: {path}: {error.strerror}") from None
        if name.endswith(".bin"):
            return {"result": base64.b64encode(content).decode()}
        if name.endswith(".txt"):
            return {"result": content.decode("utf-8", "replace")}
        return {"result": Written(decoded(content).strip(), approximated(content))}
