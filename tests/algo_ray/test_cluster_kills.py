"""Everything that a platform on a cluster stands on dies in turn, while many clients work.

Nodes, front ends and engines of two machines, PostgreSQL and its connections, and the object store: nothing that was
acknowledged is lost, no call has two answers, and everything goes on without a hand. `--cluster-kills` is how often in
all; `make kills-cluster` does it two hundred times.
"""

from __future__ import annotations

import contextlib
import os
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any
from unittest.mock import patch

import pytest
from support.claims import Crowd
from support.kills import CLIENTS, Machine, Parts, copy_key, kill_in_turn, made, shared_state, without_sandbox
from support.object_server import free_ports
from support.postgresql import PostgresqlServer

from .conftest import add_node

SECONDS = 240.0
"""In which each request is acknowledged at the latest: a worker takes processor time, and Ray some to see a death."""

PAUSE = 0.5
"""Of each client between two things: else the clients take the processors that workers are to be started with."""

WORKERS = 4
"""Of each machine: those that have died together are soon there again."""

STARTS = 4
"""Attempts to start a node."""


@pytest.fixture
def server() -> Iterator[PostgresqlServer]:
    found = PostgresqlServer()
    yield found
    found.close()


def test_nodes_machines_and_what_they_share_are_killed_in_turn(
    ray_cluster: Any,
    server: PostgresqlServer,
    tmp_path: Path,
    tmp_path_factory: pytest.TempPathFactory,
    pytestconfig: pytest.Config,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    environ = dict(os.environ)
    without_sandbox(tmp_path, monkeypatch)
    monkeypatch.setenv("ALGO_RAY_ADDRESS", ray_cluster.address)
    monkeypatch.setenv("ALGO_LOCAL_WORKERS", str(WORKERS))
    with contextlib.ExitStack() as stack:
        shared = stack.enter_context(shared_state(tmp_path, server, monkeypatch))
        key = made(tmp_path)
        copy_key(tmp_path / "one", tmp_path / "two")
        options = ("--processes", "2", "--engine", "ray")
        ports = dict(zip(("one", "two"), free_ports(2), strict=True))
        machines = {name: Machine(port, tmp_path / name, options) for name, port in ports.items()}
        for each in machines.values():
            stack.callback(each.end)
        crowd = Crowd(
            [each.served.address for each in machines.values()], key, tmp_path / "log", CLIENTS, SECONDS, PAUSE
        )
        parts: Parts = {
            **{f"node {number}": node_killer(ray_cluster, tmp_path_factory, number, environ) for number in (1, 2)},
            **{f"machine {name}": each.kill for name, each in machines.items()},
            **{f"front end of {name}": part_killer(each, "algo-front") for name, each in machines.items()},
            **{f"engine of {name}": part_killer(each, "algo-engine") for name, each in machines.items()},
            **shared,
        }
        kill_in_turn(crowd, parts, pytestconfig.getoption("--cluster-kills"))


def part_killer(machine: Machine, title: str) -> Callable[[], None]:
    return lambda: machine.kill_part(title)


def node_killer(
    cluster: Any, places: pytest.TempPathFactory, number: int, environ: Mapping[str, str]
) -> Callable[[], None]:
    """What kills a node, and starts another one in its place, which has built nothing.

    It stays for the tests that follow, so it has the environment and a directory like the nodes before.
    """

    def kill() -> None:
        cluster.remove_node(cluster.numbered[number], allow_graceful=False)
        for attempt in range(STARTS):
            try:
                with patch.dict(os.environ, environ, clear=True):
                    cluster.numbered[number] = add_node(cluster, places.mktemp(f"node-{number}"), number)
                return
            except Exception:  # Ray gives its nodes 30 seconds to start, whatever else the machine does
                if attempt == STARTS - 1:
                    raise

    return kill
