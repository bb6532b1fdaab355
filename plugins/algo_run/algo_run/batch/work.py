"""Carries out a batch: a pool of calls, whose rows go to a journal and to a report."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import TYPE_CHECKING, Any, Generic, NamedTuple, TypeVar

from algo_core.errors import AlgoError, NotFoundError, PlatformError, RequestRefused
from algo_core.storage.uri import pasted
from algo_run.batch.journal import Journal, Stream
from algo_run.batch.pool import BatchLimits, Lane, Pool, Row
from algo_run.batch.report import Report
from algo_run.call import not_found_hint

if TYPE_CHECKING:
    from algo_core.context import App
    from algo_core.http.api import ApiClient
    from algo_core.storage.uri import AlgorithmRef

T = TypeVar("T")


class SomeFailed(AlgoError):
    """Some inputs of a batch have failed, or outputs differ; the others have their results."""


class Work(Generic[T]):
    """What a batch does: `perform` makes the calls of one of `items`; `seconds` are latencies by number and name.

    Where there is a `lane`, calls go through that as far as it takes them.
    """

    def __init__(
        self,
        perform: Callable[[T], Row],
        items: Iterator[T],
        seconds: dict[int, dict[str, float]],
        lane: Lane[T] | None = None,
    ) -> None:
        self.perform = perform
        self.items = items
        self.seconds = seconds
        self.lane = lane


def carry_out(
    app: App,
    work: Work[T],
    journal: Journal | Stream,
    report: Report,
    limits: BatchLimits,
    show: Callable[[Row], None] | None = None,
) -> None:
    """Make all calls, record each row and `show` it, and print the summary.

    Raises:
        TooManyFailures, UsageError, ConfigError, AuthError, NotFoundError, OSError: if the run cannot continue;
            recorded rows stay.
    """
    none: Mapping[str, float] = {}

    def record(rows: list[Row]) -> None:
        journal.record(rows)
        for row in rows:
            report.ended(row, work.seconds.pop(row["index"], none))
            if show:
                show(row)

    pool: Pool[T] = Pool(work.perform, record, limits, journal.counts["failed"], work.lane)
    try:
        pool.run(work.items)
    except KeyboardInterrupt:
        report.summary()
        if isinstance(journal, Journal):
            app.output.hint("Continue with the same command and --resume")
        raise
    finally:
        report.clear()
    report.summary()


def first_failure(report: Report, api: ApiClient, reference: AlgorithmRef) -> str:
    """The command that shows the first call that failed, as the end of a hint; empty if the platform gave no id.

    What ran in a directory is on no record.
    """
    if not report.first_failure or not reference.name:
        return ""
    name = api.profile.name
    flag = "" if name == "default" else f" --profile {pasted(name)}"
    return f"; see the first with: algo requests show {pasted(report.first_failure)}{flag}"


class Found(NamedTuple):
    """An algorithm with its version, and whether the platform executes calls with one idempotency key once."""

    reference: AlgorithmRef
    keeps_keys: bool


def look_up(api: ApiClient, reference: AlgorithmRef) -> Found:
    """Find out the current version of a reference without one, so that all calls of a run use the same code.

    Raises:
        NotFoundError, AuthError, NetworkError: if there is no such algorithm, and a version is to be found out.
    """
    described = _described(api, reference)
    settings = described.get("settings")
    keeps_keys = isinstance(settings, dict) and settings.get("request_records") == "full"
    if not reference.version and reference.name:
        version = described.get("version_info")
        number = version.get("semantic_version") if isinstance(version, dict) else None
        if isinstance(number, str) and number:
            reference = reference._replace(version=number)
    return Found(reference, keeps_keys)


def _described(api: ApiClient, reference: AlgorithmRef) -> dict[str, Any]:
    """The platform's description of an algorithm; empty for a version that the platform does not describe.

    Raises:
        NotFoundError, AuthError, NetworkError: if a version is to be found out.
    """
    if not reference.name:
        return {}
    try:
        found = api.get_json(f"algorithms/{reference.owner}/{reference.name}")
    except (NotFoundError, RequestRefused, PlatformError) as error:
        if reference.version:
            return {}
        if isinstance(error, NotFoundError):
            error.hint = error.hint or not_found_hint(api, reference)
        raise
    return found if isinstance(found, dict) else {}
