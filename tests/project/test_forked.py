"""Forked processes do what started ones do: the tests that count on `Home.run` may count on either."""

from __future__ import annotations

import os
import stat
import subprocess
from pathlib import Path

import pytest
from support import forked
from support.stub import StubPlatform

from algo_core.errors import ExitCode
from algo_core.testing import Home


def started(home: Home, *words: str, **options: object) -> object:
    """What the program does with the same words."""
    return forked._run(home, *words, **options)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("words", "content"),
    [
        (("--version",), b""),
        (("--help",), b""),
        (("config", "list", "--origin"), b""),
        (("ls", "data://.my/\udcffnone"), b""),
        (("--json", "cat", "data://.my/none"), b""),
        (("nonsense",), b""),
        (("run", "demo/Hello", "-d", "é\N{SNOWMAN}"), b""),
        (("run", "demo/Hello", "-D", "-"), b"\xff\x00"),
        (("auth", "--api-key-stdin"), b"nonsense"),
        (("cp", "-", "data://.my/none/f"), bytes(1 << 20)),
    ],
)
def test_they_say_and_return_the_same(algo_home: Home, words: tuple[str, ...], content: bytes) -> None:
    algo_home.environ |= {"LOGNAME": "jane", "ALGO_LOCAL_SANDBOX": "off"}
    algo_home.run("mkdir", ".my/c")
    assert forked._started, "it was forked"
    assert algo_home.run(*words, input=content) == started(algo_home, *words, input=content)


def test_directory_and_umask_are_those_that_are_asked_for(algo_home: Home, tmp_path: Path) -> None:
    work = tmp_path / "work"
    work.mkdir()
    before = os.umask(0o027)
    try:
        assert algo_home.run("mkdir", ".my/c").code == ExitCode.OK
        (work / "f").write_text("x")
        assert algo_home.run("cp", "f", ".my/c", cwd=work).code == ExitCode.OK
        assert algo_home.run("cp", ".my/c/f", "./h", cwd=work).code == ExitCode.OK
    finally:
        os.umask(before)
    assert stat.S_IMODE((work / "h").stat().st_mode) == 0o640
    assert algo_home.run("config", "get", "timeout", environ={"ALGO_TIMEOUT": "17"}).text == "17\n"


def test_what_decides_how_python_runs_starts_the_program(algo_home: Home, tmp_path: Path) -> None:
    (tmp_path / "sitecustomize.py").write_text("import sys\nsys.stderr.write('started')\n")
    assert "started" in algo_home.run("--version", environ={"PYTHONPATH": str(tmp_path)}).stderr


def test_what_takes_too_long_is_killed(algo_home: Home, stub: StubPlatform) -> None:
    stub.on("GET", "/v1/data/", lambda handler: handler.connection.recv(1))
    algo_home.environ |= {"ALGORITHMIA_API": stub.address, "ALGORITHMIA_API_KEY": "sim" + "k" * 25}
    with pytest.raises(subprocess.TimeoutExpired):
        algo_home.run("ls", timeout=0.5)
    assert algo_home.run("--version").code == ExitCode.OK
