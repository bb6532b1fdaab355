"""Front ends and what they stand on die in turn, while many clients work.

Nothing that was acknowledged is lost, no call has two answers, and everything goes on without a hand.
`--cluster-kills` is how often in all; `make kills-cluster` does it two hundred times.
"""

from __future__ import annotations

import contextlib
import itertools
import os
import random
import shutil
import signal
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import pytest
from support.claims import TICKET, Crowd
from support.object_server import ObjectServer
from support.ports import free_ports
from support.postgresql import PostgresqlServer, database_of
from support.serving import Served
from support.several import Several
from support.wire import PATIENCE

from algo_local.opening import open_platform
from algo_local.state import KEY_FILE, State

CLIENTS = 40
PROGRESS = 20
"""Acknowledgments after a kill that show that it goes on."""


@pytest.fixture
def kills(pytestconfig: pytest.Config) -> int:
    return int(pytestconfig.getoption("--cluster-kills"))


@pytest.fixture
def unsandboxed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Algorithms that write into the directory of the test."""
    for name, value in {"SANDBOX": "off", "ROOT": str(tmp_path / "one")}.items():
        monkeypatch.setenv(f"ALGO_LOCAL_{name}", value)
    for name in ("CONFIG", "CACHE"):
        monkeypatch.setenv(f"ALGO_{name}_DIR", str(tmp_path / name))


def made(directory: Path) -> str:
    """A key of jane, whose platform has the algorithm of the clients; its state is where the environment says."""
    source = directory / "Ticket" / "src"
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
class Machine:
    """A front end that is started again when it has died, as systemd or Kubernetes do."""

    port: int
    root: Path
    served: Served = field(init=False)

    def __post_init__(self) -> None:
        self._start()

    def _start(self) -> None:
        self.served = Served("--port", str(self.port), environ={**os.environ, "ALGO_LOCAL_ROOT": str(self.root)})

    def kill(self) -> None:
        self.served.kill()
        self._start()

    def end(self) -> None:
        self.served.kill()


@pytest.mark.usefixtures("unsandboxed")
def test_front_ends_and_their_engine_are_killed_in_turn(tmp_path: Path, kills: int) -> None:
    key, served = made(tmp_path), Several("--processes", "2")
    try:
        crowd = Crowd([served.address], key, tmp_path / "log", CLIENTS)
        kill_in_turn(crowd, [lambda: kill_part(served, "algo-front"), lambda: kill_part(served, "algo-engine")], kills)
        assert served.process.poll() is None
    finally:
        served.kill()


def kill_part(served: Several, title: str) -> None:
    """Kill the process of this title that has lived for the longest time."""
    os.kill(min(served.parts(title)), signal.SIGKILL)


@pytest.mark.usefixtures("unsandboxed")
def test_machines_and_what_they_share_are_killed_in_turn(
    postgresql: PostgresqlServer, tmp_path: Path, kills: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    with contextlib.ExitStack() as stack:
        store = ObjectServer(tmp_path / "weed")
        stack.callback(store.close)
        database = postgresql.lend()
        stack.callback(postgresql.take_back, database)
        shared = {**store.environ, "ALGO_LOCAL_OBJECTS": store.url("kills"), "ALGO_LOCAL_METADATA": database}
        for name, value in shared.items():
            monkeypatch.setenv(name, value)
        key = made(tmp_path)
        copy_key(tmp_path / "one", tmp_path / "two")
        machines = [Machine(port, tmp_path / name) for port, name in zip(free_ports(2), ("one", "two"), strict=True)]
        for each in machines:
            stack.callback(each.end)
        crowd = Crowd([each.served.address for each in machines], key, tmp_path / "log", CLIENTS)
        one, other = machines
        parts = [lambda: terminate(postgresql, database), store.kill, one.kill, other.kill]
        kill_in_turn(crowd, parts, kills)


def copy_key(one: Path, other: Path) -> None:
    """Have two machines decrypt with one key, as the documentation says."""
    other.mkdir(mode=0o700)
    if (one / KEY_FILE).exists():
        shutil.copy(one / KEY_FILE, other / KEY_FILE)


def terminate(server: PostgresqlServer, database: str) -> None:
    """End all connections with a database, on the server's side."""
    with server.administration(database_of(database)) as connection:
        connection.execute(
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity"
            " WHERE datname = current_database() AND pid != pg_backend_pid()"
        )
