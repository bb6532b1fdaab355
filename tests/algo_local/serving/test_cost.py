"""What a request costs, counted in calls of functions: no clock is asked."""

from __future__ import annotations

import itertools
import os
import socket
import sys
import threading
import time
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from algo_local.algorithms.build import Build
from algo_local.data.digests import SETTLED_SECONDS
from algo_local.execution.executor import Notice
from algo_local.execution.payload import Outcome, Payload
from algo_local.execution.relay.engine import EngineServer
from algo_local.execution.relay.marks import Marks
from algo_local.execution.relay.remote import RemoteExecutor
from algo_local.execution.workers import process, process_tree
from algo_local.opening import open_platform
from algo_local.platform import Platform
from algo_local.serving.http.connection import Connection, Fate, Service
from algo_local.serving.http.connection_limits import ConnectionLimits
from algo_local.serving.monitoring import Monitoring
from algo_local.serving.processes.engine import _Calls
from algo_local.state import State
from algo_local.testing import context_for
from algo_local.web.app import Application

PYTHON, C = "call", "c_call"


class Counted:
    """A connection whose requests are answered in this thread, and what was called for the last one."""

    def __init__(self, platform: Platform, key: str) -> None:
        self._service = Service(Application(platform), ConnectionLimits())
        self._client, server = socket.socketpair()
        self._server = Connection(server, "", secure=False)
        self._fields = f"Host: x\r\nAuthorization: Simple {key}\r\n"
        self.python = 0
        """Calls of functions in Python."""
        self.built_in: Counter[str] = Counter()
        """Calls of others, by their names."""

    def send(self, line: str, body: bytes = b"") -> bytes:
        """A request; the body of its answer, which is one of success."""
        length = f"Content-Length: {len(body)}\r\n" if body else ""
        self._client.sendall(f"{line} HTTP/1.1\r\n{self._fields}{length}\r\n".encode() + body)
        assert self._server.incoming.receive()
        head = self._server.incoming.head()
        assert head
        self.python, self.built_in = 0, Counter()
        before = sys.getprofile()
        sys.setprofile(self._count)
        try:
            assert self._server.serve(head, self._service) is Fate.IDLE
        finally:
            sys.setprofile(before)
        answer = self._client.recv(1 << 20)
        assert answer.startswith(b"HTTP/1.1 200 "), answer
        return answer.partition(b"\r\n\r\n")[2]

    def call(self) -> tuple[int, Counter[str]]:
        """Call an algorithm; how many functions in Python and others were called."""
        self.send("POST /v1/algo/demo/Hello", b'"x"')
        return self.python, self.built_in

    def _count(self, frame: Any, event: str, argument: Any) -> None:
        if event == PYTHON:
            self.python += 1
        elif event == C:
            self.built_in[argument.__name__] += 1

    def close(self) -> None:
        self._client.close()
        self._server.socket.close()


@pytest.fixture(scope="module")
def platform(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Platform]:
    platform = open_platform(State(tmp_path_factory.mktemp("state")))
    yield platform
    platform.close()


@pytest.fixture(scope="module")
def counted(platform: Platform) -> Iterator[Counted]:
    platform.metadata.ensure_account("jane")
    counted = Counted(platform, platform.keys.create("jane", "test")[1])
    counted.send("POST /v1/data/.my", b'{"name": "c"}')
    for _ in range(50):  # answers are remembered where that pays
        counted.send("GET /v1/data/.my")
    yield counted
    counted.close()


def test_a_small_file(counted: Counted, platform: Platform) -> None:
    content = os.urandom(4096)
    counted.send("PUT /v1/data/.my/c/small", content)
    (path,) = Path(platform.root, "data").rglob("small")
    long_ago = time.time() - 2 * SETTLED_SECONDS
    os.utime(path, (long_ago, long_ago))
    for _ in range(3):
        assert counted.send("GET /v1/data/.my/c/small") == content
    assert counted.python <= 115
    assert counted.built_in.total() <= 130
    assert counted.built_in["execute"] == 1, "the database is asked whether it was changed, and nothing else"
    assert not {"poll", "openssl_md5", "openssl_sha256", "getrandom"} & set(counted.built_in)
    used = [counted.built_in[name] for name in ("recv", "send", "open", "fstat", "read", "close")]
    assert used == [1, 1, 1, 1, 1, 1], "the receiving one finds that no request follows"


