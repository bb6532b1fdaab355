"""Jane at work: a real log-in, tokens that run out under way, and a gateway that wants certificate, token and signature."""

from __future__ import annotations

import json
import stat
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from acme_servers import Gateway, LoginProvider
from support.environments import Environment

from algo_core.errors import ExitCode
from algo_core.testing import SECONDS, Home

FILES = 40
LIVES_FOR = 20
"""Requests after which the gateway refuses a token."""


@pytest.fixture(scope="module")
def laptop(
    acme_environment: Environment, acme_table: str, log_in: Any, tmp_path_factory: pytest.TempPathFactory
) -> Home:
    """A home with a log-in of its own, whose tokens may be used up."""
    home = Home(tmp_path_factory.mktemp("laptop") / "home", program=acme_environment.bin / "algo")
    home.write_site_config(acme_table)
    log_in(home)
    return home


@pytest.fixture
def short_lived(gateway: Gateway) -> Iterator[Gateway]:
    gateway.lives_for = LIVES_FOR
    yield gateway
    gateway.lives_for = None


def session(home: Home) -> dict[str, Any]:
    kept: dict[str, Any] = json.loads((home.root / ".acme" / "session.json").read_text())
    return kept


def test_copies_outlive_their_tokens_in_all_threads_and_processes(
    laptop: Home, short_lived: Gateway, provider: LoginProvider, tmp_path: Path
) -> None:
    assert laptop.run("mkdir", ".my/many").code == ExitCode.OK
    running, before, used = [], provider.count("refresh_token"), short_lived.used.total()
    for name in ("a", "b"):
        (tmp_path / name).mkdir()
        for number in range(FILES):
            (tmp_path / name / f"{name}{number}").write_text(f"{name} {number}")
        command = laptop.command("cp", *map(str, (tmp_path / name).iterdir()), "data://.my/many")
        running.append(subprocess.Popen(command, env=laptop.environ, stderr=subprocess.PIPE, text=True))
    for process in running:
        said = process.communicate(timeout=SECONDS)[1]
        assert process.returncode == ExitCode.OK, said
    back = tmp_path / "back"
    back.mkdir()
    copied = laptop.run("cp", "data://.my/many/*", back)
    assert copied.code == ExitCode.OK, copied.stderr
    found = {path.name: path.read_text() for path in back.iterdir()}
    assert found == {f"{name}{number}": f"{name} {number}" for name in "ab" for number in range(FILES)}
    requests = short_lived.used.total() - used
    renewed = provider.count("refresh_token") - before
    assert requests / (2 * LIVES_FOR) <= renewed <= requests / LIVES_FOR + 3
    assert provider.notes[-1]["error"] is None


@pytest.mark.parametrize(
    ("member", "value", "exit_code", "said"),
    [
        ("client_cert", "", ExitCode.NETWORK, "client_cert"),
        ("signing_key", "", ExitCode.AUTHENTICATION, "the signature is wrong"),
        ("signing_key", "another", ExitCode.AUTHENTICATION, "the signature is wrong"),
        ("signing_key", "/nowhere", ExitCode.AUTHENTICATION, "Cannot read the signing key /nowhere"),
    ],
)
def test_a_machine_that_lacks_something_gets_nothing(
    laptop: Home, acme_table: str, tmp_path: Path, member: str, value: str, exit_code: ExitCode, said: str
) -> None:
    if value == "another":
        value = str(tmp_path / "another.key")
        Path(value).write_text("not Acme's")
    members = [line for line in acme_table.splitlines() if not line.startswith(member)]
    laptop.write_site_config("\n".join([*members, f'{member} = "{value}"']))
    try:
        result = laptop.run("ls")
    finally:
        laptop.write_site_config(acme_table)
    assert (result.code, result.text) == (exit_code, "")
    assert said in result.stderr


def test_whoever_has_left_is_told_to_log_in_again(somebody: Home, log_in: Any, provider: LoginProvider) -> None:
    log_in(somebody)
    for token in ("refresh_token", "access_token"):
        provider.revoke(session(somebody)[token])
    result = somebody.run("ls")
    assert result.code == ExitCode.AUTHENTICATION
    assert "hint: Log in with: algo acme login\n" in result.stderr.replace("      Log", "hint: Log")
    assert not (somebody.root / ".acme" / "session.json").exists()


def test_the_audit_log_has_whole_lines_of_all_processes_and_no_secret(laptop: Home, tmp_path: Path) -> None:
    log = laptop.root / "acme-audit.jsonl"
    log.unlink(missing_ok=True)
    (tmp_path / "file").write_text("the file's content")
    commands = [laptop.command("cp", str(tmp_path / "file"), f"acme://audited{n}.txt") for n in range(4)]
    running = [subprocess.Popen(command, env=laptop.environ, stdout=subprocess.DEVNULL) for command in commands]
    assert [process.wait(SECONDS) for process in running] == [ExitCode.OK] * 4
    text = log.read_text()
    events = [json.loads(line) for line in text.splitlines()]
    assert text.endswith("\n")
    assert stat.S_IMODE(log.stat().st_mode) == 0o600
    assert {event["process"] for event in events} == {process.pid for process in running}
    for number, process in enumerate(running):
        told = [event for event in events if event["process"] == process.pid]
        assert [event["event"] for event in told] == ["CommandStarted", "TransferEnded", "CommandEnded"]
        assert [event["at"] for event in told] == sorted(event["at"] for event in told)
        assert (told[1]["target"], told[1]["size"]) == (f"acme://audited{number}.txt", 18)
        assert told[2]["exit_code"] == ExitCode.OK
    kept = session(laptop)
    for secret in (kept["access_token"], kept["refresh_token"], "the file's content"):
        assert secret not in text


def test_two_distributions_share_a_group_and_a_table(laptop: Home, archive: Any, tmp_path: Path) -> None:
    shown = laptop.run("acme", "--help").text
    assert [word for word in ("jobs", "login", "logout") if f"\n  {word} " in shown] == ["jobs", "login", "logout"]
    for queue in ("short", "long"):
        (archive.directory / "queues" / queue).mkdir(parents=True, exist_ok=True)
    (tmp_path / "march.csv").write_text("day,sum\n")
    done = laptop.run("acme", "jobs", "submit", tmp_path / "march.csv", "--json")
    assert (done.code, done.json["queue"]) == (ExitCode.OK, "acme://queues/short"), done.stderr
    listed = laptop.run("acme", "jobs", "list", "--json").json
    assert listed == [{"file": "march.csv", "bytes": 8}]
    assert laptop.run("config", "set", "acme.queue", "longer").code == ExitCode.CONFIGURATION
    assert laptop.run("config", "set", "acme.queue", "long").code == ExitCode.OK
    assert laptop.run("acme", "jobs", "list", "--json").json == []
    rows = {row["key"]: row for row in laptop.run("config", "list", "--json").json}
    assert (rows["acme.queue"]["value"], rows["acme.issuer"]["origin"]) == ("long", str(laptop.site_file))
    assert laptop.run("acme", "jobs", "submit", tmp_path / "nothing").code == ExitCode.NOT_FOUND
