"""`algo run ALGORITHM --each INPUTS`: many calls from one command."""

from __future__ import annotations

import itertools
import time
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any, NamedTuple

from algo_core.errors import (
    AlgoError,
    AlgorithmFailed,
    NetworkError,
    NotFoundError,
    PlatformError,
    RequestRefused,
    TlsError,
    UsageError,
)
from algo_run.batch.comparison import difference
from algo_run.batch.inputs import Item, open_inputs
from algo_run.batch.journal import Journal, Stream, closing, open_journal
from algo_run.batch.pool import ENDS_THE_RUN, BatchLimits, Pool, Repeatable, Row
from algo_run.batch.report import Report
from algo_run.call import Call, perform
from algo_run.json_text import Written

if TYPE_CHECKING:
    from algo_core.context import App
    from algo_core.http.api import ApiClient
    from algo_core.storage.uri import AlgorithmRef

SHOWN = 3
"""Calls that `--dry-run` shows."""


class Batch(NamedTuple):
    """The parameters of a batch. `kind` is the type of `source`: `each`, `line` or `file`."""

    reference: AlgorithmRef
    kind: str
    source: str
    output: str | None
    timeout: int | None
    limits: BatchLimits
    resume: bool = False
    stop_on_error: bool = False
    dry_run: bool = False
    compare: str | None = None
    tolerance: float = 0.0
    sudo: bool = False

    @property
    def algorithm(self) -> str:
        """The algorithm's name in the journal."""
        return f"{self.reference} and {self.compare}" if self.compare else str(self.reference)


class SomeFailed(AlgoError):
    """Some inputs of a batch have failed; the others have their results."""


def run_each(app: App, batch: Batch, api: ApiClient) -> None:
    """Call an algorithm on each input, and record each result.

    Raises:
        SomeFailed: if an input has failed.
        UsageError, ConfigError, AuthError, NotFoundError, OSError: if the run cannot continue; recorded results stay.
    """
    items = open_inputs(app, batch.kind, batch.source)
    if batch.dry_run:
        _show_calls(app, batch, items)
        return
    if batch.compare and batch.output and batch.output.endswith(".csv"):
        raise UsageError("--compare cannot write CSV", "Name a file that ends in .jsonl with -o")
    described = _described_by_platform(api, batch.reference)
    batch = batch._replace(reference=pinned(batch.reference, described))
    journal = open_journal(
        batch.output, app.output.binary, batch.algorithm, f"{batch.kind} {batch.source}", resume=batch.resume
    )
    with closing(journal):
        _carry_out(app, api, batch, items, journal, keeps_keys=_keeps_keys(described))


def _described_by_platform(api: ApiClient, reference: AlgorithmRef) -> dict[str, Any]:
    """What the platform says of an algorithm; nothing if it is called by a version, and the platform does not say.

    Raises:
        NotFoundError, AuthError, NetworkError: if a version is to be found out.
    """
    if not reference.name:
        return {}
    try:
        found = api.get_json(f"algorithms/{reference.owner}/{reference.name}")
    except (NotFoundError, RequestRefused, PlatformError):
        if not reference.version:
            raise
        return {}
    return found if isinstance(found, dict) else {}


def _keeps_keys(described: dict[str, Any]) -> bool:
    """Whether calls with an idempotency key are executed once, so that those that break off can be repeated."""
    settings = described.get("settings")
    return isinstance(settings, dict) and settings.get("request_records") == "full"


def pinned(reference: AlgorithmRef, described: dict[str, Any]) -> AlgorithmRef:
    """The current version of a reference without one, so that all inputs of a run use the same code."""
    if reference.version or not reference.name:
        return reference
    version = described.get("version_info")
    number = version.get("semantic_version") if isinstance(version, dict) else None
    return reference._replace(version=number) if isinstance(number, str) and number else reference


