"""The options of `algo run` that call an algorithm on many inputs."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any, TypeVar

import click

from algo_core.errors import UsageError
from algo_core.terminal.options import Number
from algo_run.call import MOST_AT_ONCE

if TYPE_CHECKING:
    from algo_core.context import App
    from algo_run.batch.pool import BatchLimits

F = TypeVar("F", bound=Callable[..., Any])

_INPUTS = {"each": "each", "each_line": "line", "each_file": "file"}

_POOL = (
    click.option(
        "--concurrency",
        type=Number(1, MOST_AT_ONCE),
        metavar="N",
        help="Maximum number of concurrent calls. Default: adapts.",
    ),
    click.option("--rate", type=click.FloatRange(0, min_open=True), metavar="N", help="Calls per second at most."),
    click.option("--retries", type=Number(0, 100), metavar="N", help="Repeat a failed call N times, where safe."),
    click.option("--max-failures", type=Number(0), metavar="N", help="End the run when more than N inputs failed."),
    click.option("--stop-on-error", is_flag=True, help="End the run at the first failure."),
    click.option("--unordered", is_flag=True, help="Write results as they arrive, not in the order of the inputs."),
    click.option("--resume", is_flag=True, help="Continue the run whose results are in the file of -o."),
)

_BATCH = (
    click.option("--each", metavar="INPUTS", help="Call once for each input of a .jsonl, .csv or .parquet file."),
    click.option("--each-line", metavar="INPUTS", help="Call once for each line of a text file."),
    click.option(
        "--each-file", metavar="PATTERN", help="Call once for each local file that matches, or each file of a data URI."
    ),
    *_POOL,
    click.option("--compare", metavar="VERSION", help="Call this version as well and report differing outputs."),
    click.option(
        "--tolerance",
        type=click.FloatRange(0),
        default=0.0,
        metavar="X",
        help="Difference between numbers that --compare ignores.",
    ),
    click.option("--dry-run", is_flag=True, help="Show the first three calls and make none."),
)


def batch_options(function: F) -> F:
    """Add the options to a command's function, which takes their values as keyword arguments."""
    return _with(_BATCH, function)


def pool_options(function: F) -> F:
    """The options that say how calls are made, whatever the inputs are."""
    return _with(_POOL, function)


def _with(options: tuple[Callable[[F], F], ...], function: F) -> F:
    for option in reversed(options):
        function = option(function)
    return function


def limits_of(app: App, given: dict[str, Any]) -> BatchLimits:
    """The limits in the values of the options."""
    from algo_run.batch.pool import BatchLimits

    retries = given["retries"]
    return BatchLimits(
        concurrency=given["concurrency"],
        rate=given["rate"],
        retries=app.setting("retries").value if retries is None else retries,
        max_failures=0 if given["stop_on_error"] else given["max_failures"],
        in_order=not given["unordered"],
    )


def batch_inputs(given: dict[str, Any]) -> tuple[str, str] | None:
    """The kind and source of the inputs; None for a single call.

    Raises:
        UsageError: if several kinds are given, an option of a batch without inputs, or one that has no effect.
    """
    named = [name for name in _INPUTS if given[name] is not None]
    if len(named) > 1:
        raise UsageError(f"{_flag(named[0])} and {_flag(named[1])} both name inputs", "Give one of them")
    if named:
        _check_together(given)
        return _INPUTS[named[0]], given[named[0]]
    for name, value in given.items():
        if value not in (None, False, 0.0) and name not in _INPUTS:
            raise UsageError(f"{_flag(name)} needs inputs", "Name them with --each, --each-line or --each-file")
    return None


def _check_together(given: dict[str, Any]) -> None:
    if given["tolerance"] and not given["compare"]:
        raise UsageError("--tolerance is for --compare", "Name the other version with --compare VERSION")
    if given["stop_on_error"] and given["max_failures"]:
        raise UsageError("--stop-on-error and --max-failures contradict each other", "Give one of them")


def _flag(name: str) -> str:
    return "--" + name.replace("_", "-")
