"""`algo local backup` and `restore` as a person meets them."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

from algo_core.errors import ExitCode
from algo_core.testing import Home


@pytest.fixture
def used(algo_home: Home) -> Home:
    """A home whose platform has a file."""
    assert algo_home.run("mkdir", "data://.my/c").code == ExitCode.OK
    assert algo_home.run("cp", "-", "data://.my/c/f", input=b"content").code == ExitCode.OK
    return algo_home


def elsewhere(home: Home, name: str) -> dict[str, str]:
    return {"ALGO_LOCAL_ROOT": str(home.root / name)}


@pytest.mark.parametrize("target", ["b", "b.tar", "b.tgz", "new/b.tar.gz"])
def test_there_and_back(used: Home, target: str) -> None:
    done = json.loads(used.run("local", "backup", target, "--json").text)
    assert (done["place"], done["files"], done["secrets"]) == (str(used.root / target), 5, True)
    checked = json.loads(used.run("--json", "local", "restore", target, "-n").text)
    assert checked["digest"] == done["digest"]
    result = used.run("local", "restore", target, "--digest", done["digest"], environ=elsewhere(used, "p"))
    assert result.code == ExitCode.OK, result.stderr
    assert done["digest"] in result.stderr
    assert used.run("cat", "data://.my/c/f", environ=elsewhere(used, "p")).text == "content"
    again = used.run("local", "backup", target)
    assert again.code == ExitCode.OK, again.stderr


def test_through_a_pipe(used: Home) -> None:
    stream = used.run("local", "backup", "-").stdout
    result = used.run("local", "restore", "-", input=stream, environ=elsewhere(used, "p"))
    assert result.code == ExitCode.OK, result.stderr
    assert used.run("cat", "data://.my/c/f", environ=elsewhere(used, "p")).text == "content"
    result = used.run("local", "restore", "-", input=stream[:-5000], environ=elsewhere(used, "q"))
    assert result.code == ExitCode.FAILURE
    assert "incomplete" in result.stderr
    assert not (used.root / "q").exists()


def test_a_reader_that_goes_away(used: Home) -> None:
    assert used.run("cp", "-", "data://.my/c/large", input=bytes(300_000)).code == ExitCode.OK
    with subprocess.Popen(used.command("local", "backup", "-"), stdout=subprocess.PIPE, env=used.environ) as started:
        assert started.stdout
        started.stdout.read(10)
        started.stdout.close()
    assert started.returncode == ExitCode.BROKEN_PIPE


def test_what_is_refused(used: Home) -> None:
    (used.root / "mine.tar").write_text("mine")
    (used.root / "full").mkdir()
    (used.root / "full" / "mine").touch()
    (used.root / "file").write_text("mine")
    (used.root / "b").mkdir()
    for words, code, told in (
        (("backup", "mine.tar"), ExitCode.USAGE, "not a backup"),
        (("backup", "full"), ExitCode.USAGE, "do not belong"),
        (("backup", "file"), ExitCode.USAGE, "is a file"),
        (("backup", used.root / "local" / "data" / "b"), ExitCode.USAGE, "inside the platform"),
        (("backup", "-", "--json"), ExitCode.USAGE, "--json"),
        (("backup", "file/b.tar"), ExitCode.PLATFORM, "could not be written"),
        (("restore", "nowhere"), ExitCode.NOT_FOUND, "does not exist"),
        (("restore", "b", "--replace"), ExitCode.FAILURE, "no manifest"),
        (("restore", "file", "--replace"), ExitCode.FAILURE, "incomplete"),
        (("restore", "mine.tar"), ExitCode.FAILURE, "already"),
    ):
        result = used.run("local", *words)
        assert (result.code, told in result.stderr) == (code, True), (words, result.stderr)
        assert "Traceback" not in result.stderr
    assert (used.root / "mine.tar").read_text() == (used.root / "file").read_text() == "mine"
    assert used.run("cat", "data://.my/c/f").text == "content"
    nothing = used.run("local", "backup", "b", environ=elsewhere(used, "nowhere"))
    assert nothing.code == ExitCode.NOT_FOUND
    assert not (used.root / "nowhere").exists()


def test_on_a_terminal(used: Home, on_terminal: Callable[..., tuple[int, str]]) -> None:
    code, shown = on_terminal(used, "local", "backup", "-")
    assert code == ExitCode.USAGE
    assert "terminal" in shown
    code, shown = on_terminal(used, "local", "restore", "-")
    assert code == ExitCode.USAGE


def test_secrets_that_are_left_out_are_told(used: Home, tmp_path: Path) -> None:
    assert used.run("local", "backup", "b.tar", "--without-secrets").code == ExitCode.OK
    assert b"secrets.key" not in (used.root / "b.tar").read_bytes()
    result = used.run("local", "restore", "b.tar", environ=elsewhere(used, "p"))
    assert "secrets.key" in result.stderr
