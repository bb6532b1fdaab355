"""Passwords of the state's URLs: where they come from, and that nothing shows them."""

from __future__ import annotations

import json
import os
import re
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

import pytest
from support.postgresql import PostgresqlServer, database_of
from support.serving import Served, algo

from algo_core.errors import ExitCode
from algo_local.metadata.postgresql.database import PostgresqlDatabase

PASSWORD = f"quiet%2F{os.getpid()}"
"""No other process of the machine shows it."""


@pytest.fixture
def with_password(postgresql: PostgresqlServer, metadata_url: str) -> str:
    return metadata_url.replace("algo@", f"algo:{PASSWORD}@")


def shown_by_ps() -> bytes:
    """The command lines of all processes."""
    found = []
    for process in Path("/proc").glob("[0-9]*"):
        try:
            found.append((process / "cmdline").read_bytes())
        except OSError:
            continue  # it has ended
    return b"\n".join(found)


@pytest.mark.parametrize("metadata_url", ["postgresql"], indirect=True)
@pytest.mark.parametrize("options", [(), ("--processes", "2")])
def test_a_password_on_the_command_line_is_shown_nowhere(
    with_password: str, serve: Callable[..., Served], options: tuple[str, ...], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("ALGO_LOCAL_METADATA")
    served = serve("--log", "json", "--log-calls", "json", "--metadata", with_password, *options)
    assert b"local\0serve" in shown_by_ps()
    assert PASSWORD.encode() not in shown_by_ps()
    monkeypatch.setenv("ALGO_LOCAL_METADATA", with_password)
    said = [algo("--json", "local", "status"), algo("local", "status"), algo("-vv", "local", "key", "new", "jane")]
    assert all(done.returncode == ExitCode.OK for done in said), said
    assert not re.search("quiet(%2F|/)", "".join(done.stdout + done.stderr for done in said))
    assert json.loads(said[0].stdout)
    code, text = served.stop()
    assert (code, "quiet" in text + served.said()) == (ExitCode.OK, False)


@pytest.mark.parametrize("metadata_url", ["postgresql"], indirect=True)
def test_a_backup_does_not_hold_the_password(
    with_password: str, root: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("ALGO_LOCAL_METADATA", with_password)
    for command in (("backup", tmp_path / "b.tar"), ("migrate", "--to", tmp_path / "moved")):
        done = algo("local", *map(str, command))
        assert done.returncode == ExitCode.OK, done.stderr
        assert "quiet" not in done.stdout + done.stderr
    for path in (tmp_path / "b.tar", *(found for found in (tmp_path / "moved").rglob("*") if found.is_file())):
        assert PASSWORD.encode() not in path.read_bytes(), path


@pytest.mark.parametrize("metadata_url", ["postgresql"], indirect=True)
@pytest.mark.parametrize("url", ["postgresql:///?service=algo", "postgresql://"])
def test_a_service_names_the_database(
    metadata_url: str, postgresql: PostgresqlServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, url: str
) -> None:
    services = tmp_path / "services"
    services.write_text(f"[algo]\nhost={postgresql.directory}\ndbname={database_of(metadata_url)}\nuser=algo\n")
    monkeypatch.setenv("PGSERVICEFILE", str(services))
    if "service" not in url:
        monkeypatch.setenv("PGSERVICE", "algo")
    with closing(PostgresqlDatabase(url)) as database, database.read() as rows:
        assert rows.execute("SELECT current_database()").fetchone() == (database_of(metadata_url),)


@pytest.mark.parametrize("metadata_url", ["postgresql"], indirect=True)
def test_a_password_comes_from_where_libpq_finds_it(
    metadata_url: str, postgresql: PostgresqlServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with postgresql.administration(database_of(metadata_url)) as connection:
        connection.execute("CREATE ROLE sworn LOGIN SUPERUSER PASSWORD 'hush'")
        try:
            with postgresql.asking_for_passwords_of("sworn"):
                url = metadata_url.replace("algo@", "sworn@")
                kept = tmp_path / "pgpass"
                kept.write_text("*:*:*:sworn:hush\n")
                kept.chmod(0o600)
                for name, value in (("PGPASSWORD", "hush"), ("PGPASSFILE", str(kept))):
                    with monkeypatch.context() as patch:
                        patch.setenv(name, value)
                        with closing(PostgresqlDatabase(url)) as database, database.read() as rows:
                            assert rows.execute("SELECT current_user").fetchone() == ("sworn",)
                done = algo(
                    "local", "status", env={**os.environ, "ALGO_LOCAL_METADATA": url, "PGPASSWORD": "wrong hush"}
                )
                assert done.returncode == ExitCode.CONFIGURATION
                assert "password authentication failed" in done.stderr
                assert "hush" not in done.stderr
        finally:
            connection.execute("DROP ROLE sworn")
