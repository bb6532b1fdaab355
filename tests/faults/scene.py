"""What the tests of this area look at and wait for."""

from __future__ import annotations

import itertools
import os
import signal
import subprocess
import threading
from pathlib import Path

import requests
from faults.proxy import Exchange, FaultProxy

from algo_core.testing import Home, Result
from algo_core.testing.platform import Served

MIB = 1 << 20
CONTENT = os.urandom(MIB) * 3 + b"the end"
"""Larger than what is moved at a time, smaller than what would be fetched in parts."""


_numbers = itertools.count(1)


class Collection:
    """A collection of the platform that only this test knows, looked at past the proxy."""

    def __init__(self, served: Served) -> None:
        self.name = f"c{next(_numbers)}"
        self.uri = f"data://.my/{self.name}"
        self._url = f"{served.address}/v1/data/.my"
        self._session = requests.Session()
        self._session.headers["Authorization"] = f"Simple {served.key}"
        self._session.post(self._url, json={"name": self.name}).raise_for_status()

    def put(self, name: str, content: bytes) -> str:
        """Write a file; its URI."""
        self._session.put(f"{self._url}/{self.name}/{name}", data=content).raise_for_status()
        return f"{self.uri}/{name}"

    def get(self, name: str) -> bytes:
        """The content of a file."""
        answer = self._session.get(f"{self._url}/{self.name}/{name}")
        answer.raise_for_status()
        return answer.content

    @property
    def names(self) -> list[str]:
        """The files in it."""
        found: list[str] = []
        marker = ""
        while True:
            page = self._session.get(f"{self._url}/{self.name}{marker}").json()
            found += [file["filename"] for file in page["files"]]
            if "marker" not in page:
                return found
            marker = f"?marker={page['marker']}"

    def close(self) -> None:
        """Let go of the platform."""
        self._session.close()


def assert_untouched(older: Path) -> None:
    """The older file is as it was, and nothing stands beside it."""
    assert os.listdir(older.parent) == [older.name]
    assert older.read_text() == "older"


class Running:
    """`algo` while it runs, to be sent a signal when it has come so far."""

    def __init__(self, home: Home, *words: str | Path) -> None:
        self.process = subprocess.Popen(
            home.command(*words), env=home.environ, cwd=home.root, stdout=subprocess.PIPE, stderr=subprocess.PIPE
        )

    def send(self, number: signal.Signals) -> None:
        """Send a signal."""
        self.process.send_signal(number)

    def result(self) -> Result:
        """Wait for its end."""
        stdout, stderr = self.process.communicate(timeout=60)
        return Result(self.process.returncode, stdout, stderr.decode())


class When:
    """A moment to wait for: the n-th time that requests of a method for such names come to a point."""

    def __init__(self, proxy: FaultProxy, method: str, name: str, moment: str, number: int = 1) -> None:
        self._sought = (method, moment)
        self._name = name
        self._left = number
        self._came, self._goes_on = threading.Event(), threading.Event()
        proxy.moment = self._passed

    def _passed(self, exchange: Exchange, moment: str) -> None:
        if (exchange.method, moment) != self._sought or not exchange.path.endswith(self._name):
            return
        self._left -= 1
        if self._left == 0:
            self._came.set()
        if self._left <= 0:
            self._goes_on.wait(60)

    def wait(self) -> None:
        """Wait until it has come; the request is held there."""
        assert self._came.wait(60), "it never happened"

    def go_on(self) -> None:
        """Let the request go on."""
        self._goes_on.set()
