"""Which tests begin first, and how many at once: so that no processor is idle, and none alone at the end."""

from __future__ import annotations

import os
from collections.abc import Iterable

import pytest

FIRST = (
    *("tests/journeys/", "tests/algo_plugins/test_install.py", "tests/algo_plugins/test_isolated.py"),
    *(
        "tests/algo_plugins/test_sources.py",
        "tests/algo_plugins/test_preview.py",
        "tests/algo_plugins/test_planning.py",
    ),
    *("tests/enterprise/", "tests/teams/test_reports.py", "tests/teams/test_page.py", "tests/teams/test_scaffold.py"),
    *("tests/project/test_everywhere.py", "tests/examples/", "tests/algo_local/serving/test_cluster_kills.py"),
    *("tests/algo_local/serving/test_serve_clients.py", "tests/algo_local/serving/test_processes.py"),
    *("tests/algo_local/serving/test_growth.py", "tests/algo_local/backups/test_migrate.py"),
    *("tests/algo_local/algorithms/test_kills.py", "tests/algo_connectors/test_hosted_objects.py"),
)
"""Where single tests take many seconds. Workers take tests from each other's end: what is left at last is quick."""


def long_ones_first(items: Iterable[pytest.Item]) -> list[pytest.Item]:
    """The tests in the order in which they run."""
    return sorted(items, key=lambda item: not item.nodeid.startswith(FIRST))


def workers() -> int:
    """Three for two processors: a third of the time of tests is waiting, for disks, processes and limits of time."""
    processors = len(os.sched_getaffinity(0))
    return processors + (processors + 1) // 2