def _carry_out(
    app: App, api: ApiClient, batch: Batch, items: Iterator[Item], journal: Journal | Stream, *, keeps_keys: bool
) -> None:
    report = Report(app.output, skipped=len(journal.done))
    caller = Caller(api, batch, journal.run, keeps_keys=keeps_keys)
    latencies: dict[int, float] = caller.latencies

    def record(row: Row) -> None:
        journal.record(row)
        report.ended(row, latencies.pop(row["index"], None))

    limits = batch.limits._replace(max_failures=0) if batch.stop_on_error else batch.limits
    pool = Pool(caller.row, record, limits, journal.failures)
    try:
        pool.run(item for item in items if not journal.is_done(item.number, item.digest, item.name))
    except KeyboardInterrupt:
        report.summary()
        if isinstance(journal, Journal):
            app.output.hint("Continue with the same command and --resume")
        raise
    finally:
        report.clear()
    report.summary()
    if batch.compare and caller.differing:
        raise SomeFailed(f"{caller.differing} outputs differ between {batch.reference} and {batch.compare}")
    if report.failed:
        noun = "input has" if report.failed == 1 else "inputs have"
        where = f"Their errors are in {batch.output}" if batch.output else "Their lines hold the errors"
        raise SomeFailed(f"{report.failed} {noun} failed", where)


class Caller:
    """Makes the calls of a batch and their rows."""

    def __init__(self, api: ApiClient, batch: Batch, run: str, *, keeps_keys: bool = False) -> None:
        self._api = api
        self._batch = batch
        self._run = run
        self._keeps_keys = keeps_keys
        self.latencies: dict[int, float] = {}
        self.differing = 0

    def row(self, item: Item) -> Row:
        """Call the algorithm on one input.

        Raises:
            Repeatable: if it failed and can safely be retried.
            AuthError, NotFoundError, ConfigError: if every other call would fail as well.
        """
        head = {"index": item.number, "name": item.name, "input": item.digest}
        if item.problem:
            return head | {"error": {"type": "InputError", "message": f"{item.name}: {item.problem}"}}
        began = time.perf_counter()
        found = self._call(head, item, self._batch.reference)
        if self._batch.compare and "error" not in found:
            found = self._compared(head, item, found)
        self.latencies[item.number] = time.perf_counter() - began
        return found

    def _compared(self, head: Row, item: Item, found: Row) -> Row:
        other = self._call(head, item, self._batch.reference._replace(version=self._batch.compare))
        if "error" in other:
            differs: str | None = f"it failed: {other['error'].get('message')}"
        else:
            differs = difference(_value(found["result"]), _value(other["result"]), self._batch.tolerance)
        self.differing += differs is not None
        return found | {"other": {k: v for k, v in other.items() if k not in head}, "differs": differs}

    def _call(self, head: Row, item: Item, reference: AlgorithmRef) -> Row:
        key = f"{self._run}-{item.number}-{reference.version or ''}"
        batch = self._batch
        call = Call(reference, item.payload, batch.timeout, sudo=batch.sudo, idempotency_key=key)
        try:
            answer = perform(self._api, call)
        except AlgorithmFailed as failure:
            return head | {"error": _described(failure), "metadata": getattr(failure, "metadata", {})}
        except (*ENDS_THE_RUN, TlsError):
            raise
        except (NetworkError, PlatformError, RequestRefused) as failure:
            return self._refused(head, failure)
        self._keeps_keys = self._keeps_keys or answer.keeps_key
        result = answer.result if isinstance(answer.result, str) else Written(answer.result_text, answer.result)
        return head | {"result": result, "metadata": answer.metadata}

    def _refused(self, head: Row, failure: AlgoError) -> Row:
        row = head | {"error": _described(failure)}
        is_overload = failure.status == 429
        nothing_done = is_overload or bool(getattr(failure, "nothing_sent", False))
        may_pass = isinstance(failure, (NetworkError, PlatformError))
        if nothing_done or (self._keeps_keys and may_pass):
            raise Repeatable(row, failure.retry_after, is_overload=is_overload)
        return row


def _value(result: Any) -> Any:
    return result.value if isinstance(result, Written) else result


def _described(failure: AlgoError) -> dict[str, Any]:
    described: dict[str, Any] = failure.as_dict()["error"]
    return described


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
