"""`algo run`: call an algorithm on a string, JSON or bytes."""

from __future__ import annotations

import os
import sys
from contextlib import AbstractContextManager
from typing import TYPE_CHECKING, Any

import click

from algo_core.context import App, pass_app
from algo_core.errors import PlatformError, UsageError
from algo_core.storage.uri import AlgorithmRef
from algo_core.terminal.options import Number
from algo_run.call import DEFAULT_TIMEOUT, MAX_TIMEOUT, Answer, Call, Failed, perform, perform_raw
from algo_run.commands.batch_options import batch_inputs, batch_options, limits_of
from algo_run.commands.directory_options import directory_options, others, surroundings
from algo_run.commands.input_options import given_inputs, input_options
from algo_run.completion import complete_algorithm
from algo_run.payload import Given, the_one
from algo_run.sink import Sink, open_sink
from algo_run.target import Surroundings, Target, is_directory, opened, parsed, published

if TYPE_CHECKING:
    from algo_core.http.api import ApiClient

NEEDS_ASYNC = ("--notify is for calls that are not waited for", "Add --async")
NEEDS_NOTIFY = ("--notify-output needs --notify", "Name the URL with --notify URL")

EPILOG = """\
\b
Examples:
  algo run demo/Hello -d "HAL 9000"
  algo run nlp/LDA/1.0.0 -j '{"docsList": ["apples", "ripe apples"]}'
  algo run demo/Hello -T names.txt -o greetings.txt --timeout 60
  curl -s https://example.org/name.txt | algo run demo/Hello -T -
  algo run ./my_algorithm -d x -v --env MODE=fast
  algo run demo/Hello --each names.jsonl -o results.jsonl

Exactly one input is sent, byte for byte but for a byte order mark. FILE '-' is standard input. The result goes to
standard output: text and JSON with a newline (JSON indented on a terminal, on one line otherwise), binary results as
bytes."""


@click.command(epilog=EPILOG, context_settings={"allow_extra_args": True})
@click.argument("algorithm", shell_complete=complete_algorithm)
@input_options
@click.option(
    "--timeout",
    type=Number(1, MAX_TIMEOUT),
    metavar="SECONDS",
    help=f"Time limit of the algorithm in seconds (default: {DEFAULT_TIMEOUT}).",
)
@click.option(
    "-o", "--output", type=click.Path(), metavar="FILE", help="Write the result to FILE; with --each, also a directory."
)
@click.option("--raw", is_flag=True, help="Print the algorithm's output unchanged, without a newline.")
@click.option("--void", "--async", "void", is_flag=True, help="Return at once and print the request's id.")
@click.option("--notify", metavar="URL", help="With --async: have the platform post the finished call to URL, signed.")
@click.option("--notify-output", is_flag=True, help="With --notify: send the result as well, if it is small.")
@click.option("--debug", is_flag=True, help="Show the algorithm's printed output, and its stack trace on failure.")
@click.option("--sudo", is_flag=True, help="Call as the algorithm's owner (administrators only).")
@directory_options
@batch_options
@click.pass_context
@pass_app
def run(
    app: App,
    ctx: click.Context,
    /,
    algorithm: str,
    timeout: int | None,
    output: str | None,
    raw: bool,
    void: bool,
    notify: str | None,
    notify_output: bool,
    debug: bool,
    sudo: bool,
    **options: Any,
) -> None:
    """Call ALGORITHM on an input and print its result, or on each of many inputs.

    ALGORITHM is OWNER/NAME or OWNER/NAME/VERSION; versions are 1.0.0, 1.2.*, a commit's hash, latest, latestPrivate.
    It can also be an algorithm's directory, such as ./my_algorithm: it runs on this machine, as it stands.
    Inputs over 7.5 MiB (10 MiB in base64) are refused: upload them with 'algo cp' and pass the data URI.
    """
    _check(app, ctx.args, raw=raw, void=void)
    if (notify and not void) or (notify_output and not notify):
        raise UsageError(*(NEEDS_ASYNC if notify else NEEDS_NOTIFY))
    debug = debug or app.debug
    given, batch = surroundings(app, options), others(options)
    is_here = _check_directory(algorithm, given, void=void, sudo=sudo, compare=batch["compare"])
    shows_output = (debug or app.verbose) and not app.output.is_json

    def target() -> AbstractContextManager[Target]:
        return opened(app, algorithm, given, shows_output=shows_output) if is_here else published(app, algorithm)

    if inputs := batch_inputs(batch):
        _refuse_beside_batch(given_inputs(ctx), raw=raw, void=void)
        with target() as called:
            _run_each(app, called, inputs, output, timeout, {**batch, "sudo": sudo})
        return
    if output and os.path.isdir(output):
        raise UsageError(f"{output} is a directory", "Name a file with -o")
    one = the_one(given_inputs(ctx), stdin_is_piped=bool(sys.stdin) and not sys.stdin.isatty())
    if not is_here:
        parsed(algorithm)
    call = Call(
        AlgorithmRef("", ""),
        one.payload(),
        timeout,
        wants_stdout=(debug or (is_here and app.verbose and app.output.is_json)) and not (raw or void),
        output="raw" if raw else "void" if void else None,
        sudo=sudo,
        notify=notify,
        notify_output=notify_output,
    )
    with target() as called, open_sink(app.output, output) as sink:
        call = call._replace(reference=called.reference)
        if raw:
            _run_raw(called.api, call, sink)
        else:
            _run(app, called, call, sink, debug=debug)


