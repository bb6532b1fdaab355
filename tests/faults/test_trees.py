"""Commands that remove things: nothing goes that has no whole copy, and nothing because a listing went wrong."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from faults import wrongs
from faults.matrix import DIRECT, REQUESTS
from faults.proxy import Fault, FaultProxy
from faults.scene import Collection

from algo_core.errors import ExitCode
from algo_core.testing import Home

pytestmark = pytest.mark.parametrize("way", [DIRECT, REQUESTS], indirect=True)

NAMES = ["a", "b", "c", "d"]

LISTINGS: dict[str, Fault] = {
    "503": wrongs.status(503),
    "403": wrongs.status(403),
    "half of the JSON": wrongs.half,
    "cut": wrongs.cut,
    "log-in page": wrongs.log_in_page,
}


@pytest.fixture
def both(collection: Collection, work: Path) -> Path:
    """A directory and a collection with the same files, and one more on each side."""
    for name in NAMES:
        collection.put(name, name.encode())
        (work / name).write_text(name)
    collection.put("theirs", b"theirs")
    (work / "ours").write_text("ours")
    return work


@pytest.mark.parametrize("failure", LISTINGS.values(), ids=LISTINGS)
@pytest.mark.parametrize("direction", ["up", "down"])
def test_sync_removes_nothing_when_a_listing_fails(
    algo: Home, proxy: FaultProxy, collection: Collection, both: Path, failure: Fault, direction: str
) -> None:
    proxy.fail("GET", collection.name, *[failure] * 20)
    operands = [str(both), collection.uri] if direction == "up" else [collection.uri, str(both)]
    result = algo.run("sync", "--delete", *operands, environ={"ALGO_RETRIES": "1"})
    assert result.code in {ExitCode.AUTHENTICATION, ExitCode.NETWORK, ExitCode.PLATFORM}, result.stderr
    assert "Deleted" not in result.text
    assert proxy.tries("DELETE") == []
    assert "theirs" in collection.names
    assert (both / "ours").exists()


def test_sync_removes_nothing_when_a_copy_fails(
    algo: Home, proxy: FaultProxy, collection: Collection, both: Path
) -> None:
    (both / "b").write_text("changed")
    proxy.fail("PUT", "/b", *[wrongs.status(507)] * 9)
    result = algo.run("sync", "--delete", both, collection.uri)
    assert result.code == ExitCode.PLATFORM
    assert proxy.tries("DELETE") == []
    assert "theirs" in collection.names
    proxy.heal()
    again = algo.run("sync", "--delete", both, collection.uri)
    assert again.code == ExitCode.OK, again.stderr
    assert collection.names == [*NAMES, "ours"]
    assert collection.get("b") == b"changed"


@pytest.mark.parametrize("failure", [wrongs.reset_in_upload, wrongs.status(507), wrongs.log_in_page, wrongs.redirect])
def test_what_could_not_be_moved_stays(
    algo: Home, proxy: FaultProxy, collection: Collection, work: Path, failure: Fault
) -> None:
    for name in NAMES:
        (work / name).write_text(name)
    proxy.fail("PUT", "/b", *[failure] * 20)
    result = algo.run("mv", *(work / name for name in NAMES), collection.uri, environ={"ALGO_RETRIES": "1"})
    assert result.code in {ExitCode.NETWORK, ExitCode.PLATFORM}
    assert os.listdir(work) == ["b"]
    assert collection.names == ["a", "c", "d"]


@pytest.mark.parametrize("failure", [wrongs.damage, wrongs.cut_without_length, wrongs.announce_less])
def test_what_did_not_arrive_whole_is_not_removed(
    algo: Home, proxy: FaultProxy, collection: Collection, work: Path, failure: Fault
) -> None:
    for name in NAMES:
        collection.put(name, name.encode() * 2000)
    proxy.fail("GET", "/b", *[failure] * 20)
    result = algo.run("mv", f"{collection.uri}/*", work)
    assert result.code == ExitCode.PLATFORM
    assert collection.names == ["b"]
    assert sorted(os.listdir(work)) == ["a", "c", "d"]


def test_retry_failed_does_what_is_missing(algo: Home, proxy: FaultProxy, collection: Collection, work: Path) -> None:
    for name in NAMES:
        (work / name).write_text(name)
    for name in "bd":
        proxy.fail("PUT", f"/{name}", *[wrongs.status(507)] * 20)
    assert algo.run("cp", *(work / name for name in NAMES), collection.uri).code == ExitCode.PLATFORM
    assert collection.names == ["a", "c"]
    proxy.heal()
    proxy.fail("PUT", "/d", *[wrongs.status(507)] * 20)
    assert algo.run("cp", "--retry-failed").code == ExitCode.PLATFORM
    assert collection.names == ["a", "b", "c"]
    assert [put.path[-1] for put in proxy.tries("PUT")].count("a") == 0
    proxy.heal()
    assert algo.run("cp", "--retry-failed").code == ExitCode.OK
    assert collection.names == NAMES
    assert {put.path[-1] for put in proxy.tries("PUT")} == {"d"}
