"""`algo replay`: call a version on recorded inputs and compare with the recorded outputs."""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

import click

from algo_core.context import App, pass_app
from algo_core.errors import NotFoundError, UsageError
from algo_core.terminal.options import Number
from algo_run.call import MAX_TIMEOUT
from algo_run.commands.batch_options import limits_of, pool_options
from algo_run.completion import complete_algorithm, complete_recorded
from algo_run.target import reference_of
from algo_run.times import Time

if TYPE_CHECKING:
    from algo_core.storage.uri import AlgorithmRef
    from algo_run.batch.recorded import Recorded, Selection

REQUESTS = "requests"
SHOWN = 3
"""Calls that `--dry-run` shows."""

EPILOG = """\
\b
Examples:
  algo replay demo/Hello/2.0.0
  algo replay demo/Hello/2.0.0 --since 2026-01-31T12:00:00Z --limit 1000
  algo replay demo/Hello/2.0.0 --from results.jsonl --tolerance 1e-6
  algo replay demo/Hello/2.0.0 -o replay.jsonl --resume

A file is one of results, of 'algo run --each', or JSON Lines with objects of
input, and output or error. Calls that a replay made are not replayed. Each
call that is not as recorded is printed with its difference; exit code 1 if
an output differs or a call fails that had not."""


@click.command(epilog=EPILOG)
@click.argument("algorithm", shell_complete=complete_algorithm)
@click.option(
    "--from",
    "source",
    default=REQUESTS,
    show_default=True,
    metavar="requests|FILE",
    shell_complete=complete_recorded,
    help="The recorded calls: those on the platform's record, or in FILE.",
)
@click.option(
    "--since", type=Time(ages=False), metavar="TIME", help="Only calls made since TIME, such as 2026-01-31T12:00:00Z."
)
@click.option("--limit", type=Number(1), metavar="N", help="Only the last N calls on record, or the first N of FILE.")
@click.option("--recorded-version", metavar="VERSION", help="Only recorded calls of VERSION. Default: of any.")
@click.option(
    "--tolerance", type=click.FloatRange(0), default=0.0, metavar="X", help="Difference between numbers to ignore."
)
@click.option(
    "--slower",
    type=click.FloatRange(1),
    metavar="FACTOR",
    help="Fail if a call takes FACTOR times as long as recorded. Default: only report those that take twice as long.",
)
@click.option("-o", "--output", type=click.Path(), metavar="FILE", help="Write results to FILE, or a directory.")
@pool_options
@click.option("--timeout", type=Number(1, MAX_TIMEOUT), metavar="SECONDS", help="Time limit of each call in seconds.")
@click.option("--dry-run", is_flag=True, help="Show the first three calls and make none.")
@click.option("--sudo", is_flag=True, help="Replay calls of any account (administrators only).")
@pass_app
def replay(app: App, /, algorithm: str, source: str, output: str | None, resume: bool, **given: Any) -> None:
    """Call ALGORITHM on recorded inputs and compare with the recorded outputs.

    ALGORITHM is OWNER/NAME/VERSION; without a version, the newest one is called.
    """
    from algo_run.batch.caller import Caller
    from algo_run.batch.journal import closing, open_journal
    from algo_run.batch.recorded import REPLAYED
    from algo_run.batch.replay import Replay, carry_out_replay
    from algo_run.batch.work import look_up

    if source != REQUESTS and (wrong := [name for name in ("since", "recorded_version") if given[name]]):
        raise UsageError(f"--{wrong[0].replace('_', '-')} is for calls on record", "Leave out --from FILE")
    if output and output.endswith(".csv"):
        raise UsageError("A replay cannot be written as CSV", "Name a file that ends in .jsonl with -o")
    wanted = reference_of(app, algorithm)
    chosen = _selection(wanted, given)
    if given["dry_run"]:
        _show_calls(app, wanted, _recorded(app, source, chosen, _newest(app, chosen) if source == REQUESTS else ""))
        return
    found = look_up(app.api, wanted)
    name, inputs = _described(found.reference, source, chosen, given["tolerance"])
    facts = {"newest": _newest(app, chosen)} if source == REQUESTS else {}
    stdout = app.output.binary if app.output.is_json else None
    journal = open_journal(output, stdout, name, inputs, resume=resume, facts=facts)
    with closing(journal):
        recorded = _recorded(app, source, chosen, str(journal.facts.get("newest")))
        caller = Caller(
            app.api, REPLAYED + journal.run, timeout=given["timeout"], sudo=given["sudo"], keeps_keys=found.keeps_keys
        )
        calls = Replay(caller, found.reference, given["tolerance"], given["slower"])
        carry_out_replay(app, calls, recorded, journal, limits_of(app, given))


def _selection(reference: AlgorithmRef, given: dict[str, Any]) -> Selection:
    from algo_run.batch.recorded import Selection

    path = reference._replace(version=None).path
    return Selection(path, given["recorded_version"], given["since"], given["limit"], given["sudo"])


def _described(reference: AlgorithmRef, source: str, chosen: Selection, tolerance: float) -> tuple[str, str]:
    """What a journal says of a replay: the algorithm, and where the inputs are from."""
    first = f" (the first {chosen.limit})" if chosen.limit else ""
    inputs = str(chosen) if source == REQUESTS else f"file {source}{first}"
    return f"a replay with {reference}" + (f" within {tolerance:g}" if tolerance else ""), f"replay of {inputs}"


def _newest(app: App, chosen: Selection) -> str:
    """The newest chosen call on record.

    Raises:
        NotFoundError: if there is none.
        PlatformError: if the platform keeps no record.
    """
    from algo_run.batch.recorded import calls_on_record
    from algo_run.record import of_record

    with of_record(app.api):
        newest = next(calls_on_record(app.api, chosen), None)
    if newest is None:
        raise NotFoundError(
            f"There are no {chosen} on record", f"See: algo requests list --algorithm {chosen.algorithm}"
        )
    return str(newest["request_id"])


def _recorded(app: App, source: str, chosen: Selection, newest: str) -> Iterator[Recorded]:
    from algo_run.batch.recorded import from_file, from_record

    if source == REQUESTS:
        return from_record(app.api, chosen, newest)
    return itertools.islice(from_file(app, source), chosen.limit)


def _show_calls(app: App, reference: AlgorithmRef, recorded: Iterator[Recorded]) -> None:
    found = list(itertools.islice(recorded, SHOWN))
    if app.output.is_json:
        app.output.json([{"name": each.name, "input": each.digest, "algorithm": reference.path} for each in found])
        return
    for each in found:
        app.output.print(f"{each.name}: POST algo/{reference.path} (input {each.digest})")
    if next(recorded, None):
        app.output.info("... and so on; nothing was called")
