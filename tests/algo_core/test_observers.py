"""Observers are told everything, in order, and can neither fail nor slow a command."""

from __future__ import annotations

import json
import sys
import threading
import time
from pathlib import Path
from typing import Any

import pytest

from algo_core import observers as module
from algo_core.errors import ExitCode
from algo_core.events import CommandStarted, Event
from algo_core.observers import Observers
from algo_core.testing import FakePlatform, FakeResponse, Home

LOGGER = """
import json, os
from algo_core import hookimpl

@hookimpl
def algo_observe(event):
    {first}
    with open(os.environ["AUDIT"], "a") as log:
        log.write(json.dumps({{"event": type(event).__name__, **event._asdict()}}) + "\\n")
"""


@pytest.fixture
def audit(algo_home: Home, plugin_folder, tmp_path: Path):  # type: ignore[no-untyped-def]
    """Runs a command with an observer; its result, and what that was told."""

    def run(*words: str | Path, first: str = "pass", **environ: str) -> tuple[Any, list[dict[str, Any]]]:
        log = tmp_path / "audit.jsonl"
        log.write_text("")
        plugin_folder.add("acme", LOGGER.format(first=first))
        result = algo_home.run(*words, environ={"PYTHONPATH": str(plugin_folder.path), "AUDIT": str(log), **environ})
        return result, [json.loads(line) for line in log.read_text().splitlines()]

    return run


def test_a_command_and_its_requests_are_told(audit) -> None:  # type: ignore[no-untyped-def]
    result, told = audit("run", "demo/Hello", "-d", "secret input")
    assert result.code == ExitCode.OK, result.stderr
    assert [event["event"] for event in told] == ["CommandStarted", "RequestEnded", "CommandEnded"]
    started, request, ended = told
    assert (started["command"], ended["command"], ended["exit_code"]) == ("run", "run", 0)
    assert (request["method"], request["url"], request["status"]) == ("POST", "local:/v1/algo/demo/Hello", 200)
    assert request["sent"] == len("secret input")
    assert "secret input" not in json.dumps(told)
    assert abs(time.time() - ended["time"]) < 3600


@pytest.mark.parametrize(
    ("words", "command", "code"),
    [
        (("config", "list"), "config list", ExitCode.OK),
        (("ls", ".my/nothing"), "ls", ExitCode.NOT_FOUND),
        (("local", "status"), "local status", ExitCode.OK),
        (("ls", "--nonsense"), None, ExitCode.USAGE),
        (("--help",), None, ExitCode.OK),
    ],
)
def test_a_command_is_told_by_its_whole_name_and_exit_code(audit, words, command, code) -> None:  # type: ignore[no-untyped-def]
    result, told = audit(*words)
    ended = [(event["command"], event["exit_code"]) for event in told if event["event"] == "CommandEnded"]
    assert (result.code, ended) == (code, [(command, code)] if command else [])


@pytest.mark.parametrize("command", ["cp", "mv"])
@pytest.mark.parametrize("failure", [403, 401, 500])
@pytest.mark.parametrize("names", [["a"], ["a", "b"]])
def test_a_transfer_that_failed_is_told_even_if_it_ends_the_command(
    audit, algo_fake_platform: FakePlatform, tmp_path: Path, command: str, failure: int, names: list[str]
) -> None:
    algo_fake_platform.on("HEAD", "/v1/data/.my/c", FakeResponse(200, headers={"X-Data-Type": "directory"}))
    for name in names:
        (tmp_path / name).write_text(name)
        algo_fake_platform.on("PUT", f"/v1/data/.my/c/{name}", FakeResponse.error("No", failure))
    result, told = audit(command, *(tmp_path / name for name in names), "data://.my/c", ALGO_RETRIES="0")
    assert result.code != ExitCode.OK
    ended = {(event["source"], event["target"], event["error"]) for event in told if event["event"] == "TransferEnded"}
    wanted = {(str(tmp_path / name), f"data://.my/c/{name}") for name in names}
    assert {event[:2] for event in ended} <= wanted
    assert ended if failure == 401 else {event[:2] for event in ended} == wanted
    assert all("No" in error for *_, error in ended)


def test_an_observer_that_fails_is_reported_once_and_the_command_goes_on(audit) -> None:  # type: ignore[no-untyped-def]
    result, told = audit("ls", first="raise SystemExit('no')")
    assert (result.code, told) == (ExitCode.OK, [])
    assert result.stderr.count("acme 1.0 failed in algo_observe") == 1


@pytest.mark.parametrize(
    "first", ["print('seen')", "import sys; sys.stdout.write('seen')", "import sys; sys.stdout.buffer.write(b'seen')"]
)
@pytest.mark.parametrize("words", [("run", "demo/Hello", "-d", "x"), ("ls", "--json")])
def test_what_an_observer_prints_is_no_output_of_the_command(audit, algo_home: Home, words, first: str) -> None:  # type: ignore[no-untyped-def]
    plain = algo_home.run(*words)
    result, told = audit(*words, first=first)
    assert (result.code, result.stdout) == (plain.code, plain.stdout)
    assert result.stderr.count("seen") == len(told) > 0


def test_standard_output_is_as_before_when_observers_have_ended() -> None:
    before = sys.stdout
    thread = Observers(lambda event: None, pytest.fail)
    assert sys.stdout is not before
    thread.close()
    assert sys.stdout is before


def test_nothing_is_begun_without_observers(algo_home: Home) -> None:
    code = "import sys; sys.argv = ['algo', 'ls']\nfrom algo_core.main import run\nrun(['ls'])\n"
    code += "assert 'algo_core.observers' not in sys.modules and 'algo_core.events' not in sys.modules"
    import subprocess

    assert subprocess.run([sys.executable, "-c", code], env=algo_home.environ, capture_output=True).returncode == 0


def started(number: int) -> CommandStarted:
    return CommandStarted(str(number), 0.0)


def test_all_are_told_in_order_before_the_end() -> None:
    told: list[Event] = []
    thread = Observers(told.append, pytest.fail)
    events = [started(number) for number in range(5000)]
    for event in events:
        thread.put(event)
    thread.close()
    assert told == events


def test_what_does_not_fit_is_dropped_with_one_warning(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "MOST_WAITING", 10)
    may_go_on, told, warned = threading.Event(), [], []  # type: ignore[var-annotated]

    def slow(event: Event) -> None:
        may_go_on.wait(60)
        told.append(event)

    thread = Observers(slow, warned.append)
    for number in range(1000):
        thread.put(started(number))
    may_go_on.set()
    thread.close()
    assert 10 <= len(told) <= 11
    assert warned == [f"observers were too slow: {1000 - len(told)} events were dropped"]


def test_an_observer_that_hangs_does_not_keep_the_command(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "LAST_SECONDS", 0.1)
    never, warned = threading.Event(), []  # type: ignore[var-annotated]
    thread = Observers(lambda event: never.wait(60), warned.append)
    thread.put(started(1))
    thread.put(started(2))
    thread.close()
    assert len(warned) == 1
    never.set()
    thread.join(60)


def test_no_observer_runs_while_the_lock_is_held() -> None:
    told: list[Event] = []
    thread = Observers(told.append, pytest.fail)
    with thread.fork_lock:
        thread.put(started(1))
        time.sleep(3 * module.INTERVAL)
        assert told == []
    thread.close()
    assert told == [started(1)]
