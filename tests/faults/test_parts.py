"""A large file over a line that gives each connection little: fetched in parts, which go wrong one by one."""

from __future__ import annotations

import os
import signal
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from faults import wrongs
from faults.link import Link
from faults.matrix import DIRECT, REQUESTS
from faults.proxy import Fault, FaultProxy
from faults.scene import CONTENT, MIB, Collection, Running, When, assert_untouched

from algo_core.errors import ExitCode
from algo_core.testing import Home

LARGE = os.urandom(MIB) * 96
RATE = 40 * MIB
"""Bytes a second for each connection: far less than this machine could take."""

pytestmark = pytest.mark.parametrize("way", [DIRECT, REQUESTS], indirect=True)


@pytest.fixture
def algo(algo: Home, proxy: FaultProxy) -> Iterator[Home]:
    """A home whose `algo` reaches the proxy over such a line."""
    with Link(("127.0.0.1", proxy.port), rate=RATE) as link:
        for name, value in algo.environ.items():
            if value == proxy.address:
                algo.environ[name] = f"http://127.0.0.1:{link.port}"
        yield algo


def parts(proxy: FaultProxy) -> int:
    """How many requests have asked for a part."""
    return sum("range" in get.headers for get in proxy.tries("GET", "/f"))


FAULTS: dict[str, tuple[Fault, ...]] = {
    "nothing": (),
    "cut": (wrongs.cut,) * 3,
    "reset in the body": (wrongs.reset_in_body,) * 3,
    "reset": (wrongs.reset,) * 3,
    "503": (wrongs.status(503),) * 3,
    "stall": (wrongs.stall_in_body,) * 2,
}


STALLED = {"ALGO_TIMEOUT": "6"}
"""Seconds that a stall is waited for: more than a busy machine takes for a part that goes well."""


@pytest.mark.parametrize("faults", FAULTS.values(), ids=FAULTS)
def test_parts_that_go_wrong_are_fetched_again(
    algo: Home, proxy: FaultProxy, collection: Collection, older: Path, faults: tuple[Fault, ...]
) -> None:
    remote = collection.put("f", LARGE)
    proxy.fail("GET", "/f", *(wrongs.forward,) * 3, *faults)
    result = algo.run("cp", remote, older, environ=STALLED if wrongs.stall_in_body in faults else {})
    assert result.code == ExitCode.OK, result.stderr
    assert older.read_bytes() == LARGE
    assert os.listdir(older.parent) == ["f"]
    assert parts(proxy) > 3
    assert proxy.sent("f") <= 1.05 * len(LARGE) + 32 * MIB  # what a first stream had under way when it was shortened


def test_a_damaged_part_is_found(algo: Home, proxy: FaultProxy, collection: Collection, older: Path) -> None:
    remote = collection.put("f", LARGE)
    proxy.fail("GET", "/f", *((wrongs.forward,) * 3 + (wrongs.damage,)) * 9)
    result = algo.run("cp", remote, older)
    assert result.code == ExitCode.PLATFORM
    assert "damaged in transfer" in result.stderr
    assert_untouched(older)


def test_parts_of_two_versions_are_never_mixed(
    algo: Home, proxy: FaultProxy, collection: Collection, older: Path
) -> None:
    remote = collection.put("f", LARGE)
    other = LARGE[::-1]

    def replace(exchange: wrongs.Exchange) -> None:
        collection.put("f", other)
        exchange.forward()

    proxy.fail("GET", "/f", *(wrongs.forward,) * 3, replace)
    result = algo.run("cp", remote, older)
    assert result.code == ExitCode.OK, result.stderr
    assert older.read_bytes() == other
    assert os.listdir(older.parent) == ["f"]


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_parts_that_are_stopped_leave_nothing(
    start: Callable[..., Running],
    algo: Home,
    proxy: FaultProxy,
    collection: Collection,
    older: Path,
    number: signal.Signals,
) -> None:
    remote = collection.put("f", LARGE)
    moment = When(proxy, "GET", "/f", "asked", 4)
    running = start("cp", remote, older)
    moment.wait()
    running.send(number)
    assert running.result().code == 128 + number
    moment.go_on()
    assert_untouched(older)


@pytest.fixture
def killed(start: Callable[..., Running], proxy: FaultProxy, collection: Collection, older: Path) -> Callable[[], str]:
    """Has a download of a large file killed in its middle; the file's URI."""

    def kill() -> str:
        remote = collection.put("f", LARGE)
        moment = When(proxy, "GET", "/f", "asked", 6)
        running = start("cp", remote, older)
        moment.wait()
        running.send(signal.SIGKILL)
        running.result()
        moment.go_on()
        return remote

    return kill


def test_after_a_kill_it_goes_on_where_it_stopped(
    killed: Callable[[], str], algo: Home, proxy: FaultProxy, collection: Collection, older: Path
) -> None:
    remote = killed()
    assert older.read_text() == "older"
    assert len(os.listdir(older.parent)) == 2
    proxy.heal()
    assert algo.run("cp", remote, older).code == ExitCode.OK
    assert older.read_bytes() == LARGE
    assert os.listdir(older.parent) == ["f"]
    assert all(int(get.headers.get("range", "bytes=0-")[6:].split("-")[0]) > 0 for get in proxy.tries("GET", "/f")[1:])
    assert proxy.sent("f") < len(LARGE)


def test_after_a_kill_another_version_starts_anew(
    killed: Callable[[], str], algo: Home, proxy: FaultProxy, collection: Collection, older: Path
) -> None:
    remote = killed()
    proxy.heal()
    collection.put("f", CONTENT * 4)
    assert algo.run("cp", remote, older).code == ExitCode.OK
    assert older.read_bytes() == CONTENT * 4
    assert os.listdir(older.parent) == ["f"]
