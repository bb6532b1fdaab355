"""The view of a cluster that a serving process leaves for `algo local status --cluster` and `top`: a file beside it."""

from __future__ import annotations

import json
import os
import threading
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from algo_core.errors import AlgoError
from algo_core.files import replacing
from algo_local.execution.executor import Executor

NAME = "cluster.json"
"""The file, in the executor's directory."""

SECONDS = 2.0
"""Time between two views."""

STALE_SECONDS = 30.0
"""Age of a view of which it is not taken for granted that its process still runs the cluster."""


@dataclass(frozen=True)
class ClusterView:
    """What a process last saw of its cluster."""

    at: float
    """The time, as by `time.time`."""
    workers: int
    busy: int
    waiting: int
    trouble: str
    """Why the cluster could not be asked; empty if it could."""
    cluster: dict[str, Any]
    """See `algo_local.execution.executor.ClusterExecutor`."""

    def as_dict(self) -> dict[str, Any]:
        """It, fit for JSON."""
        return dict(self.__dict__)


def report_cluster(executor: Executor, directory: Path) -> None:
    """Write views of an executor's cluster, if it has one, until it is closed."""
    look = getattr(executor, "cluster", None)
    if not callable(look):
        return

    def report() -> None:
        cluster: dict[str, Any] = {}
        while True:
            trouble = ""
            try:
                if (found := look()) is None:
                    break
                cluster = found
            except AlgoError as error:
                trouble = error.message
            workers, busy, waiting, _ = executor.describe()
            view = ClusterView(time.time(), workers, busy, waiting, trouble, cluster)
            _write(directory, {**view.as_dict(), "process": os.getpid()})
            time.sleep(SECONDS)
        (directory / NAME).unlink(missing_ok=True)

    threading.Thread(target=report, name="algo-cluster", daemon=True).start()


def _write(directory: Path, content: dict[str, Any]) -> None:
    try:
        directory.mkdir(parents=True, exist_ok=True, mode=0o700)
        with replacing(directory / NAME, mode=0o600) as file:
            file.write(json.dumps(content).encode())
    except OSError:
        pass  # a full disk: views that are too old are not shown


def cluster_view(directory: Path) -> ClusterView | None:
    """The last view, if the process that left it still runs and looks; None otherwise."""
    try:
        content = json.loads((directory / NAME).read_bytes())
        process = content.pop("process")
        view = ClusterView(**content)
        is_there = os.path.exists(f"/proc/{int(process)}") or not os.path.isdir("/proc")
    except (OSError, ValueError, TypeError, KeyError, AttributeError):
        return None
    return view if is_there and time.time() - view.at < STALE_SECONDS else None
