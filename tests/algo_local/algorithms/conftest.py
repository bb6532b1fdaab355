"""Algorithms on several machines."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from support.machines import Machines
from support.postgresql import PostgresqlServer

from algo_local.algorithms.lifecycle import create
from algo_local.algorithms.registry import Algorithm


@pytest.fixture
def machine_at(postgresql: PostgresqlServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Machines]:
    """The platform of a machine with a directory of its own: `machine_at("one")`."""
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    monkeypatch.setenv("LOGNAME", "jane")
    monkeypatch.setenv("ALGO_LOCAL_SANDBOX", "off")
    url = postgresql.lend()
    machines = Machines(tmp_path, url)
    yield machines
    machines.close()
    postgresql.take_back(url)


@pytest.fixture
def shared_algorithm(machine_at: Machines) -> Algorithm:
    """One of alice's, without sources and versions."""
    platform = machine_at("one")
    platform.metadata.ensure_account("alice")
    return create(platform.registry, "alice", "New", {"source_visibility": "closed", "license": "apl"})
