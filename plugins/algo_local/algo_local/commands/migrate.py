"""`algo local migrate`: moves a platform between a directory and servers, while it is used."""

from __future__ import annotations

import contextlib
import os
import re
import shlex
from pathlib import Path

import click

from algo_core import App, pass_app
from algo_core.errors import UsageError
from algo_core.terminal.options import human
from algo_local.commands.naming import filled
from algo_local.commands.process_list import hide
from algo_local.platform import Platform
from algo_local.refusals import storage_error
from algo_local.state import State, place

_PARTS = ("root", "metadata", "objects")
_SEPARATOR = re.compile(rf",(?=(?:{'|'.join(_PARTS)})=|[a-z][a-z0-9+.-]*://)")
_PART = re.compile(r"[a-z]*=")
"""What begins like a part: a directory of such a name is written with ./ before it."""
_URL = re.compile(r"([a-z][a-z0-9+.-]*)://")


def state_of(text: str) -> State:
    """The state that a text names: a directory, URLs, or parts with their names, with commas between.

    Raises:
        UsageError: if it names a part twice, an empty or an unknown one.
        ConfigError: if a URL names what cannot hold the state.
    """
    found: dict[str, str] = {}
    for part in _SEPARATOR.split(text):
        name, _, value = part.partition("=")
        if name not in _PARTS:
            url = _URL.match(part)
            name = "root" if not url else "metadata" if url[1].startswith("postgres") else "objects"
            value = part
        fault = f"names {name} twice" if name in found else "" if value else f"has an empty {name}"
        if name == "root" and (_PART.match(value) or value.startswith(",") or value.endswith(",")):
            fault = f"has no part {place(value)!r}"
        if fault:
            raise UsageError(
                f"The state {fault}", "Write a directory, or metadata=URL,objects=URL (and root=DIRECTORY)"
            )
        found[name] = value
    default = State.of({**os.environ, "ALGO_LOCAL_METADATA": "", "ALGO_LOCAL_OBJECTS": ""})
    root = Path(os.path.abspath(os.path.expanduser(found["root"]))) if "root" in found else default.root
    return State(root, found.get("metadata"), found.get("objects"))


@click.command()
@click.option("--from", "source", metavar="STATE", callback=filled, help="The state to move. Default: the one in use.")
@click.option("--to", "target", metavar="STATE", callback=filled, help="The new place of the state.")
@click.option("--reopen", is_flag=True, help="Make the old state writable again.")
@pass_app
def migrate(app: App, source: str | None, target: str | None, reopen: bool) -> None:
    """Move the platform to a directory or to servers.

    STATE is a directory, the URL of a PostgreSQL database, that of an object store, or both with a comma between; in
    full: root=DIRECTORY,metadata=URL,objects=URL. What it does not name is in the directory of the platform.

    The platform stays in use. Files are copied while clients read and write, and each copy is verified. The last step,
    files that changed meanwhile and all rows, refuses writes with 503, which clients retry; reads go on.

    After an interruption, the same command continues. Afterwards the old state is read-only, until --reopen.

    \b
    Examples:
      algo local migrate --to postgresql://algo@db/algo,s3://bucket/algo
      algo local migrate --from postgresql://algo@db/algo --to /srv/algo
      algo local migrate --to objects=s3://bucket/algo
      algo local migrate --reopen
    """
    begin = state_of(source) if source else State.of()
    end = state_of(target) if target else None
    hide(begin.metadata, begin.objects, *((end.metadata, end.objects) if end else ()))
    if reopen:
        if target:
            raise UsageError("--reopen cannot be combined with --to", "Name the old state with --from")
        _reopen(app, begin)
        return
    if not end:
        raise UsageError("A migration needs a destination", "Name it: algo local migrate --to STATE")
    from algo_local.backups.migrate import Migration

    try:
        with app.output.progress("Moving", unit="bytes") as progress:
            moved = Migration(begin, end, progress.advance).run()
    except OSError as error:
        raise storage_error(error, f"The platform could not be moved to {end}") from error
    if moved is None:
        _tell_done(app, begin, end)
        return
    if app.output.is_json:
        names = {"size": "bytes"}
        report = {names.get(name, name): value for name, value in moved._asdict().items()}
        app.output.json({"from": str(begin), "to": str(end), **report})
    else:
        app.output.info(
            f"Moved to {end}: {moved.rows} rows and {moved.files} files ({human(moved.size)})\nDigest: {moved.digest}"
        )
        app.output.info(f"Serve it there: {_command(end)}")
    if moved.running:
        app.output.warn(f"{moved.running} calls were running: they end where they began, and are lost to {end}")
    for name in moved.missing:
        app.output.warn(f"{name} is missing: the platform does not have it any more")


def _tell_done(app: App, begin: State, end: State) -> None:
    if app.output.is_json:
        app.output.json({"from": str(begin), "to": str(end), "moved_before": True})
    else:
        app.output.info(f"The platform has been moved to {end} already; nothing was copied again")
        app.output.info(f"Serve it there: {_command(end)}")


def _reopen(app: App, state: State) -> None:
    from algo_local.metadata.write_stop import allow_writes

    if not state.exists:
        raise UsageError(f"There is no platform in {state}", "Name one with --from")
    with contextlib.closing(Platform(state)) as platform:
        was_stopped = allow_writes(platform.database)
    if app.output.is_json:
        app.output.json({"reopened": was_stopped})
    else:
        app.output.info(f"{state} can be changed{' again' if was_stopped else '; it was not moved'}")


def _command(state: State) -> str:
    """The command line that serves a state."""
    urls = [f"--{name} URL" for name in ("metadata", "objects") if getattr(state, name)]
    return (
        " ".join(["algo local serve", *urls])
        if urls
        else f"ALGO_LOCAL_ROOT={shlex.quote(str(state.root))} algo local serve"
    )
