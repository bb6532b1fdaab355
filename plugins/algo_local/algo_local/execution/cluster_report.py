"""Files in which serving processes describe their cluster, for `algo local status --cluster` and `algo local top`."""

from __future__ import annotations

import json
import os
import threading
import time
from collections import Counter
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from algo_core.errors import AlgoError
from algo_core.files import replacing
from algo_local.execution.executor import Executor

NAMES = "cluster-*.json"
"""The files, in the executor's directory; the star stands for the process."""

SECONDS = 2.0
"""Time between two views."""

STALE_SECONDS = 30.0
"""Age of a view of which it is not taken for granted that its process still runs the cluster."""


@dataclass(frozen=True)
class ClusterView:
    """A process's last description of its cluster."""

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
        """The view as a JSON object."""
        return dict(self.__dict__)


def report_cluster(executor: Executor, directory: Path) -> None:
    """Write the view of an executor's cluster, if it has one, every few seconds until the executor is closed."""
    look = getattr(executor, "cluster", None)
    if not callable(look):
        return

    path = directory / NAMES.replace("*", str(os.getpid()))

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
            _write(path, view.as_dict())
            time.sleep(SECONDS)
        path.unlink(missing_ok=True)

    threading.Thread(target=report, name="algo-cluster", daemon=True).start()


def _write(path: Path, content: dict[str, Any]) -> None:
    try:
        path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        with replacing(path, mode=0o600) as file:
            file.write(json.dumps(content).encode())
    except OSError:
        pass  # a full disk: outdated views are not shown


def cluster_view(directory: Path) -> ClusterView | None:
    """The current views of all running processes, merged; None if there is none."""
    views = sorted(filter(None, map(_read, directory.glob(NAMES))), key=lambda view: view.at)
    return _together(views) if views else None


def _read(path: Path) -> ClusterView | None:
    process = path.stem.partition("-")[2]
    is_over = os.path.isdir("/proc/self") and not os.path.exists(f"/proc/{process}")
    try:
        if is_over:
            path.unlink(missing_ok=True)
            return None
        view = ClusterView(**json.loads(path.read_bytes()))
        return view if time.time() - view.at < STALE_SECONDS else None
    except (OSError, ValueError, TypeError):
        return None


def _together(views: list[ClusterView]) -> ClusterView:
    """Merge views of one cluster by several processes, each with its own workers, actors and calls."""
    cluster = dict(views[-1].cluster)
    for name in ("actors", "pending"):
        cluster[name] = [one for view in views for one in view.cluster.get(name, [])]
    queues: Counter[str] = Counter()
    for view in views:
        queues.update(view.cluster.get("queues", {}))
    counts = Counter(actor["node"] for actor in cluster["actors"])
    cluster["nodes"] = [{**node, "actors": counts[node["id"]]} for node in cluster.get("nodes", [])]
    cluster["queues"] = dict(queues)
    return ClusterView(
        views[-1].at,
        sum(view.workers for view in views),
        sum(view.busy for view in views),
        sum(view.waiting for view in views),
        "; ".join(dict.fromkeys(view.trouble for view in views if view.trouble)),
        cluster,
    )
