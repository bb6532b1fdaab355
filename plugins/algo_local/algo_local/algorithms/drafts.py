"""Drafts: builds of unpublished directories, private to one process and removed with it."""

from __future__ import annotations

import contextlib
import os
import tempfile
import weakref
from collections.abc import Callable
from pathlib import Path

from algo_core.locks import acquire, is_held, locked
from algo_local.algorithms.build import Build
from algo_local.algorithms.builder import Builder
from algo_local.algorithms.installation.environments import interpreter_of
from algo_local.trees import in_use, remove_tree

DIRECTORY = "drafts"
"""Where they are, below the platform's directory."""


class Drafts:
    """Builds whose source trees no other process uses; environments are shared with published builds.

    The trees are in a directory that is locked while this object lives, so that leftovers of killed processes can be
    recognized and removed.
    """

    def __init__(self, root: Path) -> None:
        """OSError if the directory cannot be made."""
        drafts = root.resolve() / DIRECTORY
        drafts.mkdir(parents=True, exist_ok=True, mode=0o700)
        with locked(drafts / ".lock"):
            abandoned = [path for path in drafts.glob("d-*") if not is_held(path / "lock")]
            own = Path(tempfile.mkdtemp(prefix="d-", dir=drafts))
            held = os.open(own / "lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
            acquire(held, wait=True)
        for path in abandoned:
            _remove(path)
        self._published = Builder(root)
        self._builder = Builder(root, own / "sources")
        self._used = contextlib.ExitStack()
        self._finalizer = weakref.finalize(self, _end, own, held, self._used)

    def build(self, directory: Path, owner: str, name: str, report: Callable[[str], None] | None = None) -> Build:
        """Build a directory as it is now; see `Builder.build`."""
        with self._published.building():
            build = self._builder.build(directory, owner, name, report=report)
            if environment := interpreter_of(build.python).environment:
                self._used.enter_context(in_use(environment))
        return build

    def close(self) -> None:
        """Remove the trees; called at the latest when the process ends."""
        self._finalizer()


def _end(own: Path, held: int, used: contextlib.ExitStack) -> None:
    used.close()
    _remove(own)
    with contextlib.suppress(OSError):
        os.close(held)


def _remove(path: Path) -> None:
    with contextlib.suppress(OSError):
        remove_tree(path)
