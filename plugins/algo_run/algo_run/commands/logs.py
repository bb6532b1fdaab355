"""`algo logs`: the output of algorithms during recorded calls."""

from __future__ import annotations

import time
from collections.abc import Iterator

import click

from algo_core.context import App, pass_app
from algo_core.terminal.options import Number
from algo_run.completion import complete_algorithm, complete_request
from algo_run.record import UNFINISHED, Entry, entries, of_record, path_of

POLL_SECONDS = 1.0
"""How often new calls, and new lines, are looked for."""


def _complete(ctx: click.Context, parameter: click.Parameter, incomplete: str) -> list[str]:
    if incomplete.startswith("req-"):
        return complete_request(ctx, parameter, incomplete)
    return complete_algorithm(ctx, parameter, incomplete)


@click.command()
@click.argument("what", metavar="OWNER/NAME|ID", shell_complete=_complete)
@click.option("-f", "--follow", is_flag=True, help="Wait until the call ends; for an algorithm, wait for new calls.")
@click.option("--limit", type=Number(1), default=10, show_default=True, metavar="N", help="The last N calls.")
@click.option("--sudo", is_flag=True, help="Show calls of any account (administrators only).")
@pass_app
def logs(app: App, what: str, follow: bool, limit: int, sudo: bool) -> None:
    """Show what an algorithm printed during the call ID, or during the last calls of OWNER/NAME.

    Only the algorithm's owner can see its output. --json prints one line for each call.

    \b
    Example:
      algo logs me/Greeter --follow
    """
    is_request = "/" not in what.removeprefix("algo://")
    asked = {"sudo": "true" if sudo else None}
    with of_record(app.api):
        if is_request:
            _show_one(app, what, asked, follow=follow)
            return
        from algo_run.target import reference_of

        reference = reference_of(app, what)
        is_empty = True
        for entry in _calls(app, reference._replace(version=None).path, asked, limit, follow=follow):
            is_empty = False
            _show(app, _logs(app, str(entry["request_id"]), asked), entry)
        if is_empty:
            app.output.info(f"No calls of {reference._replace(version=None)} are on record")


def _calls(app: App, algorithm: str, asked: dict[str, str | None], limit: int, *, follow: bool) -> Iterator[Entry]:
    """The ended calls of an algorithm, oldest first; with `follow`, continues as further calls end."""
    seen: set[str] = set()
    since: str | None = None
    while True:
        found = list(entries(app.api, limit if since is None else 1000, algorithm=algorithm, since=since, **asked))
        for entry in reversed(found):
            if entry.get("state") not in UNFINISHED and str(entry.get("request_id")) not in seen:
                seen.add(str(entry.get("request_id")))
                yield entry
        if not follow:
            return
        waiting = [entry for entry in found if entry.get("state") in UNFINISHED]
        last = waiting[-1] if waiting else found[0] if found else None
        since = str(last["created_at"]) if last else since
        app.output.stdout.flush()
        time.sleep(POLL_SECONDS)


def _logs(app: App, identifier: str, asked: dict[str, str | None]) -> Entry:
    with app.api.request("GET", path_of(identifier, "logs"), query=asked) as response:
        found: Entry = response.json()
    return found


def _show_one(app: App, identifier: str, asked: dict[str, str | None], *, follow: bool) -> None:
    """What one call has printed; with `follow`, as it is printed."""
    shown = ""
    found = _logs(app, identifier, asked)
    while follow and found.get("state") in UNFINISHED:
        if not app.output.is_json:
            shown = _show_more(app, str(found.get("logs") or ""), shown)
        time.sleep(POLL_SECONDS)
        found = _logs(app, identifier, asked)
    if app.output.is_json:
        app.output.json(found, indent=None)
        return
    text = str(found.get("logs") or "")
    if not _show_more(app, text if text.endswith("\n") or not text else f"{text}\n", shown):
        app.output.info("Nothing was printed")


def _show_more(app: App, text: str, shown: str) -> str:
    """Print the whole lines that were not shown yet; what is shown then. The platform keeps the last ones only."""
    text = text[: text.rfind("\n") + 1]
    new = text[len(shown) :] if text.startswith(shown) else text
    if new:
        app.output.lines(new.removesuffix("\n").split("\n"))
        app.output.stdout.flush()
    return text


def _show(app: App, found: Entry, entry: Entry) -> None:
    if app.output.is_json:
        app.output.json(found, indent=None)
        return
    app.output.log(f"{entry.get('created_at')} {found.get('request_id')} {found.get('state')}")
    text = str(found.get("logs") or "").removesuffix("\n")
    if text:
        app.output.lines(text.split("\n"))
