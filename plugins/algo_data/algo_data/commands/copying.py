"""The common part of `cp`, `mv` and `sync`: options, and the execution of a plan."""

from __future__ import annotations

import functools
import re
from collections.abc import Callable, Iterator
from typing import Any, NamedTuple, TypeVar

import click
from click.core import ParameterSource

from algo_core.context import App
from algo_core.errors import UsageError
from algo_core.storage.contract import Storage
from algo_core.storage.uri import DataUri
from algo_core.terminal.options import Number
from algo_data.commands.operands import standard_streams
from algo_data.engine import CopyOptions, run_transfers
from algo_data.engine.attributes import Replaces
from algo_data.engine.io.streams import STREAM
from algo_data.engine.plan.comparison import is_newer, never
from algo_data.engine.plan.planner import plan_again
from algo_data.engine.plan.tree import OnError
from algo_data.engine.selection import Selection
from algo_data.engine.transfer import StorageOf, Transfer
from algo_data.local.partial_file import discard_all
from algo_data.reporting.failures import RULES, Keeper, failed_before, forget
from algo_data.reporting.progress import progress_for
from algo_data.reporting.report import Report
from algo_data.reporting.summary import Summary
from algo_data.reporting.transfers import TransferReport

MOST_TRANSFERS = 256

_Function = TypeVar("_Function", bound=Callable[..., Any])
_RETRY = frozenset({"retry_failed", "dry_run", "max_transfers", "bwlimit", "no_check"})
"""Options that can be combined with `--retry-failed`: those that do not select files."""

_UNITS = {"": 1, "k": 1 << 10, "m": 1 << 20, "g": 1 << 30}


def _rate(context: click.Context, parameter: click.Parameter, value: str | None) -> int | None:
    """Bytes per second: `500k`, `10M`, `1.5MiB/s`; the units are binary."""
    if value is None:
        return None
    match = re.fullmatch(r"(\d+(?:\.\d+)?)\s*([kmg]?)(?:i?b)?(?:/s)?", value.strip().lower())
    rate = int(float(match[1]) * _UNITS[match[2]]) if match else 0
    if rate < 1:
        raise click.BadParameter(f"{value!r} is not a rate in bytes per second; write 500k, 10M or 1.5G")
    return rate


class Flags(NamedTuple):
    """The common options, as given on the command line."""

    include: tuple[str, ...]
    exclude: tuple[str, ...]
    no_clobber: bool
    update: bool
    dry_run: bool
    max_transfers: int | None
    bwlimit: int | None
    no_check: bool
    retry_failed: bool

    def selection(self) -> Selection:
        """The selection of files. Raises UsageError for an invalid pattern."""
        return Selection(self.include, self.exclude)

    def replaces(self) -> Replaces | None:
        """The rule for replacing existing files; None if no option was given.

        Raises:
            UsageError: if the options contradict each other.
        """
        if self.no_clobber and self.update:
            raise UsageError("--no-clobber and --update contradict each other", "Leave out one of them")
        return never if self.no_clobber else is_newer if self.update else None

    def summary(self, app: App, verb: str = "copied") -> Summary:
        """The summary of the run."""
        return Summary(app, has_patterns=bool(self.include or self.exclude), is_dry=self.dry_run, verb=verb)

    def rules(self) -> dict[str, Any]:
        """The given options that select files and replacements: they are stored for `--retry-failed`."""
        return {name: value for name in RULES if (value := getattr(self, name))}


def copy_options(function: _Function) -> _Function:
    """The options that `Flags` holds."""
    for option in reversed(
        (
            click.option(
                "--include", multiple=True, metavar="PATTERN", help="Copy only files that match PATTERN (repeatable)."
            ),
            click.option(
                "--exclude",
                multiple=True,
                metavar="PATTERN",
                help="Skip files and directories that match PATTERN (repeatable).",
            ),
            click.option("-n", "--no-clobber", is_flag=True, help="Keep existing files."),
            click.option("-u", "--update", is_flag=True, help="Replace only files that are older than their source."),
            click.option("--dry-run", is_flag=True, help="Show what would be done; change nothing."),
            click.option(
                "--max-transfers",
                type=Number(1, MOST_TRANSFERS),
                metavar="N",
                help="Maximum number of concurrent transfers. Default: adapts to the link.",
            ),
            click.option(
                "--bwlimit",
                callback=_rate,
                metavar="RATE",
                help="Limit the total rate, in bytes per second: 500k, 10M.",
            ),
            click.option("--no-check", is_flag=True, help="Compare sizes only, not checksums."),
            click.option(
                "--retry-failed", is_flag=True, help="Retry the transfers that failed in the last run (takes no paths)."
            ),
        )
    ):
        function = option(function)
    return function


