"""`algo result`: prints the result of a recorded call."""

from __future__ import annotations

import click

from algo_core.context import App, pass_app
from algo_core.errors import AlgoError, UsageError
from algo_run.call import Failed, blocks_of, read_answer
from algo_run.completion import complete_request
from algo_run.record import fetch, of_record
from algo_run.sink import open_sink


class NotFinished(AlgoError):
    """The call has no result yet."""


@click.command()
@click.argument("identifier", metavar="ID", shell_complete=complete_request)
@click.option("-o", "--output", type=click.Path(), metavar="FILE", help="Write the result to FILE.")
@click.option("--wait", is_flag=True, help="Wait for the call to end.")
@click.option("--raw", is_flag=True, help="Print the algorithm's output unchanged, without a newline.")
@click.option("--sudo", is_flag=True, help="Fetch the result of any account's call (administrators only).")
@pass_app
def result(app: App, identifier: str, output: str | None, wait: bool, raw: bool, sudo: bool) -> None:
    """Print the result of the call ID as 'algo run' would have.

    'algo run --async' starts a call without waiting for it, and prints its ID.

    \b
    Example:
      algo result "$(algo run demo/Hello -d Jane --async)" --wait
    """
    if raw and app.output.is_json:
        raise UsageError("--raw cannot be combined with --json", "Give one of them")
    with of_record(app.api):
        response = fetch(app.api, identifier, wait=wait, output="raw" if raw else None, sudo="true" if sudo else None)
    if response is None:
        raise NotFinished(f"{identifier} has not ended", f"Wait for it with: algo result {identifier} --wait")
    with open_sink(app.output, output) as sink:
        if raw:
            content_type, blocks = blocks_of(response)
            sink.write(blocks, is_binary=not content_type.startswith(("text/", "application/json")))
            return
        try:
            answer = read_answer(app.api, response)
        except Failed as failure:
            if failure.stacktrace and not app.output.is_json and app.debug:
                app.output.log(failure.stacktrace.removesuffix("\n"))
            raise
        if app.output.is_json:
            sink.write_json(answer.text, is_indented=True)
        else:
            sink.write_answer(answer)
