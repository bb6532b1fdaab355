"""Front ends and what they stand on die in turn, while many clients work.

Nothing that was acknowledged is lost, no call has two answers, and everything goes on without a hand.
`--cluster-kills` is how often in all; `make kills-cluster` does it two hundred times.
"""

from __future__ import annotations

import contextlib
import itertools
import os
import random
import signal
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from support.claims import TICKET, Crowd
from support.object_server import ObjectServer, free_ports
from support.serving import Served
from support.several import Several
from support.wire import PATIENCE

from algo_local.opening import open_platform
from algo_local.state import State

if TYPE_CHECKING:
    from support.postgresql import PostgresqlServer

CLIENTS = 40
PROGRESS = 20
"""Acknowledgments after a kill that show that it goes on."""


@pytest.fixture
def kills(pytestconfig: pytest.Config) -> int:
    return int(pytestconfig.getoption("--cluster-kills"))


@pytest.fixture
def jane_key(root: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    """A key of jane, whose platform has the algorithm and the collection of the clients."""
    monkeypatch.setenv("ALGO_LOCAL_SANDBOX", "off")
    monkeypatch.setenv("ALGO_CONFIG_DIR", str(tmp_path / "config"))
    monkeypatch.setenv("ALGO_CACHE_DIR", str(tmp_path / "cache"))
    source = tmp_path / "Ticket" / "src"
    source.mkdir(parents=True)
    (source / "__init__.py").touch()
    (source / "Ticket.py").write_text(TICKET)
    with contextlib.closing(open_platform(State.of())) as platform:
        account = platform.metadata.ensure_account("jane")
        platform.publish(source.parent, "jane", "Ticket", "1.0.0")
        return platform.keys.create(account, "test")[1]


def kill_in_turn(crowd: Crowd, parts: Sequence[Callable[[], None]], kills: int) -> None:
    """Kill one part after the other, each once the clients have got on: by chance, or as something is acknowledged."""
    chance = random.Random(kills)
    with crowd.working():
        for kill in itertools.islice(itertools.cycle(parts), kills):
            before = crowd.ledger.count
            wait_for(lambda before=before: crowd.ledger.count >= before + PROGRESS or crowd.problems)  # type: ignore[misc]
            if crowd.problems:
                break
            if chance.random() < 0.5:
                time.sleep(chance.random() / 20)
            else:
                crowd.ledger.moment.clear()
                crowd.ledger.moment.wait(PATIENCE)
            kill()
        before = crowd.ledger.count
        wait_for(lambda: crowd.ledger.count >= before + PROGRESS or crowd.problems)
    crowd.check()


def wait_for(condition: Callable[[], object]) -> None:
    ends = time.monotonic() + PATIENCE
    while not condition():
        assert time.monotonic() < ends, "it did not go on"
        time.sleep(0.01)


@dataclass
class Supervised:
    """A front end that is started again when it has died, as systemd or Kubernetes do."""

    port: int
    served: Served = field(init=False)

    def __post_init__(self) -> None:
        self.served = Served("--port", str(self.port))

    def kill(self) -> None:
        self.served.kill()
        self.served = Served("--port", str(self.port))

    def end(self) -> None:
        self.served.kill()


def test_front_ends_and_the_object_store_are_killed_in_turn(
    jane_key: str, tmp_path: Path, kills: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    with contextlib.ExitStack() as stack:
        store = ObjectServer(tmp_path / "weed")
        stack.callback(store.close)
        for name, value in store.environ.items():
            monkeypatch.setenv(name, value)
        monkeypatch.setenv("ALGO_LOCAL_OBJECTS", store.url("kills"))
        front_ends = [Supervised(port) for port in free_ports(2)]
        for each in front_ends:
            stack.callback(each.end)
        crowd = Crowd([each.served.address for each in front_ends], jane_key, tmp_path / "log", CLIENTS)
        one, other = front_ends
        kill_in_turn(crowd, [store.kill, one.kill, store.kill, other.kill], kills)


@pytest.mark.parametrize("metadata_url", ["postgresql"], indirect=True)
def test_front_ends_and_the_database_are_killed_in_turn(
    jane_key: str, tmp_path: Path, kills: int, postgresql: PostgresqlServer, metadata_url: str
) -> None:
    def restart() -> None:
        postgresql.stop()
        postgresql.start()

    with contextlib.ExitStack() as stack:
        front_ends = [Supervised(port) for port in free_ports(2)]
        for each in front_ends:
            stack.callback(each.end)
        crowd = Crowd([each.served.address for each in front_ends], jane_key, tmp_path / "log", CLIENTS)
        one, other = front_ends

        def cut() -> None:
            postgresql.cut(metadata_url)

        kill_in_turn(crowd, [restart, one.kill, cut, other.kill], kills)


def test_front_ends_and_their_engine_are_killed_in_turn(jane_key: str, tmp_path: Path, kills: int) -> None:
    served = Several("--processes", "2")
    try:
        crowd = Crowd([served.address], jane_key, tmp_path / "log", CLIENTS)
        kill_in_turn(crowd, [lambda: kill_part(served, "algo-front"), lambda: kill_part(served, "algo-engine")], kills)
        assert served.process.poll() is None
    finally:
        served.kill()


def kill_part(served: Several, title: str) -> None:
    """Kill the process of this title that has lived for the longest time."""
    os.kill(min(served.parts(title)), signal.SIGKILL)
