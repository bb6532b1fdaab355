"""`algo local status --cluster`, and the cluster in `top`: what a serving process has left beside it."""

from __future__ import annotations

import json
import os
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from algo_core.errors import AlgoError, ExitCode, NetworkError
from algo_core.testing import Home
from algo_local.execution import cluster_report
from algo_local.execution.cluster_report import ClusterView, cluster_view, report_cluster
from algo_local.execution.executor import Description
from algo_local.testing import wait_for

NAME = f"cluster-{os.getpid()}.json"
CLUSTER: dict[str, Any] = {
    "nodes": [
        {
            "id": "a" * 56,
            "address": "10.0.0.1",
            "alive": True,
            "resources": {"cpus": 8.0, "memory": 2e9, "ssd": 1.0},
            "free": {"cpus": 5.5, "memory": 1e9, "ssd": 1.0},
            "actors": 3,
        },
        {"id": "b" * 56, "address": "10.0.0.2", "alive": False, "resources": {}, "free": {}, "actors": 0},
    ],
    "actors": [
        {"node": "a" * 56, "process": 7, "algorithm": "jane/Echo", "resources": {"cpus": 1.0}},
        {"node": "a" * 56, "process": 8, "algorithm": "jane/Echo", "resources": {"cpus": 1.0}},
        {"node": "a" * 56, "process": 9, "algorithm": "", "resources": {"cpus": 0.5}},
    ],
    "pending": [{"cpus": 1.0, "gpus": 1.0}],
    "queues": {"jane/Echo": 1200},
}


class Watched:
    """An executor with a cluster, which says in turn what the test says."""

    def __init__(self, *said: dict[str, Any] | AlgoError | None) -> None:
        self.said = list(said)

    def cluster(self) -> dict[str, Any] | None:
        said = self.said.pop(0) if len(self.said) > 1 else self.said[0]
        if isinstance(said, AlgoError):
            raise said
        return said

    def describe(self) -> Description:
        return Description(3, 2, 1200, 0)


@pytest.fixture
def report(algo_home: Home, monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[..., None]]:
    """Leaves views as a serving process would, this one, until the test ends: `report(CLUSTER)`."""
    monkeypatch.setattr(cluster_report, "SECONDS", 0.02)
    directory = algo_home.root / "local" / "executor"
    watched: list[Watched] = []

    def report(*said: dict[str, Any] | AlgoError | None) -> None:
        assert algo_home.run("local", "status").code == ExitCode.OK  # makes the platform
        watched.append(Watched(*said))
        report_cluster(watched[0], directory)  # type: ignore[arg-type]
        wait_for((directory / NAME).exists)

    yield report
    for one in watched:
        one.said = [None]
    wait_for(lambda: not (directory / NAME).exists())


def test_the_cluster_is_shown(algo_home: Home, report: Callable[..., None]) -> None:
    report(CLUSTER)
    text = algo_home.run("local", "status", "--cluster").text
    for part in (
        "Cluster: 1 node, 2.5 of 8 processors taken, 3 workers, 2 busy, 1,200 waiting",
        "aaaaaaaaaaaa",
        "10.0.0.2",
        "dead",
        "jane/Echo",
        "1,200",
        "1 more wait for a node with cpus 1, gpus 1",
        "ssd 1",
    ):
        assert part in text
    found = json.loads(algo_home.run("--json", "local", "status", "--cluster").text)
    assert (found["cluster"], found["waiting"], found["trouble"]) == (CLUSTER, 1200, "")
    assert "Cluster: 1 node" in algo_home.run("local", "top").text
    assert json.loads(algo_home.run("--json", "local", "top").text)["cluster"]["busy"] == 2


def test_a_cluster_that_cannot_be_asked_is_told(algo_home: Home, report: Callable[..., None]) -> None:
    report(NetworkError("it does not answer"))
    shown = algo_home.run("local", "status", "--cluster")
    assert shown.code == ExitCode.OK
    assert "it does not answer" in shown.stderr


WHOLE = {"at": time.time(), "workers": 1, "busy": 0, "waiting": 4, "trouble": "", "cluster": CLUSTER}


@pytest.mark.parametrize(
    ("process", "content"),
    [
        (os.getpid(), ""),
        (os.getpid(), "[]"),
        (os.getpid(), "{}"),
        (os.getpid(), '{"at": "now"}'),
        (os.getpid(), json.dumps({**WHOLE, "at": "now"})),
        (os.getpid(), json.dumps({**WHOLE, "at": 1.0})),
        (os.getpid(), json.dumps({**WHOLE, "more": 1})),
        (1 << 22, json.dumps(WHOLE)),
        ("x", json.dumps(WHOLE)),
    ],
    ids=["empty", "list", "object", "half", "no time", "old", "more", "ended", "no process"],
)
def test_what_no_serving_process_left_is_not_shown(tmp_path: Path, process: object, content: str) -> None:
    assert cluster_view(tmp_path) is None
    (tmp_path / f"cluster-{process}.json").write_text(content)
    assert cluster_view(tmp_path) is None


def test_what_several_processes_see_is_taken_together(tmp_path: Path) -> None:
    other = {**CLUSTER, "actors": CLUSTER["actors"][:1], "queues": {"jane/Echo": 1, "bob/Slow": 2}}
    for process, cluster in ((os.getpid(), CLUSTER), (os.getppid(), other)):
        (tmp_path / f"cluster-{process}.json").write_text(json.dumps({**WHOLE, "at": time.time(), "cluster": cluster}))
    view = cluster_view(tmp_path)
    assert isinstance(view, ClusterView)
    assert (view.workers, view.waiting, view.trouble) == (2, 8, "")
    assert view.cluster["queues"] == {"jane/Echo": 1201, "bob/Slow": 2}
    assert [node["actors"] for node in view.cluster["nodes"]] == [4, 0]


def test_without_a_cluster_the_hint_says_how_to_serve_one(algo_home: Home) -> None:
    shown = algo_home.run("local", "status", "--cluster")
    assert shown.code == ExitCode.NOT_FOUND
    assert "algo local serve --engine ray" in shown.stderr
    algo_home.run("local", "status")
    assert "cluster" not in json.loads(algo_home.run("--json", "local", "top").text)


def test_nothing_is_left_of_an_executor_that_is_closed(algo_home: Home, report: Callable[..., None]) -> None:
    report(CLUSTER)
    left = algo_home.root / "local" / "executor" / NAME
    assert oct(left.stat().st_mode & 0o777) == "0o600"  # that it goes away, `report` waits for