def copy_options_of(app: App, flags: Flags, summary: Summary, **more: Any) -> CopyOptions:
    """The engine's options for the given command-line options."""
    options = CopyOptions(
        selection=flags.selection(),
        replaces=flags.replaces(),
        is_dry=flags.dry_run,
        keeps_existing=flags.no_clobber,
        warn=functools.cache(app.output.warn),
        tally=summary.tally,
        max_transfers=flags.max_transfers,
        bwlimit=flags.bwlimit,
        check=not flags.no_check,
        tries=int(app.setting("retries").value),
        abandon=discard_all,
    )
    return options._replace(**more)


def storages(app: App) -> StorageOf:
    """The storage of a URI, standard input and output included."""
    streams = standard_streams(app)

    def storage_of(uri: DataUri) -> Storage:
        return streams if uri == STREAM else app.storage(uri)

    return storage_of


def carry_out(
    app: App,
    flags: Flags,
    options: CopyOptions,
    plan: Callable[[OnError], Iterator[Transfer]],
    summary: Summary,
    *,
    is_alone: bool = False,
    to_stdout: bool = False,
    is_retry: bool = False,
) -> Callable[[], None] | None:
    """Carry out or print a plan. Returns None if all went well, else a function that ends the command with its exit
    code.

    `is_alone` says that there is one file, `to_stdout` that its content goes to standard output, `is_retry` that it
    failed before. The results are counted in `summary`, which reports them when the command ends.
    """
    if flags.dry_run:
        return _say(app, plan, summary, is_alone=is_alone)
    with progress_for(app, stdout_has_content=to_stdout) as progress:
        report = TransferReport(app, progress, summary, is_alone=is_alone)
        with Keeper(app, report, is_alone=is_alone, is_retry=is_retry, rules=flags.rules()) as keeper:
            run_transfers(plan(keeper.failed), keeper, options)
    if keeper.count:
        return report.finish
    report.finish()
    return None


def retry(app: App, flags: Flags) -> None:
    """Repeat the failed transfers of the last run with failures, with the same rules.

    Raises:
        UsageError: if other rules are given, or there are no failed transfers.
    """
    _check_rules(click.get_current_context())
    storage_of = storages(app)
    before = failed_before(app)
    flags = flags._replace(**before.rules)
    with flags.summary(app) as summary:
        options = copy_options_of(app, flags, summary)

        def planned(on_error: OnError) -> Iterator[Transfer]:
            return plan_again(before.parts(storage_of), on_error, options, storage_of)

        finish = carry_out(app, flags, options, planned, summary, is_retry=True)
        if finish:
            finish()
        elif not flags.dry_run:
            forget(app)


def _check_rules(context: click.Context) -> None:
    for parameter in context.command.params:
        name = parameter.name or ""
        if not parameter.expose_value or name in _RETRY:  # options that all commands have are not exposed
            continue
        if context.get_parameter_source(name) is ParameterSource.COMMANDLINE:
            raise UsageError(
                f"{max(parameter.opts, key=len)} cannot be combined with --retry-failed",
                "Leave it out: the failed transfers are repeated with their original options",
            )


def _say(
    app: App, plan: Callable[[OnError], Iterator[Transfer]], summary: Summary, *, is_alone: bool
) -> Callable[[], None] | None:
    report, before = Report(app, is_alone=is_alone), summary.failed

    def on_error(what: object, error: Any) -> None:
        report.failed(what, error)
        summary.add_failure(error.message)

    for transfer in plan(on_error):
        summary.planned += 1
        summary.copied += 1
        summary.bytes += (transfer.entry.size or 0) if transfer.entry else 0
        verb = "move" if transfer.removes_source else "copy"
        report.result(
            f"Would {verb} {transfer.source} to {transfer.target}",
            action=f"would {verb}",
            source=str(transfer.source),
            destination=str(transfer.target),
            bytes=transfer.entry.size if transfer.entry else None,
        )
    return report.finish if summary.failed > before else None
