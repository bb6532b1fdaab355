"""What this plugin adds to `algo`. It is loaded often: Ray itself is imported by the driver process alone."""

from __future__ import annotations

from algo_core import ExecutorFactory, PluginSetting, hookimpl

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
