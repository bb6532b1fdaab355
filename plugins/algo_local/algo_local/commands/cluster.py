"""The cluster of a served platform: `algo local status --cluster`, and its lines in `top`."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from algo_core.errors import NotFoundError
from algo_local.commands.disk import megabytes

if TYPE_CHECKING:
    from algo_core import App
    from algo_local.execution.cluster_report import ClusterView

_ID = 12
"""Characters of a node's identifier that are shown."""


def view_of(root: Path) -> ClusterView | None:
    """The last view of the cluster of the platform served from a state directory; None without one."""
    from algo_local.execution.cluster_report import cluster_view

    return cluster_view(root / "executor")


def show_cluster(app: App, root: Path) -> None:
    """Print the nodes, actors, queues and resources.

    Raises:
        NotFoundError: if no platform of this directory runs algorithms on a cluster now.
    """
    view = view_of(root)
    if view is None:
        raise NotFoundError(
            f"No platform in {root} runs algorithms on a cluster now",
            "Serve one: algo local serve --engine ray --ray-address HOST:PORT",
        )
    if app.output.is_json:
        app.output.json(view.as_dict())
        return
    app.output.print(summary(view))
    if view.trouble:
        app.output.warn(f"The cluster could not be asked: {view.trouble}")
    nodes, actors = view.cluster.get("nodes", []), view.cluster.get("actors", [])
    if nodes:
        app.output.print("")
        app.output.table(("Node", "Address", "State", "Actors", "Free", "Of"), [_node(node) for node in nodes])
    if actors:
        app.output.print("")
        counts = Counter(
            (str(one["algorithm"]) or "-", str(one["node"])[:_ID], _told(one["resources"])) for one in actors
        )
        rows = [(*row, str(count)) for row, count in sorted(counts.items())]
        app.output.table(("Algorithm", "Node", "Each takes", "Actors"), rows)
    pending = Counter(_told(one) for one in view.cluster.get("pending", []))
    for wanted, count in sorted(pending.items()):
        app.output.print(f"{count:,} more wait for a node with {wanted}")
    queues = view.cluster.get("queues", {})
    if queues:
        app.output.print("")
        app.output.table(
            ("Algorithm", "Waiting calls"), [(name, f"{count:,}") for name, count in sorted(queues.items())]
        )


def summary(view: ClusterView) -> str:
    """A line about the whole cluster."""
    nodes = [node for node in view.cluster.get("nodes", []) if node["alive"]]
    cpus = sum(node["resources"].get("cpus", 0) for node in nodes)
    free = sum(node["free"].get("cpus", 0) for node in nodes)
    return (
        f"Cluster: {len(nodes):,} node{'' if len(nodes) == 1 else 's'}, {cpus - free:g} of {cpus:g} processors taken,"
        f" {view.workers:,} worker{'' if view.workers == 1 else 's'}, {view.busy:,} busy, {view.waiting:,} waiting"
    )


def _node(node: Mapping[str, Any]) -> tuple[str, ...]:
    state = "alive" if node["alive"] else "dead"
    free = _told(node["free"]) if node["alive"] else "-"
    return str(node["id"])[:_ID], str(node["address"]), state, f"{node['actors']:,}", free, _told(node["resources"])


def _told(resources: Mapping[str, float]) -> str:
    parts = [
        f"memory {megabytes(int(value))}" if name == "memory" else f"{name} {value:g}"
        for name, value in sorted(resources.items())
    ]
    return ", ".join(parts) or "nothing"
