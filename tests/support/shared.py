"""What the workers of a test run have in common, so that what is dear is made once and not by each of them."""

from __future__ import annotations

import fcntl
import os
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest


def shared_directory(factory: pytest.TempPathFactory) -> Path:
    """A directory of this test run that is the same for all workers, and for a run without any."""
    base = factory.getbasetemp()
    return base.parent if "PYTEST_XDIST_WORKER" in os.environ else base


def shared_environments(factory: pytest.TempPathFactory, root: Path | None = None) -> Path:
    """Where platforms install what algorithms require, that of `root` from now on as well; they lock what they make."""
    shared = shared_directory(factory) / "environments"
    shared.mkdir(exist_ok=True)
    if root:
        (root / "environments").symlink_to(shared)
    return shared


def made_once(directory: Path, make: Callable[[Path], object]) -> Path:
    """The directory, which whoever is the first to ask for it makes while the others wait.

    If that fails the next one tries, in a new directory.
    """
    done = directory.with_name(f"{directory.name}.done")
    with directory.with_name(f"{directory.name}.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not done.exists():
            shutil.rmtree(directory, ignore_errors=True)
            make(directory)
            done.touch()
    return directory