def _check_directory(algorithm: str, given: Surroundings, **others: object) -> bool:
    """Whether the algorithm is a directory. UsageError for options that go only with one, or with none."""
    if not is_directory(algorithm):
        if given.variables or given.secrets:
            raise UsageError(
                "--env, --env-file and --secret are for algorithms in directories",
                "Name a directory, such as ./my_algorithm; 'algo secrets' sets variables of published algorithms",
            )
        return False
    if wrong := [name for name, value in others.items() if value]:
        raise UsageError(f"--{wrong[0]} is for published algorithms, not for a directory", "Leave it out")
    return True


def _refuse_beside_batch(given: list[Given], *, raw: bool, void: bool) -> None:
    if given:
        raise UsageError(
            f"--each and {given[0].option} both give the input", "Give one of them: --each calls once for each input"
        )
    if raw or void:
        raise UsageError(f"--each cannot be combined with {'--raw' if raw else '--void'}", "Leave one of them out")


def _run_each(
    app: App,
    target: Target,
    inputs: tuple[str, str],
    output: str | None,
    timeout: int | None,
    batch: dict[str, Any],
) -> None:
    from algo_run.commands.each import Batch, run_each

    limits = limits_of(app, batch)
    options = {name: batch[name] for name in ("resume", "dry_run", "compare", "tolerance", "sudo")}
    run_each(app, Batch(target.reference, *inputs, output, timeout, limits, **options), target.api)


def _check(app: App, extra: list[str], *, raw: bool, void: bool) -> None:
    if extra:
        old_spelling = app.output.is_json and extra[0][:1] in '{["'
        raise UsageError(
            f"One argument too many: {extra[0]!r}",
            "--json asks for JSON output; JSON input is given with -j or --json-data"
            if old_spelling
            else "The input is given with an option, for example -d; see: algo run --help",
        )
    if raw and (void or app.output.is_json):
        raise UsageError("--raw cannot be combined with --json or --void", "Give one of them")


def _run_raw(api: ApiClient, call: Call, sink: Sink) -> None:
    content_type, blocks = perform_raw(api, call)
    is_text = content_type.startswith("text/") or content_type.endswith(("json", "xml"))
    sink.write(blocks, is_binary=not is_text)


def _run(app: App, target: Target, call: Call, sink: Sink, *, debug: bool) -> None:
    try:
        answer = perform(target.api, call)
        _show_remarks(app, answer, asked=call.wants_stdout, is_shown=target.is_directory)
        if app.output.is_json:
            sink.write_json(answer.text, is_indented=True)
        elif call.output == "void" and answer.request_id:
            sink.write_line(answer.request_id)
        else:
            sink.write_answer(answer)
        if call.notify and not answer.is_notified:
            raise PlatformError(f"{app.api.address} sends no notifications; the call was made without")
    except Failed as failure:
        _show_remarks(app, failure.answer, asked=call.wants_stdout, is_shown=target.is_directory)
        if failure.stacktrace and not app.output.is_json:
            if debug or target.is_directory:
                _show(app, failure.stacktrace)
            else:
                failure.hint = failure.hint or "See where it failed with --debug"
        raise
    except RecursionError:
        raise PlatformError("The result is nested too deeply to be read", "Print it unparsed with --raw") from None


def _show_remarks(app: App, answer: Answer, *, asked: bool, is_shown: bool) -> None:
    """Print alerts, and the algorithm's output if `asked` and not shown yet; `--json` has them in the response."""
    if not app.output.is_json:
        for alert in answer.alerts:
            app.output.warn(alert)
        if is_shown:
            return
        if answer.stdout:
            _show(app, answer.stdout)
        elif asked and answer.stdout is None:
            app.output.info("Its printed output is shown only to the algorithm's owner (administrators: --sudo)")


def _show(app: App, text: str) -> None:
    app.output.log(text.removesuffix("\n"))
