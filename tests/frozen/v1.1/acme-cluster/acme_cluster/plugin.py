"""What this plugin adds to `algo`. It is loaded often: import nothing heavy here."""

from __future__ import annotations

from algo_core import ExecutorFactory, hookimpl

ALGO_API = ">=1.1,<2"


@hookimpl
def algo_executors() -> list[ExecutorFactory]:
    """`algo local serve --engine acme-cluster`."""
    return [
        ExecutorFactory(
            "acme-cluster",
            "acme_cluster.executor:open_executor",
            help="Run each call in a process of its own.",
        )
    ]
