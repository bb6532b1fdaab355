"""What this plugin adds to `algo`. It is loaded often: Ray itself is imported by the driver process alone."""

from __future__ import annotations

from algo_core import ExecutorFactory, PluginSetting, Variable, hookimpl

ALGO_API = ">=1.1,<2"


@hookimpl
def algo_executors() -> list[ExecutorFactory]:
    """`algo local serve --engine ray`."""
    return [ExecutorFactory("ray", "algo_ray.executor:open_executor", help="Run algorithms on a Ray cluster.")]


@hookimpl
def algo_settings() -> list[PluginSetting]:
    """Where the cluster is."""
    return [
        PluginSetting("ray.address", "HOST:PORT of the Ray cluster that runs algorithms", variable="ALGO_RAY_ADDRESS")
    ]


@hookimpl
def algo_variables() -> list[Variable]:
    """What else changes how algorithms run on a cluster."""
    return [
        Variable("ALGO_RAY_PLACEMENT_SECONDS", "how long a worker waits for a node with room (default: 120)"),
        Variable("ALGO_RAY_START_SECONDS", "how long a node may take to start a worker there (default: 600)"),
        Variable("ALGO_RAY_INSECURE", "1 allows traffic between machines without RAY_USE_TLS (default: refused)"),
        Variable("ALGO_RAY_CACHE", "on a node: directory of the builds that it runs (default: ~/.cache/algo-ray)"),
    ]
