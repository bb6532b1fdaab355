"""Whatever is printed on lines is written in whole lines: what runs beside it cannot come between a line and its end.

Standard output is a socket that keeps each write apart from the next.
"""

from __future__ import annotations

import json
import os
import socket
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from algo_core.errors import ExitCode
from algo_core.testing import Home

LONG = "ä" * 3000 + "x" * 9000

ECHO = """
def apply(input):
    kind, _, count = input.partition(" ")
    text = "ä" * (int(count) // 2)
    return {"text": text, "json": [text, 1], "lines": "\\n".join([text] * 3)}[kind]
"""


@pytest.fixture(scope="module")
def filled(tmp_path_factory: pytest.TempPathFactory, algo_index_cache: Path) -> Home:
    """A home with an algorithm, and a collection of long names."""
    home = Home(tmp_path_factory.mktemp("writes") / "home", cache=algo_index_cache)
    source = home.root / "Echo"
    (source / "src").mkdir(parents=True)
    (source / "src" / "Echo.py").write_text(ECHO)
    for words in (["local", "publish", source, "demo/Echo", "--version", "1.0.0"], ["mkdir", ".my/c"]):
        assert home.run(*words).code == ExitCode.OK
    directory = home.root / "many"
    directory.mkdir()
    for number in range(150):
        (directory / f"{number:03}-{'ü' * (number % 3) * 20}{'n' * 60}").write_text("x")
    assert home.run("cp", *directory.iterdir(), "data://.my/c").code == ExitCode.OK
    return home


@pytest.fixture(params=["", "1"], ids=["buffered", "unbuffered"])
def unbuffered(request: pytest.FixtureRequest) -> str:
    """Whether Python keeps nothing back (PYTHONUNBUFFERED), as in most containers."""
    return str(request.param)


def writes(home: Home, unbuffered: str, *words: str | Path) -> Iterator[bytes]:
    near, far = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    for end in (near, far):
        end.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 1 << 20)
    environ = {**home.environ, **({"PYTHONUNBUFFERED": "1"} if unbuffered else {})}
    with near, subprocess.Popen(home.command(*words), stdout=far, env=environ, cwd=home.root) as process:
        far.close()
        empty = 0  # an unbuffered stream writes nothing at times; at the end there is nothing for ever
        while empty < 5:
            part = near.recv(1 << 20)
            empty = 0 if part else empty + 1
            if part:
                yield part
    assert process.returncode == ExitCode.OK, words


COMMANDS = {
    "text": ("run", "demo/Echo", "-t", "text 10"),
    "longer than a pipe takes": ("run", "demo/Echo", "-t", "text 5000"),
    "longer than a buffer": ("run", "demo/Echo", "-t", "text 90000"),
    "several lines": ("run", "demo/Echo", "-t", "lines 3000"),
    "json": ("run", "demo/Echo", "-t", "json 10"),
    "long json": ("run", "demo/Echo", "-t", "json 20000"),
    "envelope": ("run", "demo/Echo", "-t", "json 9000", "--json"),
    "void": ("run", "demo/Echo", "-t", "text 1", "--void"),
    "ls": ("ls", ".my/c"),
    "ls -l": ("ls", "-l", ".my/c"),
    "ls -R": ("ls", "-R", ".my/c"),
    "ls --json": ("ls", "--json", ".my/c"),
    "local ls": ("ls", "-l", "./many"),
    "du": ("du", ".my/c", "./many"),
    "stat": ("stat", ".my/c", "./many"),
    "cp": ("cp", "-r", "data://.my/c", "./copies"),
    "rm": ("rm", "--dry-run", "-r", ".my/c"),
    "config": ("config", "list", "--origin"),
    "config as JSON": ("config", "list", "--json"),
    "profile": ("profile", "show"),
    "plugins": ("plugins", "list"),
    "languages": ("languages",),
    "environment": ("environment", "python3"),
    "help": ("--help",),
    "topic": ("help", "exit-codes"),
    "completion": ("completion", "bash"),
    "version": ("--version",),
    "status": ("local", "status"),
    "keys": ("local", "key", "list"),
}


@pytest.mark.parametrize("words", COMMANDS.values(), ids=COMMANDS)
def test_every_write_ends_with_a_line(filled: Home, unbuffered: str, words: tuple[str, ...]) -> None:
    parts = list(writes(filled, unbuffered, *words))
    assert parts or words[0] in {"rm", "local"}
    for part in parts:
        assert part.endswith(b"\n"), part[-200:]
    if words[0] == "run":
        assert len(parts) == 1
    if words[0] == "ls":
        assert all(len(part) <= 4096 for part in parts)
        assert len(b"".join(parts).splitlines()) >= 150


def test_many_at_once_into_one_pipe_keep_their_lines(filled: Home) -> None:
    """`seq 40 | xargs -P10 ... | cat`."""
    algo = filled.command()[0]
    script = f'seq 24 | xargs -P8 -I{{}} {algo} run demo/Echo -t "lines 1{{}}" | cat'
    done = subprocess.run(["sh", "-c", script], env=filled.environ | {"PYTHONUNBUFFERED": "1"}, capture_output=True)
    lines = sorted(done.stdout.decode().splitlines(), key=len)
    assert lines == sorted(["ä" * (int(f"1{n}") // 2) for n in range(1, 25) for _ in range(3)], key=len)


def test_what_goes_into_a_file_is_the_same(filled: Home, unbuffered: str, tmp_path: Path) -> None:
    with (tmp_path / "out").open("wb") as file:
        environ = filled.environ | ({"PYTHONUNBUFFERED": "1"} if unbuffered else {})
        subprocess.run(filled.command("ls", "--json", ".my/c"), stdout=file, env=environ, check=True)
    found = json.loads((tmp_path / "out").read_bytes())
    assert len(found) == 150 == len(os.listdir(filled.root / "many"))
