"""Parts of a platform that many clients use are killed in turn, and come back as systemd or Kubernetes have them."""

from __future__ import annotations

import contextlib
import itertools
import os
import random
import shutil
import signal
import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from algo_local.opening import open_platform
from algo_local.state import KEY_FILE, State
from support.claims import TICKET, Crowd
from support.object_server import ObjectServer
from support.postgresql import PostgresqlServer, database_of
from support.several import Several

CLIENTS = 40
PROGRESS = 20
"""Acknowledgments after a kill that show that it goes on."""

Parts = Mapping[str, Callable[[], None]]
"""What kills a part, by name, and lets it come back."""


def kill_in_turn(crowd: Crowd, parts: Parts, kills: int) -> None:
    """Kill one part after the other, each once the clients have got on: by chance, or as something is acknowledged.

    Afterwards, everything that was acknowledged is there.
    """
    chance = random.Random(kills)
    with crowd.working():
        for number, (name, kill) in enumerate(itertools.islice(itertools.cycle(parts.items()), kills)):
            _progress(crowd)
            if crowd.problems:
                break
            if chance.random() < 0.5:
                time.sleep(chance.random() / 20)
            else:
                crowd.ledger.moment.clear()
                crowd.ledger.moment.wait(crowd.patience)
            kill()
            print(
                f"{time.strftime('%H:%M:%S')} {number + 1}: {name}; {crowd.ledger.count} acknowledged", file=sys.stderr
            )
        _progress(crowd)
    crowd.check()


def _progress(crowd: Crowd) -> None:
    before, ends = crowd.ledger.count, time.monotonic() + crowd.patience
    while crowd.ledger.count < before + PROGRESS and not crowd.problems:
        assert time.monotonic() < ends, "it did not go on"
        time.sleep(0.01)


@dataclass
class Machine:
    """A platform that is started again when it has died."""

    port: int
    root: Path
    options: Sequence[str] = ()
    served: Several = field(init=False)

    def __post_init__(self) -> None:
        self._start()

    def _start(self) -> None:
        environ = {**os.environ, "ALGO_LOCAL_ROOT": str(self.root)}
        self.served = Several("--port", str(self.port), *self.options, environ=environ)

    def kill(self) -> None:
        """Kill it; of several processes the parent, which all others depend on."""
        self.served.kill()
        self._start()

    def kill_part(self, title: str) -> None:
        """Kill the process of this title that has lived for the longest time; its parent starts another one."""
        os.kill(min(self.served.parts(title)), signal.SIGKILL)

    def end(self) -> None:
        self.served.kill()


@contextlib.contextmanager
def shared_state(base: Path, server: PostgresqlServer, monkeypatch: pytest.MonkeyPatch) -> Iterator[Parts]:
    """Have platforms keep their state in PostgreSQL and an object store; what kills these."""
    with contextlib.ExitStack() as stack:
        store = ObjectServer(base / "weed")
        stack.callback(store.close)
        database = server.lend()
        stack.callback(server.drop, database)
        shared = {**store.environ, "ALGO_LOCAL_OBJECTS": store.url("kills"), "ALGO_LOCAL_METADATA": database}
        for name, value in shared.items():
            monkeypatch.setenv(name, value)
        yield {
            "connections": lambda: terminate(server, database),
            "object store": store.kill,
            "database server": lambda: restart(server),
        }


def without_sandbox(base: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Algorithms that write into the directory of the test."""
    for name, value in {"SANDBOX": "off", "ROOT": str(base / "one")}.items():
        monkeypatch.setenv(f"ALGO_LOCAL_{name}", value)
    for name in ("CONFIG", "CACHE"):
        monkeypatch.setenv(f"ALGO_{name}_DIR", str(base / name))


def made(directory: Path) -> str:
    """A key of jane, whose platform has the algorithm of the clients; its state is where the environment says."""
    source = directory / "Ticket" / "src"
    source.mkdir(parents=True)
    (source / "__init__.py").touch()
    (source / "Ticket.py").write_text(TICKET)
    with contextlib.closing(open_platform(State.of())) as platform:
        platform.ensure_key()  # as the first machine that serves it does
        account = platform.metadata.ensure_account("jane")
        platform.publish(source.parent, "jane", "Ticket", "1.0.0")
        return platform.keys.create(account, "test")[1]


def copy_key(one: Path, other: Path) -> None:
    """Have two machines decrypt with one key, as the documentation says."""
    other.mkdir(mode=0o700)
    shutil.copy(one / KEY_FILE, other / KEY_FILE)


def terminate(server: PostgresqlServer, database: str) -> None:
    """End all connections with a database, on the server's side."""
    with server.administration(database_of(database)) as connection:
        connection.execute(
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity"
            " WHERE datname = current_database() AND pid != pg_backend_pid()"
        )


def restart(server: PostgresqlServer) -> None:
    """Stop a server as a crash does, and start it: it recovers what was committed."""
    server.stop()
    server.start()
