"""`algo run ALGORITHM --each INPUTS`: many calls from one command."""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from types import MappingProxyType
from typing import TYPE_CHECKING, NamedTuple

from algo_core.errors import UsageError
from algo_core.storage.uri import parse_algorithm_ref
from algo_run.batch.caller import Caller, Timed
from algo_run.batch.comparison import difference_of_rows
from algo_run.batch.inputs import Item, count_inputs, open_inputs
from algo_run.batch.journal import Journal, Stream, closing, open_journal
from algo_run.batch.multiplexed import multiplexed
from algo_run.batch.pool import BatchLimits, Repeatable, Row
from algo_run.batch.report import Report
from algo_run.batch.work import SomeFailed, Work, carry_out, first_failure, look_up

if TYPE_CHECKING:
    from algo_core.context import App
    from algo_core.http.api import ApiClient
    from algo_core.storage.uri import AlgorithmRef

SHOWN = 3
"""Calls that `--dry-run` shows."""

_HEAD = ("index", "name", "input")


class Batch(NamedTuple):
    """The parameters of a batch. `kind` is the type of `source`: `each`, `line` or `file`."""

    reference: AlgorithmRef
    kind: str
    source: str
    output: str | None
    timeout: int | None
    limits: BatchLimits
    resume: bool = False
    dry_run: bool = False
    compare: str | None = None
    tolerance: float = 0.0
    sudo: bool = False

    @property
    def algorithm(self) -> str:
        """The algorithm's name in the journal."""
        within = f" within {self.tolerance:g}" if self.tolerance else ""
        return f"{self.reference} and {self.compare}{within}" if self.compare else str(self.reference)


def run_each(app: App, batch: Batch, api: ApiClient) -> None:
    """Call an algorithm on each input, and record each result.

    Raises:
        SomeFailed: if an input has failed.
        UsageError, ConfigError, AuthError, NotFoundError, OSError: if the run cannot continue; recorded results stay.
    """
    items = open_inputs(app, batch.kind, batch.source, batch.output)
    if batch.dry_run:
        _show_calls(app, batch, items)
        return
    if batch.compare is not None:
        _check_version(batch.reference, batch.compare)
    if batch.compare and batch.output and batch.output.endswith(".csv"):
        raise UsageError("--compare cannot write CSV", "Name a file that ends in .jsonl with -o")
    found = look_up(api, batch.reference)
    batch = batch._replace(reference=found.reference)
    journal = open_journal(
        batch.output, app.output.binary, batch.algorithm, f"{batch.kind} {batch.source}", resume=batch.resume
    )
    with closing(journal):
        _carry_out(app, api, batch, items, journal, keeps_keys=found.keeps_keys)


def _check_version(reference: AlgorithmRef, version: str) -> None:
    """Raise UsageError for what `--compare` cannot take, such as an unset variable of the shell."""
    if not version:
        raise UsageError("The version of --compare is empty", "Name one, for example --compare 1.0.0")
    parse_algorithm_ref(reference._replace(version=version).path)


def _carry_out(
    app: App, api: ApiClient, batch: Batch, items: Iterator[Item], journal: Journal | Stream, *, keeps_keys: bool
) -> None:
    caller = Caller(api, journal.run, timeout=batch.timeout, sudo=batch.sudo, keeps_keys=keeps_keys)
    calls = _Compared(caller, batch) if batch.compare else _Plain(caller, batch)
    lane = multiplexed(api, caller, batch.reference, calls.finished) if isinstance(calls, _Plain) else None
    report = Report(
        app.output,
        titles=calls.titles,
        skipped=len(journal.done),
        counts=journal.counts,
        first_failure=journal.first_failure,
        total=count_inputs(batch.kind, batch.source),
        compares=bool(batch.compare),
    )
    recorded = len(journal.done)
    new = (item for item in items if not journal.is_done(item))
    carry_out(app, Work(calls.row, new, calls.seconds, lane), journal, report, batch.limits)
    if recorded > journal.found:
        gone = recorded - journal.found
        noun = "result" if gone == 1 else "results"
        raise UsageError(
            f"{batch.output} holds {gone} {noun} of inputs that {batch.source} no longer has",
            "Restore the inputs, or start over with another file",
        )
    if report.counts["differing"]:
        noun = "output differs" if report.counts["differing"] == 1 else "outputs differ"
        raise SomeFailed(f"{report.counts['differing']} {noun} between {batch.reference} and {batch.compare}")
    if report.counts["failed"]:
        noun = "input has" if report.counts["failed"] == 1 else "inputs have"
        where = f"The reasons are in {batch.output}" if batch.output else "The lines above hold the reasons"
        raise SomeFailed(
            f"{report.counts['failed']} {noun} failed", where + first_failure(report, api, batch.reference)
        )


