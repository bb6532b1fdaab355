"""File modes of the platform's state: other users of the machine must not read it."""

from __future__ import annotations

import contextlib
import os
import stat
import warnings
from collections.abc import Iterable
from pathlib import Path

from algo_core.errors import ConfigError

DIRECTORY_MODE = 0o700
FILE_MODE = 0o600


def make_private(root: Path, directories: Iterable[str], files: Iterable[str]) -> None:
    """Remove other users' access to a platform's directory, and warn if there was any.

    `directories` and `files` are the names below `root` that belong to the platform. A `root` with other content keeps
    its mode, since it also serves another purpose (a home directory, `/tmp`): then each of them is made private.
    Missing ones are skipped, and links are not followed.
    """
    directories = list(directories)
    names = [(name, FILE_MODE) for name in files]
    was_open = _is_open(root, DIRECTORY_MODE)
    if was_open:
        if set(_entries(root)) <= {*directories, *(name for name, _ in names)}:
            names.append(("", DIRECTORY_MODE))
        else:
            names += [(name, DIRECTORY_MODE) for name in directories]
    wanted = [(root / name if name else root, mode) for name, mode in names]
    changed = [path for path, mode in wanted if _is_open(path, mode) and _restrict(path, mode)]
    if changed and was_open:
        notify(f"Other users of this machine had access to {', '.join(map(str, changed))}; now only you have access")


def make_root(root: Path) -> None:
    """Make the directory of a platform, for its user only, unless it is there.

    Raises:
        ConfigError: if it cannot be made.
    """
    try:
        root.mkdir(parents=True, exist_ok=True, mode=DIRECTORY_MODE)
    except OSError as error:
        raise ConfigError(
            f"Cannot make the embedded platform's directory {root}: {error.strerror}",
            "Choose another with ALGO_LOCAL_ROOT",
        ) from error


def make_directories(root: Path, directories: Iterable[str]) -> None:
    """Make the directories of a platform before anything else does, if others could enter `root` and so them."""
    if _is_open(root, DIRECTORY_MODE):
        for name in directories:
            with contextlib.suppress(OSError):  # it is there already, or whatever needs it says why it cannot be
                os.mkdir(root / name, DIRECTORY_MODE)


def _is_open(path: Path, mode: int) -> bool:
    """Whether others have rights to a file or directory of the kind that has this mode."""
    try:
        found = os.lstat(path).st_mode
    except OSError:
        return False
    is_kind = stat.S_ISDIR(found) if mode == DIRECTORY_MODE else stat.S_ISREG(found)
    return is_kind and bool(found & 0o077)


def _entries(root: Path) -> list[str]:
    try:
        return os.listdir(root)
    except OSError:
        return []


def _restrict(path: Path, mode: int) -> bool:
    """Set a mode; return whether that was possible."""
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
        try:
            os.fchmod(descriptor, mode)
        finally:
            os.close(descriptor)
    except OSError as error:
        notify(f"Other users of this machine have access to {path}, and that cannot be changed: {error.strerror}")
        return False
    return True


def notify(text: str) -> None:
    """Warn the user of the current command, or else with Python's warnings."""
    import click

    from algo_core import App

    ctx = click.get_current_context(silent=True)
    app = ctx.find_object(App) if ctx else None
    if app:
        app.output.warn(text)
    else:
        warnings.warn(text, stacklevel=2)