def test_a_warm_call(counted: Counted) -> None:
    assert counted.send("POST /v1/algo/demo/Hello", b'"x"').startswith(b'{"result":"Hello')
    calls = [counted.call() for _ in range(10)]
    assert min(python for python, _ in calls) <= 315
    # Another thread writes the record, after which answers of the database are asked for again.
    assert min(built_in["execute"] for _, built_in in calls) == 1, "the database is asked whether it was changed"
    built_in = min((found for _, found in calls), key=Counter.total)
    assert built_in.total() <= 260
    asked = [built_in[name] for name in ("poll", "write", "read")]
    assert asked == [2, 1, 2], "whether the worker is there, and for its answer; its answer, and what it printed"


def test_a_warm_call_of_several_processes(platform: Platform) -> None:
    """What a front end and the engine do for a call besides what one process does for it."""

    class Done:
        def call(self, build: Build, payload: Payload, **options: Any) -> Outcome:
            options["on_start"]("worker")
            return Outcome(payload, None, 0.5, "")

    functions: list[str] = []

    def note(frame: Any, event: str, argument: Any) -> None:
        if event in (PYTHON, C):
            functions.append(PYTHON if event == PYTHON else argument.__name__)

    ours, theirs = socket.socketpair()
    marks = Marks(1)
    engine = EngineServer(Done(), _Calls(platform, Monitoring(platform)), marks=marks)  # type: ignore[arg-type]
    remote = RemoteExecutor(marks=marks.share(0), account=lambda: "jane")
    threading.setprofile(note)  # for the engine's thread; this one sets its own
    calls = []
    try:
        engine.serve(theirs)
        remote.connect(ours)
        build = Build("0", Path(), Path(), "src.X", "")
        for _ in range(10):
            functions.clear()
            sys.setprofile(note)
            told = remote.call(
                build,
                Payload("text", "x"),
                timeout=30.0,
                context=context_for(),
                on_start=Notice(lambda worker: None),
            )
            sys.setprofile(None)
            assert told.result == Payload("text", "x")
            calls.append(Counter(functions))
    finally:
        sys.setprofile(None)
        threading.setprofile(None)  # type: ignore[arg-type]
        remote.close()
        engine.close()
    cheapest = min(calls, key=Counter.total)
    assert (cheapest["sendall"], cheapest["peek"]) == (2, 0), "the call, and its start with its outcome"
    assert cheapest[PYTHON] <= 120
    assert cheapest.total() <= 280


def test_a_key_is_looked_up_once(counted: Counted, platform: Platform, monkeypatch: pytest.MonkeyPatch) -> None:
    """Only what is no key may be the credential of an algorithm, about which a front end would ask the engine."""
    asked = list[str]()
    monkeypatch.setattr(platform.executor, "context_of", lambda token: asked.append(token))
    counted.send("GET /v1/data/.my")
    assert asked == []


def test_processes_of_others_cost_a_warm_call_no_look_at_each_of_its_own(
    counted: Counted, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whether a call has left processes behind is asked whenever the machine has new ones."""
    counted.call()
    numbers, asked = itertools.count(), list[int]()
    monkeypatch.setattr(process, "newest_pid", lambda: b"%d" % next(numbers))
    monkeypatch.setattr(process_tree, "is_running", lambda pid: asked.append(pid) or True)  # type: ignore[func-returns-value]
    calls = [counted.call() for _ in range(3)]
    assert next(numbers) >= 3
    assert asked == []
    assert min(built_in["open"] for _, built_in in calls) <= 6
