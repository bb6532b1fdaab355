"""`algo requests`: lists recorded calls."""

from __future__ import annotations

from typing import Any

import click

from algo_core.context import App, pass_app
from algo_core.errors import UsageError
from algo_core.terminal.options import Number
from algo_run.completion import complete_algorithm, complete_request
from algo_run.record import Entry, entries, of_record, path_of
from algo_run.times import Time

STATES = ("queued", "running", "done", "failed", "cancelled", "lost")


@click.group()
def requests() -> None:
    """List, show and cancel calls on record.

    'requests secret' says how to verify notifications.

    \b
    Example:
      algo requests list --state failed --since 2026-01-31T12:00:00Z
    """


@click.command("list")
@click.option(
    "--state", multiple=True, type=click.Choice(STATES), help="Only calls in this state (repeatable; any counts)."
)
@click.option(
    "--algorithm",
    metavar="OWNER/NAME",
    shell_complete=complete_algorithm,
    help="Only calls of this algorithm: your own, or everybody's if it is yours.",
)
@click.option(
    "--since",
    type=Time(ages=True),
    metavar="TIME",
    help="Only calls made since TIME, such as 2026-01-31T12:00:00Z, 30m, 2h or 7d.",
)
@click.option("--account", metavar="NAME", help="Only calls of this organization; with --sudo, of any account.")
@click.option("--limit", type=Number(1), default=50, show_default=True, metavar="N", help="List at most N calls.")
@click.option("--sudo", is_flag=True, help="List the calls of all accounts (administrators only).")
@pass_app
def list_requests(
    app: App,
    state: tuple[str, ...],
    algorithm: str | None,
    since: str | None,
    account: str | None,
    limit: int,
    sudo: bool,
) -> None:
    """List calls on record, newest first.

    \b
    Example:
      algo requests list --state failed --limit 10
    """
    filters = {
        "state": ",".join(state) or None,
        "algorithm": _algorithm(app, algorithm),
        "since": since,
        "account": account,
        "sudo": "true" if sudo else None,
    }
    with of_record(app.api):
        found = list(entries(app.api, limit, **filters))
    if app.output.is_json:
        app.output.json(found)
        return
    if not found:
        narrowed = any((state, algorithm, since, account))
        app.output.info("No calls on record match these options" if narrowed else "No calls are on record")
        return
    headers = ("Request", "State", "Algorithm", "Created", "Seconds")
    app.output.table(headers, [_row(entry) for entry in found])


def _algorithm(app: App, text: str | None) -> str | None:
    if text is None:
        return None
    from algo_run.target import reference_of

    reference = reference_of(app, text)
    if reference.version:
        raise UsageError(f"--algorithm takes no version: {text!r}", f"Give {reference._replace(version=None)}")
    return reference.path


def _row(entry: Entry) -> tuple[str, ...]:
    duration = entry.get("duration")
    return (
        str(entry.get("request_id", "")),
        str(entry.get("state", "")),
        f"{entry.get('algorithm', '')}/{entry.get('version', '')}",
        str(entry.get("created_at", "")),
        f"{duration:.3f}" if isinstance(duration, (int, float)) else "",
    )


def _sudo(sudo: bool) -> dict[str, str | None]:
    return {"sudo": "true" if sudo else None}


@click.command()
@click.argument("identifier", metavar="ID", shell_complete=complete_request)
@click.option("--sudo", is_flag=True, help="Show a call of any account (administrators only).")
@pass_app
def show(app: App, identifier: str, sudo: bool) -> None:
    """Show the call ID: its state, times, sizes of input and result, and its error.

    \b
    Example:
      algo requests show req-0c0d9a6f-52ab-4c51-9d39-0a6c2f0f4a34
    """
    with of_record(app.api):
        found = app.api.get_json(path_of(identifier), query=_sudo(sudo))
    _print(app, found)


@click.command()
@click.argument("identifiers", metavar="ID...", nargs=-1, required=True, shell_complete=complete_request)
@click.option("--sudo", is_flag=True, help="End calls of any account (administrators only).")
@pass_app
def cancel(app: App, identifiers: tuple[str, ...], sudo: bool) -> None:
    """Cancel calls that wait or run. Finished calls are not changed.

    \b
    Example:
      algo requests cancel req-0c0d9a6f-52ab-4c51-9d39-0a6c2f0f4a34
    """
    found = []
    with of_record(app.api):
        for identifier in identifiers:
            with app.api.request("POST", path_of(identifier, "cancel"), query={"wait": 10, **_sudo(sudo)}) as response:
                found.append(response.json())
    if app.output.is_json:
        app.output.json(found)
        return
    for entry in found:
        app.output.line(str(entry.get("request_id")), str(entry.get("state")))


def _print(app: App, found: Any) -> None:
    if app.output.is_json:
        app.output.json(found)
        return
    for name, value in found.items():
        if name == "resource_type" or value is None:
            continue
        if isinstance(value, dict):
            value = ", ".join(f"{part} {of_part}" for part, of_part in value.items() if of_part is not None)
        app.output.line(f"{name:<16} {value}")


VERIFYING = """\
\b
A notification has the header X-Algo-Signature: t=TIMESTAMP,v1=HEX. Verify it
before anything else, over the bytes of the body as they came:
  expected = hmac.new(secret.encode(), f"{timestamp}.".encode() + body,
                      hashlib.sha256).hexdigest()
  genuine = hmac.compare_digest(expected, hex)
Refuse timestamps that are more than five minutes old, and ignore a
request_id that has come before: a notification may come twice."""


@click.command(epilog=VERIFYING)
@pass_app
def secret(app: App) -> None:
    """Print the secret with which the notifications of 'algo run --notify' are signed.

    \b
    Example:
      algo requests secret
    """
    with of_record(app.api):
        found = app.api.get_json("webhook-secret")
    if app.output.is_json:
        app.output.json(found)
    else:
        app.output.print(str(found["secret"]))
