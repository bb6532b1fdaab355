"""`algo share`: links to files, for people and programs without a credential."""

from __future__ import annotations

import functools
import re
from datetime import datetime, timedelta, timezone

import click

from algo_core.context import App, pass_app
from algo_core.errors import AlgoError, RequestRefused
from algo_core.storage.capabilities import Link, SharingStorage
from algo_data.commands.operands import expanded, is_single, parse, paths_argument
from algo_data.engine.transfer import Place
from algo_data.reporting.answers import answer
from algo_data.reporting.report import Report

_UNITS = {"s": 1, "m": 60, "h": 3600, "d": 86_400, "w": 7 * 86_400}


def _duration(context: click.Context, parameter: click.Parameter, value: str) -> int:
    """Seconds of `90s`, `15m`, `1h`, `7d`, `1w`."""
    match = re.fullmatch(r"([0-9]{1,9})([smhdw])", value.strip().lower())
    seconds = int(match[1]) * _UNITS[match[2]] if match else 0
    if not seconds:
        raise click.BadParameter(f"{value!r} is not a duration; write 90s, 15m, 12h or 7d")
    return seconds


@click.command()
@click.option(
    "--expires",
    "seconds",
    default="1h",
    show_default=True,
    callback=_duration,
    metavar="TIME",
    help="How long the links are valid: 90s, 15m, 12h, 7d.",
)
@click.option("--put", is_flag=True, help="Make links for uploading a file instead.")
@paths_argument("path", required=True)
@pass_app
def share(app: App, path: tuple[str, ...], seconds: int, put: bool) -> None:
    """Print links to files, with which anybody can download them for some time.

    The links are signed with your credential, and end with it if it is a temporary one. Stores that are reached
    directly have them: S3 (for at most 7 days), Google Cloud Storage with a service account's key (7 days), Azure Blob
    Storage with the account's key, and Dropbox (4 hours, no more and no less for downloads).

    \b
    Examples:
      algo share s3://bucket/report.pdf --expires 2d
      curl -T results.csv "$(algo share --put s3://bucket/inbox/results.csv)"
    """
    places = parse(app, path)
    report, warn = Report(app, is_alone=is_single(places)), functools.cache(app.output.warn)
    for place, _ in expanded(places, report):
        try:
            link = _link(place, seconds, writes=put)
        except AlgoError as error:
            report.failed(place, error)
        else:
            until = datetime.now(timezone.utc) + timedelta(seconds=link.seconds or seconds)
            expires = until.strftime("%Y-%m-%dT%H:%M:%SZ")
            more = {"headers": dict(link.headers)} if link.headers else {}
            if link.seconds:
                minutes = link.seconds // 60
                warn(f"{place.uri.connector}:// has no other duration: links are valid for {minutes} minutes")
            answer(app, (link.url,), uri=str(place), method=link.method, url=link.url, expires=expires, **more)
    report.finish()


def _link(place: Place, seconds: int, *, writes: bool) -> Link:
    if isinstance(place.storage, SharingStorage):
        return place.storage.link(place.uri, seconds, writes=writes)
    connector = place.uri.connector
    if connector == "file":
        hint = "Copy it to a store first, such as s3://BUCKET/FILE, and share that"
    elif connector == "data":
        hint = f"Let everybody read its collection: algo acl set public {place.uri.parent}"
    else:
        hint = f"Reach the store directly: algo config set connectors.{connector}.direct true"
    raise RequestRefused(f"{connector}:// has no links to files", hint)
