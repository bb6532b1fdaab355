"""`App.copy`: the engine of `cp` for other plugins."""

from __future__ import annotations

import os
import time
from collections.abc import Sequence
from typing import Literal

from algo_core import App, CopySummary
from algo_core.errors import AlgoError, UsageError
from algo_core.outcomes import CopyFailed, CopyFailure
from algo_core.storage.uri import DataUri, parse_data_uri
from algo_data.commands.copying import MOST_TRANSFERS, Flags, copy_options_of
from algo_data.engine import run_transfers
from algo_data.engine.plan.globs import has_magic
from algo_data.engine.plan.planner import plan
from algo_data.reporting.advice import advice_for
from algo_data.reporting.progress import progress_for
from algo_data.reporting.report import Report
from algo_data.reporting.transfers import TransferReport

Given = str | os.PathLike[str] | DataUri


class Collected(Report):
    """Keeps the failures for the summary, and prints nothing."""

    def __init__(self, app: App, *, is_alone: bool) -> None:
        super().__init__(app, is_alone=is_alone)
        self.failures: list[CopyFailure] = []

    @property
    def tells_results(self) -> bool:  # noqa: D102
        return False

    def say(self, name: str, error: AlgoError) -> None:  # noqa: D102
        self.failures.append(CopyFailure(name, error))


def copy(
    app: App,
    source: Given | Sequence[Given],
    destination: Given,
    *,
    recursive: bool = False,
    include: Sequence[str] = (),
    exclude: Sequence[str] = (),
    replace: Literal["always", "older", "never"] = "always",
    dry_run: bool = False,
    max_transfers: int | None = None,
    check: bool = True,
) -> CopySummary:
    """Carry out `App.copy`."""
    if replace not in {"always", "older", "never"}:
        raise UsageError(f"replace must be 'always', 'older' or 'never', not {replace!r}")
    if max_transfers is not None and not 1 <= max_transfers <= MOST_TRANSFERS:
        raise UsageError(f"max_transfers must be 1 to {MOST_TRANSFERS}, not {max_transfers}")
    given: Sequence[Given] = [source] if isinstance(source, str | os.PathLike | DataUri) else source
    sources = list(map(_uri, given))
    if not sources:
        raise UsageError("There is nothing to copy: no source is named")
    target = _uri(destination)
    for uri in (*sources, target):
        app.storage(uri)  # a scheme that nothing can open stops everything before anything is done
    never, older = replace == "never", replace == "older"
    flags = Flags(tuple(include), tuple(exclude), never, older, dry_run, max_transfers, None, not check, False)
    is_alone = len(sources) == 1 and not has_magic(sources[0]) and not recursive
    summary = flags.summary(app)
    options = copy_options_of(app, flags, summary, is_recursive=recursive)
    collected, began = Collected(app, is_alone=is_alone), time.monotonic()
    with progress_for(app, stdout_has_content=False) as progress:
        report = TransferReport(app, progress, summary, is_alone=is_alone, report=collected)
        transfers = plan(sources, target, app.storage, report.failed, options)
        if dry_run:
            for transfer in transfers:
                summary.copied += 1
                summary.bytes += (transfer.entry.size or 0) if transfer.entry else 0
        else:
            run_transfers(transfers, report, options)
    result = CopySummary(
        summary.copied, summary.tally.total, summary.bytes, time.monotonic() - began, tuple(collected.failures)
    )
    if result.failures:
        raise _failed(result)
    return result


def _failed(summary: CopySummary) -> AlgoError:
    first = summary.failures[0].error
    hint = first.hint or advice_for(first)
    if len(summary.failures) == 1:
        return CopyFailed(first.message, hint, summary)
    return CopyFailed(f"{len(summary.failures)} files could not be copied; the first: {first.message}", hint, summary)


def _uri(given: Given) -> DataUri:
    if isinstance(given, DataUri):
        return given
    if isinstance(given, str):
        return parse_data_uri(given)
    return parse_data_uri(os.path.join(".", given))
