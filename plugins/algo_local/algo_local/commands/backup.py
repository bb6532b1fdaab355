"""`algo local backup` and `algo local restore`."""

from __future__ import annotations

import contextlib
import os
import stat
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, BinaryIO, cast

import click

from algo_core import App, pass_app
from algo_core.errors import AlgoError, NotFoundError, UsageError
from algo_core.files import replacing, status_of
from algo_core.terminal.options import human
from algo_local.commands.naming import filled
from algo_local.platform import OWN_PARTS, Platform
from algo_local.refusals import storage_error
from algo_local.state import KEY_VARIABLE, State

if TYPE_CHECKING:
    from algo_local.backups.archive import Sink
    from algo_local.backups.manifest import Manifest

ARCHIVES = (".tar", ".tar.gz", ".tgz")
"""Endings of names of files; all other names are those of directories."""

STREAM = "-"


@click.command()
@click.argument("target", metavar="TARGET", type=click.Path(), callback=filled)
@click.option(
    "--without-secrets",
    is_flag=True,
    help="Leave out the key of secrets; secrets and the options of connectors stay in it, unreadable.",
)
@pass_app
def backup(app: App, target: str, without_secrets: bool) -> None:
    """Back up the platform while it is used.

    TARGET is a file named *.tar, *.tar.gz or *.tgz, '-' for standard output, or else a directory. An earlier backup in
    a directory is updated, an interrupted one continued.

    A backup holds accounts, hashes of keys, algorithms with their sources and repositories, hosted data, calls on
    record, and the secrets with their key: keep it as private as the platform. Environments are not part of it; they
    are made again when they are needed.

    \b
    Examples:
      algo local backup /backups/algo
      algo local backup algo-backup.tar.gz
      algo local backup - | ssh HOST 'cat > algo-backup.tar'
    """
    state = State.of()
    if not state.exists:
        raise NotFoundError(f"There is no platform in {state}")
    if target == STREAM and (app.output.is_json or app.output.is_terminal):
        other = "--json" if app.output.is_json else "a terminal"
        raise UsageError(f"A backup on standard output cannot be combined with {other}", "Name a file or a directory")
    place = Path(os.path.abspath(os.path.expanduser(target)))
    if target != STREAM and any(place.is_relative_to(state.root.resolve() / part) for part in OWN_PARTS):
        raise UsageError(f"{place} is inside the platform", "Name a place outside of it")
    from algo_local.backups.backup import Backup

    with (
        contextlib.closing(Platform(state)) as platform,
        _written(place),
        _sink(app, target, place) as sink,
        app.output.progress("Backing up", unit="bytes") as progress,
    ):
        manifest = Backup(platform, sink, with_secrets=not without_secrets, report=progress.advance).run()
    _tell(app, "Backed up", manifest, "standard output" if target == STREAM else str(place))
    for name in manifest.missing:
        app.output.warn(f"{name} is missing: the platform does not have it any more")


@contextlib.contextmanager
def _written(place: Path) -> Iterator[None]:
    try:
        yield
    except BrokenPipeError:
        raise
    except OSError as error:
        raise storage_error(error, f"The backup {place} could not be written") from error


@contextlib.contextmanager
def _sink(app: App, target: str, place: Path) -> Iterator[Sink]:
    """The sink of a backup; a file appears when it is complete."""
    from algo_local.backups.archive import DirectoryStore, TarSink, compressing, exclusively
    from algo_local.metadata.sqlite import SCHEMA_VERSION

    status = None if target == STREAM else status_of(place)
    is_stream = target == STREAM or bool(status and not stat.S_ISREG(status.st_mode) and not _is_dir(status))
    if is_stream:
        with contextlib.nullcontext(app.output.binary) if target == STREAM else open(place, "wb") as file:
            yield TarSink(file, SCHEMA_VERSION, Path(tempfile.gettempdir()))
            file.flush()
    elif place.name.endswith(ARCHIVES) and not (status and _is_dir(status)):
        _check_replaceable(place, is_there=status is not None)
        place.parent.mkdir(parents=True, exist_ok=True)
        with replacing(place, mode=0o600, durable=True) as file:
            if place.name.endswith(ARCHIVES[0]):
                yield TarSink(file, SCHEMA_VERSION, place.parent)
            else:
                with compressing(file) as compressed:
                    yield TarSink(cast("BinaryIO", compressed), SCHEMA_VERSION, place.parent)
    else:
        if status and not _is_dir(status):
            raise UsageError(f"{place} is a file", f"Name a directory, or a file that ends in {', '.join(ARCHIVES)}")
        store = DirectoryStore(place)
        store.begin()
        with exclusively(place) as is_alone:
            if not is_alone:
                raise AlgoError(f"Another process is writing a backup to {place}", "Wait until it has ended")
            yield store


