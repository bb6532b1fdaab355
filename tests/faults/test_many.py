"""Many files: what fails stops nothing else, and the next run does only what is missing."""

from __future__ import annotations

import os
import threading
from pathlib import Path

import pytest
from faults import wrongs
from faults.matrix import DIRECT, REQUESTS
from faults.proxy import Exchange, FaultProxy
from faults.scene import Collection

from algo_core.errors import ExitCode
from algo_core.testing import Home

on_two_ways = pytest.mark.parametrize("way", [DIRECT, REQUESTS], indirect=True)
directly = pytest.mark.parametrize("way", [DIRECT], indirect=True)

NAMES = [f"f{number:02}" for number in range(40)]
FAILING = ["f03", "f17", "f39"]


@on_two_ways
def test_downloads_that_fail_stop_no_others(algo: Home, proxy: FaultProxy, collection: Collection, work: Path) -> None:
    for name in NAMES:
        collection.put(name, name.encode())
    for name in FAILING:
        proxy.fail("GET", name, *[wrongs.status(403)] * 9)
    result = algo.run("cp", f"{collection.uri}/*", work)
    assert result.code == ExitCode.AUTHENTICATION
    assert all(f"{collection.uri}/{name}" in result.stderr for name in FAILING)
    assert sorted(os.listdir(work)) == [name for name in NAMES if name not in FAILING]
    assert result.text.count("Downloaded") == len(NAMES) - len(FAILING)


@on_two_ways
def test_uploads_that_fail_stop_no_others(algo: Home, proxy: FaultProxy, collection: Collection, work: Path) -> None:
    for name in NAMES:
        (work / name).write_text(name)
    for name in FAILING:
        proxy.fail("PUT", name, *[wrongs.status(507)] * 9)
    result = algo.run("cp", *(work / name for name in NAMES), collection.uri)
    assert result.code == ExitCode.PLATFORM
    assert collection.names == [name for name in NAMES if name not in FAILING]
    assert all(f"{name}" in result.stderr for name in FAILING)


@directly
def test_a_key_that_is_refused_ends_the_whole_at_once(
    algo: Home, proxy: FaultProxy, collection: Collection, work: Path
) -> None:
    for name in NAMES:
        (work / name).write_text(name)
    proxy.fail("PUT", "", *[wrongs.status(401)] * 99)
    result = algo.run("cp", *(work / name for name in NAMES), collection.uri)
    assert result.code == ExitCode.AUTHENTICATION
    assert "ALGORITHMIA_API_KEY" in result.stderr, "the hint names where the key came from"
    assert len(proxy.tries("PUT")) < len(NAMES)


class Restarting:
    """A server that goes down at a request, is away for a while, and comes back."""

    def __init__(self, proxy: FaultProxy, method: str, number: int) -> None:
        self._proxy = proxy
        self._method = method
        self._number = number
        self._seen = 0
        self._lock = threading.Lock()
        self.threads: list[threading.Thread] = []
        proxy.moment = self._watch

    def _watch(self, exchange: Exchange, moment: str) -> None:
        if (exchange.method, moment) != (self._method, "asked"):
            return
        with self._lock:
            self._seen += 1
            if self._seen != self._number:
                return
            self.threads.append(threading.Thread(target=self._restart))
            self.threads[-1].start()

    def _restart(self) -> None:
        self._proxy.refuse()
        threading.Event().wait(0.5)
        self._proxy.listen()


@directly
def test_a_server_that_restarts_in_the_middle_of_5000_files(
    algo: Home, proxy: FaultProxy, collection: Collection, work: Path, tmp_path: Path
) -> None:
    names = [f"{number:04}" for number in range(5000)]
    for name in names:
        (work / name).write_text(name)
    up = Restarting(proxy, "PUT", 2500)
    result = algo.run("cp", *(work / name for name in names), collection.uri, environ={"ALGO_RETRIES": "8"})
    assert result.code == ExitCode.OK, result.stderr[:2000]
    assert len(up.threads) == 1
    assert collection.names == names
    (tmp_path / "down").mkdir()
    down = Restarting(proxy, "GET", 2500)
    result = algo.run("cp", f"{collection.uri}/*", tmp_path / "down", environ={"ALGO_RETRIES": "8"})
    assert result.code == ExitCode.OK, result.stderr[:2000]
    assert len(down.threads) == 1
    assert sorted(os.listdir(tmp_path / "down")) == names
    assert all((tmp_path / "down" / name).read_text() == name for name in names)
    for thread in (*up.threads, *down.threads):
        thread.join()
