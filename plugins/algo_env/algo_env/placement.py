"""Moves unpacked files to their destination: all or none."""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path

from algo_core.errors import AlreadyExists
from algo_core.files import status_of
from algo_env.archive import Contents

SHOWN = 5
"""How many files in the way an error names."""


@dataclass(frozen=True)
class Staging:
    """Two temporary directories on the destination's file system: for new files, and for replaced ones."""

    new: Path
    replaced: Path


def check_destination(destination: Path) -> None:
    """Raise AlreadyExists if the destination exists and is not a directory."""
    if status_of(destination, follow_symlinks=False) and not destination.is_dir():
        raise AlreadyExists(f"{destination} exists and is not a directory", "Name another destination")


@contextmanager
def staging_for(destination: Path) -> Iterator[Staging]:
    """A staging directory on the destination's file system, so that files can be moved without copying.

    It is in the destination if that exists, else in the nearest of its parents that does. It is removed in the end,
    except for replaced files that could not be put back.
    """
    home = destination
    while status_of(home) is None:
        home = home.parent
    root = Path(tempfile.mkdtemp(prefix=".algo-template-", dir=home))
    staging = Staging(root / "new", root / "replaced")
    try:
        staging.new.mkdir()
        staging.replaced.mkdir()
        yield staging
        shutil.rmtree(staging.replaced)
    finally:
        shutil.rmtree(staging.new, ignore_errors=True)
        for directory in (staging.replaced, root):
            try:
                directory.rmdir()
            except OSError:
                pass


def place(staging: Staging, contents: Contents, destination: Path, *, force: bool = False) -> None:
    """Move the unpacked files to the destination, which is created if missing.

    Raises:
        AlreadyExists: if files are in the way and `force` is not set, or something that is no file; nothing has
            changed then.
        OSError: if a file cannot be moved; then all moves are undone.
    """
    with ExitStack() as undo:
        if status_of(destination):
            _check_ways(contents, destination, force=force)
            _merge(staging, contents, destination, undo)
        else:
            _make_parents(destination, undo)
            staging.new.rename(destination)
        undo.pop_all()


def _make_parents(destination: Path, undo: ExitStack) -> None:
    missing = [parent for parent in destination.parents if status_of(parent) is None]
    for parent in reversed(missing):
        parent.mkdir()
        undo.callback(parent.rmdir)


def _check_ways(contents: Contents, destination: Path, *, force: bool) -> None:
    """Links to directories count as being in the way: behind them is a place that was not asked for."""
    blocked = [
        path
        for path in contents.directories
        if status_of(destination / path, follow_symlinks=False)
        and ((destination / path).is_symlink() or not (destination / path).is_dir())
    ]
    present = [path for path in contents.files if status_of(destination / path, follow_symlinks=False)]
    blocked += [path for path in present if (destination / path).is_dir() and not (destination / path).is_symlink()]
    if blocked:
        raise AlreadyExists(
            f"Files and directories are in each other's way in {destination}: {_listed(blocked)}",
            "Move it away, or choose another destination; nothing was changed",
        )
    if present and not force:
        raise AlreadyExists(
            f"These files already exist in {destination}: {_listed(present)}",
            "Replace them with --force, or choose another destination; nothing was changed",
        )


def _listed(paths: list[str]) -> str:
    more = f" and {len(paths) - SHOWN} more" if len(paths) > SHOWN else ""
    return ", ".join(sorted(paths)[:SHOWN]) + more


def _merge(staging: Staging, contents: Contents, destination: Path, undo: ExitStack) -> None:
    for path in contents.directories:
        target = destination / path
        if status_of(target) is None:
            target.mkdir()
            undo.callback(target.rmdir)
    for number, path in enumerate(contents.files):
        source, target, kept = staging.new / path, destination / path, staging.replaced / str(number)
        undo.callback(_put_back, source, target, kept)
        if status_of(target, follow_symlinks=False):
            target.rename(kept)
        source.rename(target)


def _put_back(source: Path, target: Path, kept: Path) -> None:
    """Undo the moves of one file."""
    if status_of(kept, follow_symlinks=False):
        kept.replace(target)
    elif not status_of(source, follow_symlinks=False):
        target.unlink()
