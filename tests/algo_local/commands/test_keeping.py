"""Algorithms that stay loaded between commands, as a person at a terminal meets them."""

from __future__ import annotations

import os
import re
import signal
import sqlite3
import subprocess
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest
from support.sandbox import running_with, wait_until

from algo_core.errors import ExitCode
from algo_core.testing import Home, Result
from algo_local.execution.workers.keeper import Keeper

CODE = """
import os, sys, time
print("loading")
def apply(input):
    print("got", input)
    if input == "raise":
        raise ValueError("no")
    if input == "exit":
        sys.exit(3)
    if input == "hold":
        sys.stdout.flush()
        time.sleep(600)
    return {"input": input} if input != "bytes" else b"\\xff"
"""
KEEPING = {"ALGO_LOCAL_KEEP_SECONDS": "60"}
CALLS = (
    ["-d", "x"],
    ["-d", "x", "--json"],
    ["-d", "x", "--debug"],
    ["-d", "bytes"],
    ["-d", "raise"],
    ["-d", "exit", "--json"],
    ["-d", "x", "--timeout", "-1"],
)


@pytest.fixture
def home(algo_home: Home, tmp_path: Path) -> Iterator[Home]:
    """A home with an algorithm of its own account, published."""
    source = tmp_path / "source" / "src"
    source.mkdir(parents=True)
    source.joinpath("__init__.py").touch()
    source.joinpath("Talk.py").write_text(CODE)
    algo_home.environ["LOGNAME"] = "jane"
    done = algo_home.run("local", "publish", source.parent, "jane/Talk", "--version", "1.0.0")
    assert done.code == ExitCode.OK, done
    yield algo_home
    keeper_of(algo_home).stop()


def keeper_of(home: Home) -> Keeper:
    return Keeper(home.root / "local", 60.0)


def call(home: Home, *words: str, **environ: str) -> Result:
    return home.run("run", "jane/Talk", *words, environ={**KEEPING, **environ})


def workers(home: Home) -> list[int]:
    found = home.run("local", "status", "--json").json["keeper"]
    return [worker["process"] for worker in found["workers"]] if found else []


def told(result: Result) -> tuple[object, ...]:
    """All that a person sees, without what differs from call to call."""
    return tuple(
        re.sub(r"req-[0-9a-f-]+|p-\w{8}|\d+\.\d+|Using the embedded.*\n", "", text)
        for text in (str(result.code), result.text if result.stdout.isascii() else repr(result.stdout), result.stderr)
    )


def records(home: Home) -> list[str]:
    """What is on record of all calls, oldest first."""
    with closing(sqlite3.connect(home.root / "local" / "platform.sqlite3")) as database:
        query = "SELECT state, version, input_digest, output_digest, printed, error FROM requests ORDER BY created_at"
        return [re.sub(r"p-\w{8}", "p-", repr(row)) for row in database.execute(query)]


def test_a_person_sees_no_difference(home: Home) -> None:
    cold = [told(call(home, *words, ALGO_LOCAL_KEEP_SECONDS="0")) for words in CALLS]
    recorded = records(home)
    assert workers(home) == []
    call(home, "-d", "x")
    assert len(workers(home)) == 1
    warm = [told(call(home, *words)) for words in CALLS]
    assert warm == cold
    assert records(home)[len(recorded) + 1 :] == recorded


def test_status_shows_the_keeper_and_stop_ends_it(home: Home) -> None:
    assert home.run("local", "stop").text == "No keeper is running\n"
    assert home.run("local", "stop", "--json").json == {"stopped": False, "workers": 0}
    call(home, "-d", "x")
    status = home.run("local", "status").text
    assert re.search(r"^Keeper: process \d+, running for \d+ s$", status, re.MULTILINE)
    assert re.search(r"^jane/Talk +\w{10} +\d+ +1 +\d+ s +\d+ MB +\d+ s$", status, re.MULTILINE)
    assert home.run("local", "stop").text == "Ended the keeper and 1 worker\n"
    call(home, "-d", "x")
    assert home.run("local", "stop", "--json").json == {"stopped": True, "workers": 1}
    assert not list(home.root.glob("local/processes/p-*"))
    call(home, "-d", "x", ALGO_LOCAL_KEEP_SECONDS="", CI="1")
    assert workers(home) == [], "nothing is kept where CI is set"


def test_reset_ends_it_as_well(home: Home) -> None:
    call(home, "-d", "x")
    (worker,) = workers(home)
    assert home.run("local", "reset", "--yes").code == ExitCode.OK
    assert not Path(f"/proc/{worker}").exists() or wait_until(lambda: not running(worker))
    assert not (home.root / "local").exists()


def running(pid: int) -> bool:
    from algo_local.execution.workers.process_tree import is_running

    return is_running(pid)


def test_a_new_version_and_a_new_secret_are_answered_by_new_workers(home: Home) -> None:
    call(home, "-d", "x")
    first = workers(home)
    source = home.root.parent / "source"
    (source / "src" / "Talk.py").write_text("def apply(input):\n    return 'new'\n")
    assert home.run("local", "publish", source, "jane/Talk", "--version", "1.1.0").code == ExitCode.OK
    assert call(home, "-d", "x").text == "new\n"
    assert len(workers(home)) == 2
    assert call(home, "-d", "x").text == "new\n"
    assert set(first) < set(workers(home))


def test_no_stream_of_a_command_stays_open(home: Home) -> None:
    """Neither its own nor one that its shell has opened for it."""
    read, write = os.pipe()
    os.set_inheritable(write, True)
    with subprocess.Popen(
        home.command("run", "jane/Talk", "-d", "x"),
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        env={**home.environ, **KEEPING},
        pass_fds=[write],
    ) as process:
        os.close(write)
        assert process.stdout
        assert process.stdout.read().endswith(b'{"input": "x"}\n')
        assert os.read(read, 1) == b""
    os.close(read)
    assert len(workers(home)) == 1


def test_a_command_that_is_killed_takes_its_worker_along(home: Home) -> None:
    call(home, "-d", "x")
    (worker,) = workers(home)
    process = subprocess.Popen(
        home.command("run", "jane/Talk", "-d", "hold"), env={**home.environ, **KEEPING}, stdout=subprocess.DEVNULL
    )
    assert wait_until(lambda: not workers(home)), "it has been taken"
    process.send_signal(signal.SIGKILL)
    process.wait()
    assert wait_until(lambda: not running(worker))
    assert running_with(str(home.root / "local" / "processes")) == []
    assert call(home, "-d", "x").code == ExitCode.OK
    assert wait_until(lambda: len(list(home.root.glob("local/processes/p-*"))) == 1), "what was left is removed"
