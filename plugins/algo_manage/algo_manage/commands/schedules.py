"""`algo schedules list`, `create` and `delete`: calls at times that repeat."""

from __future__ import annotations

import json
from typing import Any

import click

from algo_core.context import App, pass_app
from algo_core.errors import AlgoError, NotFoundError, UsageError
from algo_core.storage.uri import AlgorithmRef
from algo_manage import api
from algo_manage.completion import algorithm_argument, complete_schedule

_LEAST = 4
"""Characters of an id that stand for the whole of it."""


@click.command("list")
@pass_app
def list_(app: App) -> None:
    """List your schedules, with their next and last calls.

    \b
    Example:
      algo schedules list
    """
    found = list(api.pages(app, _path(app)))
    if app.output.is_json:
        app.output.json(found)
    elif found:
        app.output.table(("ID", "Algorithm", "Schedule", "Next", "Last", "Missed"), map(_row, found))
        for entry in found:
            if problem := api.member(entry, "problem"):
                app.output.warn(f"{str(api.member(entry, 'id'))[:8]} could not be called: {problem}")
    else:
        app.output.info("You have no schedules; make one with: algo schedules create")


@click.command("create")
@algorithm_argument
@click.argument("cron", metavar="CRON")
@click.option("-d", "--data", metavar="DATA", default="", help="Input: JSON if it is JSON, else text.")
@click.option("--timezone", metavar="ZONE", default="UTC", show_default=True, help="Time zone, as Europe/Berlin.")
@pass_app
def create_(app: App, algorithm: str, cron: str, data: str, timezone: str) -> None:
    """Create a schedule: call an algorithm at the times of CRON.

    CRON has five fields: minute, hour, day of the month, month, day of the
    week. The calls are made while the platform is served, each of them once; a
    time at which no platform is served is missed. Their results are on record.

    \b
    Example:
      algo schedules create demo/Hello "0 6 * * 1-5" -d "HAL 9000"
    """
    ref = api.named(app, algorithm)
    if not ref.name:
        raise UsageError(f"Not an algorithm's name: {algorithm!r}", "Write OWNER/NAME, for example demo/Hello")
    body = {"algorithm": str(ref), "cron": cron, "timezone": timezone, "input": _input(data)}
    with api.suggesting(app, ref):
        made = api.send(app, "POST", _path(app), body)
    if app.output.is_json:
        app.output.json(made)
    else:
        app.output.print(str(api.member(made, "id")))
        app.output.info(f"The next call of {ref}: {api.member(made, 'next_at')}")


@click.command("delete")
@click.argument("schedule", metavar="ID", shell_complete=complete_schedule)
@pass_app
def delete_(app: App, schedule: str) -> None:
    """Delete a schedule, given by its id or the beginning of it.

    \b
    Example:
      algo schedules delete 4f2a90c1
    """
    known = [str(api.member(entry, "id")) for entry in api.pages(app, _path(app))]
    found = [one for one in known if one == schedule or (len(schedule) >= _LEAST and one.startswith(schedule))]
    if not found:
        raise NotFoundError(f"You have no schedule {schedule}", "List them with: algo schedules list")
    if len(found) > 1:
        raise AlgoError(f"{schedule} is the beginning of several: {', '.join(found)}", "Give more of the id")
    api.send(app, "DELETE", f"{_path(app)}/{found[0]}")
    if app.output.is_json:
        app.output.json({"id": found[0], "deleted": True})
    else:
        app.output.print(f"Deleted the schedule {found[0]}")


def tell_of_dangling(app: App, ref: AlgorithmRef) -> None:
    """Warn of your schedules that call an algorithm, or the version of the reference, which is gone."""
    wanted = str(ref).lower()
    try:
        found = [
            str(api.member(entry, "id"))[:8]
            for entry in api.pages(app, _path(app))
            if f"{api.member(entry, 'algorithm')}/".lower().startswith(f"{wanted}/")
        ]
    except AlgoError:  # what was asked for is done; not every platform has schedules
        return
    if found:
        first = f"algo schedules delete {found[0]}"
        app.output.warn(f"{ref} is still called by your schedules {', '.join(found)}, in vain; end one with: {first}")


def _path(app: App) -> str:
    return f"users/{app.api.username()}/schedules"


def _input(data: str) -> Any:
    try:
        return json.loads(data)
    except ValueError:
        return data


def _row(entry: Any) -> tuple[str, ...]:
    times = [str(api.member(entry, name))[:16].replace("T", " ") for name in ("next_at", "last_at")]
    zone = str(api.member(entry, "timezone"))
    cron = str(api.member(entry, "cron"))
    return (
        str(api.member(entry, "id"))[:8],
        str(api.member(entry, "algorithm")),
        cron if zone == "UTC" else f"{cron} {zone}",
        times[0],
        times[1] or "-",
        str(api.member(entry, "missed")),
    )
