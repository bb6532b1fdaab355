"""Replaces the content of a platform's directory atomically, even if it is interrupted (`algo local restore
--replace`).

The new content is completed in `restoring/new` of the directory. Then the old parts go to `restoring/old`, and the new
ones take their place; a marker says so meanwhile, and the next process to open the platform completes it.
"""

from __future__ import annotations

import contextlib
import os
from collections.abc import Sequence
from pathlib import Path

from algo_core.errors import AlgoError
from algo_core.files import replacing
from algo_core.locks import locked
from algo_local.trees import remove_tree

DIRECTORY = "restoring"
_MARKER = "replacing"
_OUT, _IN = "out", "in"
_OLD = "old"


def new_content(root: Path) -> Path:
    """The directory in which the new content is completed."""
    return root / DIRECTORY / "new"


def replace_content(root: Path, parts: Sequence[str]) -> None:
    """Replace files and directories of a platform by those in `new_content`; the database is named first.

    Raises:
        AlgoError: if that is not possible; nothing has changed then.
    """
    remove_tree(root / DIRECTORY / _OLD)  # of one that was interrupted at its very end
    _mark(root, _OUT, parts)
    finish_replacement(root)


def finish_replacement(root: Path) -> None:
    """Complete a replacement, if one was interrupted. AlgoError if that is not possible."""
    marker = root / DIRECTORY / _MARKER
    if not marker.exists():
        return
    with locked(root / DIRECTORY / ".replacing.lock"):
        try:
            phase, *parts = os.fsdecode(marker.read_bytes()).split("\n")
        except FileNotFoundError:  # another process has completed it
            return
        if phase == _OUT:
            _move_out(root, parts)
            _mark(root, _IN, parts)
        for name in reversed(parts):
            with contextlib.suppress(FileNotFoundError):
                os.rename(new_content(root) / name, root / name)
        marker.unlink()
    with contextlib.suppress(OSError):  # the next one tries again
        remove_tree(root / DIRECTORY)


def _move_out(root: Path, parts: Sequence[str]) -> None:
    old = root / DIRECTORY / _OLD
    old.mkdir(exist_ok=True, mode=0o700)
    try:
        for name in parts:
            with contextlib.suppress(FileNotFoundError):
                os.rename(root / name, old / name)
    except OSError as error:  # a mounted directory
        for name in parts:
            with contextlib.suppress(OSError):
                os.rename(old / name, root / name)
        (root / DIRECTORY / _MARKER).unlink()
        raise AlgoError(
            f"{error.filename} cannot be moved: {error.strerror}; the platform is unchanged",
            "Restore into another directory with ALGO_LOCAL_ROOT",
        ) from error


def _mark(root: Path, phase: str, parts: Sequence[str]) -> None:
    with replacing(root / DIRECTORY / _MARKER, mode=0o600, durable=True) as file:
        file.write("\n".join([phase, *parts]).encode())
