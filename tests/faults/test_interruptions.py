"""Ctrl-C, a request to end, and SIGKILL, at every moment of a transfer."""

from __future__ import annotations

import os
import signal
from collections.abc import Callable
from pathlib import Path

import pytest
from faults.matrix import DIRECT, REQUESTS
from faults.proxy import FaultProxy
from faults.scene import CONTENT, Collection, Running, When

from algo_core.errors import ExitCode
from algo_core.testing import Home

OLDER = b"older"

on_two_ways = pytest.mark.parametrize("way", [DIRECT, REQUESTS], indirect=True)
directly = pytest.mark.parametrize("way", [DIRECT], indirect=True)
at_every_moment = pytest.mark.parametrize("moment", ["asked", "halfway"])
by_every_signal = pytest.mark.parametrize(
    ("number", "code"),
    [(signal.SIGINT, ExitCode.INTERRUPTED), (signal.SIGTERM, ExitCode.TERMINATED), (signal.SIGKILL, -9)],
    ids=["INT", "TERM", "KILL"],
)


def stopped(running: Running, moment: When, number: signal.Signals, code: int) -> None:
    moment.wait()
    running.send(number)
    result = running.result()
    moment.go_on()
    assert result.code == code
    assert "Traceback" not in result.stderr
    assert "Exception" not in result.stderr
    assert result.stdout == b""


@on_two_ways
@at_every_moment
@by_every_signal
def test_a_download_that_is_stopped(
    start: Callable[..., Running],
    algo: Home,
    proxy: FaultProxy,
    collection: Collection,
    older: Path,
    moment: str,
    number: signal.Signals,
    code: int,
) -> None:
    remote = collection.put("f", CONTENT)
    when = When(proxy, "GET", "/f", moment)
    stopped(start("cp", remote, older), when, number, code)
    assert older.read_bytes() == OLDER
    if number != signal.SIGKILL:
        assert os.listdir(older.parent) == ["f"]
    assert algo.run("cp", remote, older).code == ExitCode.OK
    assert older.read_bytes() == CONTENT
    assert os.listdir(older.parent) == ["f"]


@on_two_ways
@at_every_moment
@by_every_signal
def test_an_upload_that_is_stopped(
    start: Callable[..., Running],
    algo: Home,
    proxy: FaultProxy,
    collection: Collection,
    work: Path,
    moment: str,
    number: signal.Signals,
    code: int,
) -> None:
    content = CONTENT * 8
    remote = collection.put("f", OLDER)
    (work / "f").write_bytes(content)
    when = When(proxy, "PUT", "/f", moment)
    stopped(start("cp", work / "f", remote), when, number, code)
    assert collection.get("f") == OLDER
    assert algo.run("cp", work / "f", remote).code == ExitCode.OK
    assert collection.get("f") == content


@directly
@by_every_signal
def test_many_downloads_that_are_stopped(
    start: Callable[..., Running],
    algo: Home,
    proxy: FaultProxy,
    collection: Collection,
    work: Path,
    number: signal.Signals,
    code: int,
) -> None:
    contents = {f"f{n:02}": CONTENT[: n * 10_000] for n in range(60)}
    for name, content in contents.items():
        collection.put(name, content)
    when = When(proxy, "GET", "", "asked", 30)
    running = start("cp", f"{collection.uri}/*", work)
    when.wait()
    running.send(number)
    result = running.result()
    when.go_on()
    assert result.code == code
    assert "Traceback" not in result.stderr
    there = {name: (work / name).read_bytes() for name in os.listdir(work) if not name.startswith(".")}
    assert all(contents[name] == content for name, content in there.items())
    assert 0 < len(there) < len(contents)
    if number != signal.SIGKILL:
        assert sorted(os.listdir(work)) == sorted(there)
    assert algo.run("cp", f"{collection.uri}/*", work).code == ExitCode.OK
    assert {name: (work / name).read_bytes() for name in os.listdir(work)} == contents


@directly
@by_every_signal
def test_many_uploads_that_are_stopped(
    start: Callable[..., Running],
    algo: Home,
    proxy: FaultProxy,
    collection: Collection,
    work: Path,
    number: signal.Signals,
    code: int,
) -> None:
    contents = {f"f{n:02}": CONTENT[: n * 10_000] for n in range(60)}
    for name, content in contents.items():
        (work / name).write_bytes(content)
    when = When(proxy, "PUT", "", "asked", 30)
    files = [work / name for name in contents]
    running = start("cp", *files, collection.uri)
    when.wait()
    running.send(number)
    result = running.result()
    when.go_on()
    assert result.code == code
    assert "Traceback" not in result.stderr
    there = collection.names
    assert 0 < len(there) < len(contents)
    assert all(collection.get(name) == contents[name] for name in there)
    assert algo.run("cp", *files, collection.uri).code == ExitCode.OK
    assert collection.names == sorted(contents)


@directly
@pytest.mark.parametrize(
    ("number", "code"),
    [(signal.SIGINT, ExitCode.INTERRUPTED), (signal.SIGTERM, ExitCode.TERMINATED)],
    ids=["INT", "TERM"],
)
def test_a_listing_that_is_stopped(
    start: Callable[..., Running],
    proxy: FaultProxy,
    collection: Collection,
    work: Path,
    number: signal.Signals,
    code: int,
) -> None:
    collection.put("f", b"x")
    when = When(proxy, "GET", collection.name, "asked")
    stopped(start("cp", f"{collection.uri}/*", work), when, number, code)
    assert os.listdir(work) == []


@directly
def test_pauses_between_tries_are_ended_by_ctrl_c(
    start: Callable[..., Running], proxy: FaultProxy, collection: Collection, older: Path
) -> None:
    """A platform that asks to wait for two minutes does not keep anybody."""
    from faults import wrongs

    proxy.fail("GET", "/f", *[wrongs.status(429, retry_after="100")] * 9)
    when = When(proxy, "GET", "/f", "answered")
    running = start("cp", collection.put("f", CONTENT), older)
    when.wait()
    when.go_on()
    running.send(signal.SIGINT)
    assert running.result().code == ExitCode.INTERRUPTED
    assert os.listdir(older.parent) == ["f"]
    assert older.read_bytes() == OLDER
