"""`algo bench`: how fast an algorithm answers, at one concurrency or several."""

from __future__ import annotations

import sys
from collections import Counter
from typing import TYPE_CHECKING

import click

from algo_core.context import App, pass_app
from algo_core.errors import AlgoError, PlatformError, UsageError
from algo_core.files import replacing
from algo_core.terminal.options import Number
from algo_run.call import MAX_TIMEOUT, MOST_AT_ONCE, Call, perform
from algo_run.commands.input_options import given_inputs, input_options
from algo_run.completion import complete_algorithm
from algo_run.payload import the_one
from algo_run.target import is_directory, opened, published

if TYPE_CHECKING:
    from algo_run.measuring import Measurement

EPILOG = """\
\b
Examples:
  algo bench demo/Hello -d x
  algo bench demo/Hello -d x --calls 1000 --concurrency 1,8,64
  algo bench nlp/LDA/1.0.0 -J docs.json --svg latencies.svg

Each caller waits for its answer before it calls again. Before each
measurement every caller makes a call that is not counted, since the first
calls may have to start the algorithm."""

CALLERS = (1, 8)
"""The numbers of concurrent callers that are tried unless others are given."""


class Concurrencies(click.ParamType):  # type: ignore[type-arg]  # generic in newer versions of click only
    """Whole numbers with commas between them."""

    name = "numbers"

    def convert(self, value: object, param: click.Parameter | None, ctx: click.Context | None) -> tuple[int, ...]:
        """Numbers from 1 to the most that the platform carries out for one account."""
        try:
            numbers = tuple(int(part) for part in str(value).split(","))
        except ValueError:
            numbers = ()
        if not numbers or not all(1 <= number <= MOST_AT_ONCE for number in numbers):
            self.fail(f"{value!r} is not a number from 1 to {MOST_AT_ONCE}, or several with commas", param, ctx)
        return tuple(dict.fromkeys(numbers))


@click.command(epilog=EPILOG)
@click.argument("algorithm", shell_complete=complete_algorithm)
@input_options
@click.option("--calls", type=Number(1), default=100, metavar="N", help="Calls at each concurrency. Default: 100.")
@click.option(
    "--concurrency",
    type=Concurrencies(),
    metavar="N[,N...]",
    help="Numbers of concurrent callers to try. Default: 1,8, or fewer if --calls is lower.",
)
@click.option("--timeout", type=Number(1, MAX_TIMEOUT), metavar="SECONDS", help="Time limit of each call in seconds.")
@click.option(
    "--svg", type=click.Path(dir_okay=False), metavar="FILE", help="Write a picture of the latencies to FILE."
)
@click.pass_context
@pass_app
def bench(
    app: App,
    ctx: click.Context,
    /,
    algorithm: str,
    calls: int,
    concurrency: tuple[int, ...] | None,
    timeout: int | None,
    svg: str | None,
) -> None:
    """Measure latency and throughput of ALGORITHM with one input.

    ALGORITHM is OWNER/NAME[/VERSION], or an algorithm's directory, such as ./my_algorithm.

    Prints calls per second and latency percentiles for each concurrency. Exit code 1 if a call failed.
    """
    from algo_run.measuring import measure

    concurrency = concurrency or tuple(sorted({min(callers, calls) for callers in CALLERS}))
    if calls < max(concurrency):
        raise UsageError(
            f"{calls} calls cannot have {max(concurrency)} callers",
            "Give more --calls, or fewer callers with --concurrency",
        )
    payload = the_one(given_inputs(ctx), stdin_is_piped=bool(sys.stdin) and not sys.stdin.isatty()).payload()
    found: list[Measurement] = []
    with opened(app, algorithm) if is_directory(algorithm) else published(app, algorithm) as target:
        call = Call(target.reference, payload, timeout)
        for at_once in concurrency:
            measure(lambda: perform(target.api, call), at_once, at_once, lambda ended: None)
            with app.output.progress(f"{at_once} at once", total=calls) as progress:
                found.append(
                    measure(lambda: perform(target.api, call), calls, at_once, lambda ended: progress.advance())
                )
    _print(app, str(call.reference), found)
    if svg:
        _draw(svg, str(call.reference), found)
    if failed := sum(each.failures.total() for each in found):
        raise SomeCallsFailed(f"{failed} of {calls * len(found)} calls failed", _most_common(found))


class SomeCallsFailed(AlgoError):
    """Some calls of a measurement failed; the figures cover only the others."""


def _most_common(found: list[Measurement]) -> str:
    message, count = sum((each.failures for each in found), start=Counter()).most_common(1)[0]
    return f"{count} times: {message}"


def _print(app: App, name: str, found: list[Measurement]) -> None:
    if app.output.is_json:
        app.output.json({"algorithm": name, "measurements": [each.as_dict() for each in found]})
        return
    rows = []
    for each in found:
        times = [_time(each.percentile(share)) for share in (0.5, 0.9, 0.99, 1.0)] if each.latencies else ["-"] * 4
        rows.append([str(each.concurrency), f"{each.rate:,.1f}", *times, str(each.failures.total())])
    app.output.table(["Concurrency", "Calls/s", "Median", "90 %", "99 %", "Slowest", "Failed"], rows)


def _draw(path: str, name: str, found: list[Measurement]) -> None:
    from algo_run.latency_picture import latency_picture

    if not any(each.latencies for each in found):
        raise PlatformError("No call went well: there is nothing to draw")
    with replacing(path) as file:
        file.write(latency_picture(name, found).encode())


def _time(seconds: float) -> str:
    return f"{seconds * 1000:.3g} ms" if seconds < 1 else f"{seconds:.3g} s"
