"""What `algo local status` reports and `algo local reset` does."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

from algo_core.errors import AlgoError
from algo_core.files import status_of
from algo_local.execution.keeper import keeper_of
from algo_local.platform import DATABASE, OWN_PARTS, Platform
from algo_local.trees import remove_tree


def describe(platform: Platform) -> dict[str, Any]:
    """A platform's directory, account, sizes, and algorithms with their versions, newest first."""
    counts = platform.metadata.counts()
    algorithms = [
        {
            "name": f"{algorithm.owner}/{algorithm.name}",
            "versions": [
                f"{version.text}{'' if version.public else ' (private)'}"
                for version in platform.registry.versions(algorithm)
            ],
        }
        for algorithm in platform.registry.algorithms()
    ]
    return {
        "root": str(platform.root),
        "account": platform.account,
        **{name: counts[name] for name in ("accounts", "keys", "collections")},
        "bytes": {
            "data": _size(platform.root / "data") + _size(platform.root / "algorithm-data"),
            "builds": _size(platform.root / "sources") + _size(platform.root / "environments"),
        },
        "algorithms": algorithms,
        "keeper": keeper.status() if (keeper := keeper_of(platform.root)) else None,
    }


def delete_everything(root: Path) -> None:
    """Delete a platform's state, and no other files in its directory.

    Raises:
        AlgoError: if something cannot be deleted.
    """
    if keeper := keeper_of(root):
        keeper.stop()
    # The database goes first: without it the rest is no platform any more, however far the deletion gets.
    try:
        for suffix in ("", "-wal", "-shm"):
            (root / f"{DATABASE}{suffix}").unlink(missing_ok=True)
        for name in OWN_PARTS:
            if status_of(root / name):
                remove_tree(root / name)
        if not any(root.iterdir()):
            root.rmdir()
    except OSError as error:
        raise AlgoError(f"Cannot delete {error.filename}: {error.strerror}") from error


def _size(directory: Path) -> int:
    """Total size of all files below a directory; files that vanish are ignored.

    Raises:
        OSError: if a directory cannot be listed.
    """

    def failed(error: OSError) -> None:
        if not isinstance(error, FileNotFoundError):
            raise error

    total = 0
    for parent, _, names in os.walk(directory, onerror=failed):
        for name in names:
            try:
                total += os.lstat(os.path.join(parent, name)).st_size
            except FileNotFoundError:
                pass
    return total