def _is_dir(status: os.stat_result) -> bool:
    return stat.S_ISDIR(status.st_mode)


def _check_replaceable(place: Path, *, is_there: bool) -> None:
    from algo_local.backups.archive import is_backup

    if is_there and not is_backup(place):
        raise UsageError(f"{place} exists and is not a backup", "Name another file, or remove it")


@click.command()
@click.argument("source", metavar="SOURCE", type=click.Path(), callback=filled)
@click.option("--replace", is_flag=True, help="Replace an existing platform and all its data.")
@click.option(
    "--digest",
    metavar="DIGEST",
    callback=filled,
    help="Restore only a backup with this digest, which 'backup' printed.",
)
@click.option("--dry-run", "-n", is_flag=True, help="Verify the whole backup; restore nothing.")
@pass_app
def restore(app: App, source: str, replace: bool, digest: str | None, dry_run: bool) -> None:
    """Restore a backup into the platform's directory.

    SOURCE is a directory or file made by 'algo local backup', or '-' for standard input. All contents are verified
    before the platform appears. After an interruption, the same command continues. An existing platform is refused;
    with --replace, it stays until the new one is complete.

    \b
    Examples:
      algo local restore /backups/algo --dry-run
      ALGO_LOCAL_ROOT=/srv/algo algo local restore algo-backup.tar.gz
      ssh HOST cat algo-backup.tar | algo local restore - --replace
    """
    state = State.of()
    place = Path(os.path.abspath(os.path.expanduser(source)))
    if source == STREAM and sys.stdin.isatty():
        raise UsageError("A backup cannot be read from a terminal", "Name a file or a directory")
    if source != STREAM and not status_of(place):
        raise NotFoundError(f"{place} does not exist")
    from algo_local.backups.restore import Restoration, check

    given = sys.stdin.buffer if source == STREAM else place
    with _restored(state), app.output.progress("Checking" if dry_run else "Restoring", unit="bytes") as progress:
        if dry_run:
            manifest = check(given, digest or "", progress.advance)
        else:
            restoration = Restoration(state, replace=replace, report=progress.advance)
            manifest = restoration.run(given, digest or "")
    _tell(app, "Checked" if dry_run else "Restored", manifest, str(source if dry_run else state))
    if not dry_run and not manifest.has_secrets:
        app.output.warn(
            f"The backup has no key of secrets: put secrets.key into {state.root}, or give it with {KEY_VARIABLE};"
            " if it is lost, begin with another one: algo local reset --secrets"
        )


@contextlib.contextmanager
def _restored(state: State) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise storage_error(error, f"The backup could not be restored into {state}") from error


def _tell(app: App, done: str, manifest: Manifest, place: str) -> None:
    if app.output.is_json:
        app.output.json(
            {
                "place": place,
                "digest": manifest.digest,
                "rows": manifest.rows,
                "files": manifest.files.lines,
                "bytes": manifest.size,
                "secrets": manifest.has_secrets,
                "missing": manifest.missing,
            }
        )
        return
    app.output.info(
        f"{done}: {place}, {manifest.rows} rows and {manifest.files.lines} files ({human(manifest.size)})\n"
        f"Digest: {manifest.digest}"
    )