def _problem(item: Item) -> Row:
    return item.head | {"error": {"type": "InputError", "message": f"{item.name}: {item.problem}"}}


class _Plain:
    """One call for each input."""

    titles = MappingProxyType({"latency": "latency"})

    def __init__(self, caller: Caller, batch: Batch) -> None:
        self._caller, self._batch = caller, batch
        self.seconds: dict[int, dict[str, float]] = {}

    def row(self, item: Item) -> Row:
        """Call the algorithm on one input; raises as `Caller.call` does."""
        if item.problem:
            return _problem(item)
        return self.finished(item, self._caller.call(item.head, self._batch.reference, item.payload))

    def finished(self, item: Item, done: Timed) -> Row:
        """The row of an input, whose call has ended."""
        self.seconds[item.number] = {"latency": done.seconds}
        return done.row


class _Compared:
    """Calls of two versions for each input."""

    def __init__(self, caller: Caller, batch: Batch) -> None:
        self._caller, self._batch = caller, batch
        self._other = batch.reference._replace(version=batch.compare)
        again = " again" if self._other == batch.reference else ""  # whether it says the same twice
        names = (str(batch.reference), f"{self._other}{again}")
        self.titles = {name: f"latency of {name}" for name in names}
        self.seconds: dict[int, dict[str, float]] = {}
        self._first: dict[int, Timed] = {}
        """First calls of which the second is repeated."""

    def row(self, item: Item) -> Row:
        """Call both versions on one input; raises as `Caller.call` does."""
        if item.problem:
            return _problem(item)
        head = item.head
        one = self._first.get(item.number) or self._caller.call(head, self._batch.reference, item.payload)
        self._first[item.number] = one
        try:
            other = self._caller.call(head, self._other, item.payload)
        except Repeatable as again:
            raise Repeatable(self._both(one.row, again.row), again.seconds, is_overload=again.is_overload) from None
        del self._first[item.number]
        self.seconds[item.number] = dict(zip(self.titles, (one.seconds, other.seconds), strict=True))
        return self._both(one.row, other.row)

    def _both(self, one: Row, other: Row) -> Row:
        differs = difference_of_rows(one, other, self._batch.tolerance)
        return one | {"other": {k: v for k, v in other.items() if k not in _HEAD}, "differs": differs}


def _show_calls(app: App, batch: Batch, items: Iterator[Item]) -> None:
    """Show the first calls without making them."""
    found = list(itertools.islice(items, SHOWN))
    if app.output.is_json:
        app.output.json([{"name": item.name, "problem": item.problem or None, **_sent(batch, item)} for item in found])
        return
    for item in found:
        if item.problem:
            app.output.print(f"{item.name}: cannot be sent: {item.problem}")
        else:
            sent = _sent(batch, item)
            app.output.print(f"{item.name}: POST algo/{sent['algorithm']} ({sent['content_type']}) {sent['input']}")
    if next(items, None):
        app.output.info("... and so on; nothing was called")


def _sent(batch: Batch, item: Item) -> dict[str, str]:
    text = item.payload.body[:200].decode("utf-8", "replace")
    shown = text if len(item.payload.body) <= 200 else f"{text}... ({len(item.payload.body):,} bytes)"
    return {"algorithm": batch.reference.path, "content_type": item.payload.content_type, "input": shown}
