"""Replays recorded calls: calls a version on each input, and compares with the recorded outcome."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from typing import TYPE_CHECKING

from algo_core.errors import AlgorithmFailed, NetworkError, PlatformError, RequestRefused, TlsError
from algo_run.batch.caller import Caller, Timed, described
from algo_run.batch.comparison import difference_of_rows
from algo_run.batch.pool import ENDS_THE_RUN, BatchLimits, Repeatable, Row
from algo_run.batch.recorded import NotKept, Recorded, StillInvalid
from algo_run.batch.report import Report
from algo_run.batch.work import SomeFailed, Work, carry_out, first_failure

if TYPE_CHECKING:
    from algo_core.context import App
    from algo_core.storage.uri import AlgorithmRef
    from algo_run.batch.journal import Journal, Stream

SLOWER = 2.0
"""The factor beyond which a call is reported as slower, unless another one is given."""

NOISE_SECONDS = 0.01
"""A call that takes so much longer is not called slower, whatever the factor."""

TITLES = {"recorded": "duration, recorded", "now": "duration, now"}


class Replay:
    """Calls a version on recorded inputs. `slower` is the factor beyond which a call fails the replay, if any."""

    def __init__(self, caller: Caller, reference: AlgorithmRef, tolerance: float, slower: float | None) -> None:
        self._caller = caller
        self.reference = reference
        self._tolerance = tolerance
        self.slower = slower
        self.seconds: dict[int, dict[str, float]] = {}

    def row(self, each: Recorded) -> Row:
        """Call the version on one input.

        The row has `not_kept` with the reason if that is impossible, `error` if the call failed that had not when it
        was recorded, `failure` if it had, `differs` if the outcome is another, and `slower` with the factor.

        Raises:
            Repeatable: if it failed and can safely be repeated.
            AuthError, ConfigError, TlsError, NotFoundError: if every other call would fail as well.
        """
        head: Row = {"index": each.number, "name": each.name, "input": each.digest}
        try:
            payload, before = each.load()
        except NotKept as reason:
            return head | {"not_kept": str(reason)}
        except StillInvalid as error:
            failure = {"type": "InputError", "message": f"{each.name}: {error}"}
            return head | {"failure": failure, "differs": None, "recorded": {"duration": None}}
        except ValueError as error:
            return head | {"error": {"type": "InputError", "message": f"{each.name}: {error}"}}
        except (*ENDS_THE_RUN, TlsError):
            raise
        except (NetworkError, PlatformError, RequestRefused) as error:
            row = head | {"error": described(error)}
            raise Repeatable(row, error.retry_after, is_overload=error.status == 429) from None
        return self._compared(before, self._caller.call(head, self.reference, payload))

    def _compared(self, before: Row, done: Timed) -> Row:
        row = done.row
        had_failed = "error" in before
        if "error" in row and not (had_failed and row["error"]["type"] == AlgorithmFailed.__name__):
            return row
        differs = self._difference(before, done)
        if "error" in row:
            row["failure"] = row.pop("error")
        was, now = _duration(before), _duration(row)
        recorded: Row = {"duration": was}
        if differs:
            recorded |= {name: before[name] for name in ("result", "error", "sha256") if name in before}
        if was is not None and now is not None:
            self.seconds[row["index"]] = {"recorded": was, "now": now}
            if now - was > NOISE_SECONDS and now > was * (self.slower or SLOWER):
                row["slower"] = round(now / max(was, 1e-6), 3)
        return row | {"differs": differs, "recorded": recorded}

    def _difference(self, before: Row, done: Timed) -> str | None:
        if "sha256" not in before or done.answer is None:
            return difference_of_rows(before, done.row, self._tolerance)
        if hashlib.sha256(done.answer.result_text.encode("utf-8", "surrogatepass")).hexdigest() == before["sha256"]:
            return None
        return "it is not the recorded output, of which only size and digest are kept"


def _duration(row: Row) -> float | None:
    metadata = row.get("metadata")
    found = metadata.get("duration") if isinstance(metadata, dict) else None
    return found if isinstance(found, (int, float)) and not isinstance(found, bool) else None


def carry_out_replay(
    app: App, calls: Replay, recorded: Iterator[Recorded], journal: Journal | Stream, limits: BatchLimits
) -> None:
    """Replay all calls, print those whose outcomes differ from the record, and a summary.

    Raises:
        SomeFailed: if an output differs, a call failed, or, with `slower`, took too long; or if nothing was compared.
        AlgoError, OSError: as `work.carry_out` does.
    """
    report = Report(
        app.output,
        titles=TITLES,
        verb="replayed",
        skipped=len(journal.done),
        counts=journal.counts,
        first_failure=journal.first_failure,
        compares=True,
    )
    new = (each for each in recorded if not journal.is_done(each))
    carry_out(app, Work(calls.row, new, calls.seconds), journal, report, limits, lambda row: _show(app, row))
    counts = report.counts
    if counts["not_kept"]:
        app.output.warn(f"{_many(counts['not_kept'], 'call')} could not be replayed: see their reasons above")
    problems = [f"{_many(counts['differing'], 'output')} not as recorded"] if counts["differing"] else []
    problems += [f"{_many(counts['failed'], 'call')} failed"] if counts["failed"] else []
    problems += [f"{_many(counts['slower'], 'call')} slower"] if counts["slower"] and calls.slower else []
    if problems:
        hint = "See them above" + first_failure(report, app.api, calls.reference) if counts["failed"] else None
        raise SomeFailed(f"{calls.reference}: {', '.join(problems)}", hint)
    if counts["not_kept"] and counts["not_kept"] == len(journal.done) + report.done:
        raise SomeFailed("Nothing was compared: of no call are input and outcome kept")


def _many(count: int, noun: str) -> str:
    return f"{count:,} {noun}" + ("" if count == 1 else "s")


def _show(app: App, row: Row) -> None:
    """A line for a call that is not as recorded."""
    if app.output.is_json:
        return
    name = str(row["name"])
    if reason := row.get("not_kept"):
        app.output.line(name, "not kept", str(reason))
    elif error := row.get("error"):
        app.output.line(name, "failed", str(error.get("message")))
    elif differs := row.get("differs"):
        app.output.line(name, "differs", differs)
    elif slower := row.get("slower"):
        app.output.line(
            name, "slower", f"{slower:.3g} times: {_duration(row):.3g} s, not {row['recorded']['duration']:.3g} s"
        )
