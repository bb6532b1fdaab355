"""`algo local top`: what happens now, from the record of calls; on a terminal renewed, elsewhere once."""

from __future__ import annotations

import json
import time
from collections.abc import Callable
from typing import Any

import pytest

from algo_core.errors import ExitCode
from algo_core.testing import Home
from algo_local.platform import Platform
from algo_local.records.activity import activity
from algo_local.records.record import Content, Record
from algo_local.records.rows import row_of, store


def put(platform: Platform, *records: Record) -> None:
    with platform.database.write() as rows:
        store(rows, [row_of(record) for record in records], [])


def call(number: int, age: float, seconds: float | None, state: str = "done", **members: Any) -> Record:
    """A call of one's own that began `age` seconds ago and took `seconds`."""
    began = time.time() - age
    record = Record(f"req-{number}", "jane", "id", "jane", members.pop("name", "Echo"), "1.0.0", began, state)
    record.input = Content("text", 1, "x")
    record.finished_at = None if seconds is None else began + seconds
    for name, value in members.items():
        setattr(record, name, value)
    return record


def test_calls_are_counted_by_version_within_the_window(platform: Platform) -> None:
    put(
        platform,
        *(call(number, 5.0, number / 10) for number in range(1, 11)),
        call(11, 5.0, 1.0, "failed"),
        call(12, 500.0, 499.0, name="Slow", worker="7"),
        call(13, 500.0, 1.0, name="Old"),
        call(14, 1.0, None, "queued", platform="p"),
        call(15, 1.0, None, "running", platform="p", worker="8"),
        call(16, 2.0, 1.0, worker="8"),
        call(17, 2.0, 1.0, worker="9"),
    )
    with platform.database.read() as rows:
        found = activity(rows, 100.0, {"7": 1000, "8": 500, "9": 0}.__getitem__).as_dict()
    echo, slow = found["versions"]
    assert (echo["version"], slow["version"]) == ("jane/Echo/1.0.0", "jane/Slow/1.0.0")
    assert (echo["queued"], echo["running"], echo["failed"], echo["workers"], echo["memory"]) == (1, 1, 1, 1, 500)
    assert echo["calls_per_second"] == 0.13
    assert [round(value, 3) for value in echo["latency"].values()] == [0.7, 1.0, 1.0]
    assert (slow["workers"], slow["memory"], round(slow["latency"]["p50"])) == (1, 1000, 499)
    assert (found["queued"], found["workers"], found["memory"], found["calls_per_second"]) == (1, 2, 1500, 0.14)


def test_a_running_worker_is_found_with_its_memory(embedded: Any, platform: Platform) -> None:
    embedded.run("demo/Hello")
    found = platform.records.read(lambda rows: activity(rows, 10.0)).as_dict()
    assert [(each["version"], each["workers"]) for each in found["versions"]] == [("demo/Hello/1.0.0", 1)]
    assert found["memory"] > 1 << 20
    platform.executor.close()
    assert platform.records.read(lambda rows: activity(rows, 10.0)).as_dict()["workers"] == 0


def test_without_a_terminal_it_is_shown_once(algo_home: Home) -> None:
    absent = algo_home.run("local", "top")
    assert (absent.code, "There is no platform in" in absent.stderr) == (ExitCode.NOT_FOUND, True)
    assert algo_home.run("local", "status").code == ExitCode.OK
    assert algo_home.run("local", "top").text.splitlines()[1:] == ["", "No calls"]
    assert algo_home.run("run", "demo/Hello", "-d", "x").code == ExitCode.OK
    done = algo_home.run("local", "top", "--window", "3600")
    assert done.code == ExitCode.OK, done.stderr
    head, _, names, row = done.text.splitlines()
    assert "0 waiting, 0 running" in head
    assert names.split()[:5] == ["Version", "Queue", "Running", "Workers", "Memory"]
    assert row.split()[:3] == ["demo/Hello/1.0.0", "0", "0"]
    found = algo_home.run("local", "top", "--window", "3600", "--json").json
    assert (found["window"], found["versions"][0]["version"]) == (3600, "demo/Hello/1.0.0")
    assert json.dumps(found["latency"])
    assert algo_home.run("local", "top", "--interval", "0").code == ExitCode.USAGE


@pytest.mark.parametrize(("ends_with", "code"), [("q", ExitCode.OK), ("\x03", ExitCode.INTERRUPTED)])
def test_on_a_terminal_it_is_renewed_and_fits_until_a_key_ends_it(
    algo_home: Home, spawn: Callable[..., Any], ends_with: str, code: int
) -> None:
    assert algo_home.run("run", "demo/Hello", "-d", "x").code == ExitCode.OK
    child = spawn(algo_home, "local", "top", "--interval", "0.1", "--window", "3600", TERM="xterm")
    child.expect_exact("\x1b[?1049h")
    child.expect_exact("demo/Hello/1.0.0")
    child.expect_exact("demo/Hello/1.0.0")
    child.setwinsize(3, 12)
    child.expect(r"\x1b\[H\d\d:\d\d:\d\d  0 \x1b\[K\r\n\x1b\[K\r\n\x1b\[J")
    child.send(ends_with)
    child.expect_exact("\x1b[?25h\x1b[?1049l")
    child.expect(r"$|\Z")
    child.wait()
    assert child.exitstatus == code
