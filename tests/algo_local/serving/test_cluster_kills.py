"""Front ends and what they stand on die in turn, while many clients work.

Nothing that was acknowledged is lost, no call has two answers, and everything goes on without a hand.
`--cluster-kills` is how often in all; `make kills-cluster` does it two hundred times, with nodes of Ray as well.
"""

from __future__ import annotations

import contextlib
from pathlib import Path

import pytest
from support.claims import Crowd
from support.kills import CLIENTS, Machine, copy_key, kill_in_turn, made, shared_state, without_sandbox
from support.object_server import free_ports
from support.postgresql import PostgresqlServer


@pytest.fixture
def kills(pytestconfig: pytest.Config) -> int:
    return int(pytestconfig.getoption("--cluster-kills"))


def test_front_ends_and_their_engine_are_killed_in_turn(
    tmp_path: Path, kills: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    without_sandbox(tmp_path, monkeypatch)
    key, machine = made(tmp_path), Machine(0, tmp_path / "one", ("--processes", "2"))
    try:
        crowd = Crowd([machine.served.address], key, tmp_path / "log", CLIENTS)
        parts = {
            "front end": lambda: machine.kill_part("algo-front"),
            "engine": lambda: machine.kill_part("algo-engine"),
        }
        kill_in_turn(crowd, parts, kills)
        assert machine.served.process.poll() is None
    finally:
        machine.end()


def test_machines_and_what_they_share_are_killed_in_turn(
    postgresql: PostgresqlServer, tmp_path: Path, kills: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    without_sandbox(tmp_path, monkeypatch)
    with contextlib.ExitStack() as stack:
        shared = stack.enter_context(shared_state(tmp_path, postgresql, monkeypatch))
        key = made(tmp_path)
        copy_key(tmp_path / "one", tmp_path / "two")
        machines = [Machine(port, tmp_path / name) for port, name in zip(free_ports(2), ("one", "two"), strict=True)]
        for each in machines:
            stack.callback(each.end)
        crowd = Crowd([each.served.address for each in machines], key, tmp_path / "log", CLIENTS)
        one, other = machines
        kill_in_turn(crowd, {**shared, "one machine": one.kill, "the other machine": other.kill}, kills)
