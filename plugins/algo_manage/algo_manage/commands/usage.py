"""`algo usage`: calls by account, algorithm, version and day (API section 3.11)."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import date, datetime, time, timedelta, timezone
from typing import Any

import click

from algo_core.context import App, pass_app
from algo_core.errors import PermissionDenied, UsageError
from algo_manage import api

GROUPS = ("day", "account", "algorithm", "version")
DAYS = 7
"""Days that are counted if no other span is given."""

MOST_DAYS = 366

Key = tuple[str, ...]


@click.command("usage")
@click.option("--since", metavar="DATE", type=click.DateTime(["%Y-%m-%d"]), help="First day. Default: six days ago.")
@click.option("--until", metavar="DATE", type=click.DateTime(["%Y-%m-%d"]), help="Last day. Default: today.")
@click.option("--by", multiple=True, type=click.Choice(GROUPS), help="Count by this (repeatable). Default: all four.")
@click.option("--account", "accounts", multiple=True, metavar="NAME", help="Count calls of this account (repeatable).")
@click.option("--csv", "as_csv", is_flag=True, help="Print comma-separated values.")
@pass_app
def usage(
    app: App,
    since: datetime | None,
    until: datetime | None,
    by: tuple[str, ...],
    accounts: tuple[str, ...],
    as_csv: bool,
) -> None:
    """Count calls by day, account, algorithm and version.

    Days are those of UTC. Calls that the platform no longer has on record are
    not counted. This needs an administrator's key.

    \b
    Example:
      algo usage --by account --by day --csv
    """
    if as_csv and app.output.is_json:
        raise UsageError("--csv cannot be combined with --json", "Leave one of them out")
    last = until.date() if until else datetime.now(timezone.utc).date()
    first = since.date() if since else last - timedelta(days=DAYS - 1)
    if not 0 <= (last - first).days < MOST_DAYS:
        raise UsageError(f"Not a span of 1 to {MOST_DAYS} days: {first} to {last}", "Give --since before --until")
    groups = [group for group in GROUPS if not by or group in by]
    found = _counted(app, first, last, groups, accounts)
    headers = [*groups, "calls", "errors", "seconds"]
    rows = [(*key, calls, errors, round(seconds, 3)) for key, (calls, errors, seconds) in sorted(found.items())]
    if app.output.is_json:
        app.output.json([dict(zip(headers, row, strict=True)) for row in rows])
    elif as_csv:
        app.output.print(_csv([headers, *rows]))
    elif rows:
        app.output.table([header.capitalize() for header in headers], rows)
    else:
        app.output.info(f"No calls on record from {first} to {last}")


def _counted(
    app: App, first: date, last: date, groups: Sequence[str], accounts: Sequence[str]
) -> dict[Key, tuple[int, int, float]]:
    """Calls, failed calls and seconds, by the values of the groups."""
    found: dict[Key, tuple[int, int, float]] = {}
    for begin, end in _spans(first, last, daily="day" in groups):
        for entry in _entries(app, begin, end, accounts):
            values = {
                "day": str(begin),
                "account": str(api.member(entry, "caller")),
                "algorithm": f"{api.member(entry, 'algorithm_owner')}/{api.member(entry, 'algorithm_called')}",
                "version": str(api.member(entry, "algorithm_version")),
            }
            key = tuple(values[group] for group in groups)
            calls, errors, seconds = found.get(key, (0, 0, 0.0))
            found[key] = (
                calls + int(api.member(entry, "total_calls") or 0),  # the platform's counts are texts
                errors + int(api.member(entry, "total_errors") or 0),
                seconds + float(api.member(entry, "total_duration") or 0),
            )
    return found


def _spans(first: date, last: date, *, daily: bool) -> Iterator[tuple[date, date]]:
    """First days, and the days after the last ones."""
    if not daily:
        yield first, last + timedelta(days=1)
        return
    for number in range((last - first).days + 1):
        day = first + timedelta(days=number)
        yield day, day + timedelta(days=1)


def _entries(app: App, begin: date, end: date, accounts: Sequence[str]) -> Iterator[Any]:
    marker: str | None = None
    query = {
        "start_date": _moment(begin),
        "end_date": _moment(end),
        "page_size": api.PAGE,
        "user": list(accounts) or None,
        "sudo": "true",
    }
    while True:
        try:
            answer = app.api.get_json("admin/usage", query={**query, "marker": marker})
        except PermissionDenied as error:
            error.hint = error.hint or "Usage is shown to administrators: use the key of one"
            raise
        yield from api.entries(answer)
        following = answer.get("next_marker") if isinstance(answer, dict) else None
        if not isinstance(following, str) or following == marker:
            return
        marker = following


def _moment(day: date) -> str:
    return datetime.combine(day, time(), timezone.utc).strftime("%Y-%m-%dT%H:%M:%SZ")


def _csv(rows: Sequence[Sequence[Any]]) -> str:
    import csv
    import io

    text = io.StringIO()
    csv.writer(text, lineterminator="\n").writerows(rows)
    return text.getvalue().rstrip("\n")
