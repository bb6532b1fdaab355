"""Workers that pass from one process of the platform to the next by way of the keeper."""

from __future__ import annotations

import json
import os
import re
import signal
import socket
import stat
import subprocess
import sys
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from support.sandbox import wait_until

from algo_core.errors import ConfigError
from algo_local.algorithms.build import Build
from algo_local.callers import CallContext
from algo_local.execution.payload import Outcome, Payload
from algo_local.execution.workers import handover, keeper_process
from algo_local.execution.workers.keeper import DEFAULT_SECONDS, Keeper, keep_seconds
from algo_local.execution.workers.local_pool import LocalPool
from algo_local.execution.workers.process_tree import is_running
from algo_local.opening import open_platform

CONTEXT = CallContext("jane", ("demo", "Hello"), "s-1", "req-1")
COUNT = """
import os
print("loading")
calls = []
def apply(input):
    calls.append(input)
    return [os.environ["ALGORITHMIA_API_KEY"], len(calls)]
"""
MANY = """
import base64, os, signal, sys, tempfile
print("loading", flush=True)
sys.stderr.write("careful\\n")
sys.stderr.flush()
def apply(input):
    print("got", input)
    if input == "raise":
        raise ValueError("no")
    if input == "typed":
        error = RuntimeError("odd")
        error.error_type = "InputError"
        raise error
    if input == "exit":
        sys.exit(3)
    if input == "at once":
        os._exit(4)
    if input == "killed":
        os.kill(os.getpid(), signal.SIGTERM)
    if input == "files":
        with open(os.path.join(tempfile.gettempdir(), "mine"), "x") as file:
            return file.name
    if input == "bytes":
        return b"\\x00\\xff"
    if input == "late":
        sys.stdout.write("no line end")
    if input == "unknown":
        return object()
    return {"input": input, "where": os.getcwd() != "", "home": sorted(os.listdir(os.environ["HOME"]))}
"""
INPUTS = ("x", "raise", "typed", "exit", "at once", "killed", "files", "bytes", "late", "unknown")


class Endpoint:
    """An address at which nobody answers."""

    address = "http://127.0.0.1:9"

    def serve_also(self, listener: socket.socket) -> Callable[[], None]:
        return listener.close

    def close(self) -> None:
        pass


class Machine:
    """Processes of one platform, one after the other, and their keeper."""

    def __init__(self, root: Path) -> None:
        self.root = root
        root.mkdir(exist_ok=True)
        self.keeper = Keeper(root, 60.0)
        self._open: list[LocalPool] = []

    def begin(self, *, seconds: float = 60.0) -> LocalPool:
        pool = LocalPool(Endpoint, self.root / "processes", keeper=Keeper(self.root, seconds) if seconds else None)
        self._open.append(pool)
        return pool

    def end(self) -> None:
        """End as a command does."""
        for pool in self._open:
            pool.rest()
            pool.close()
        self._open = []

    def call(self, build: Build, data: Any = "x", **options: Any) -> Outcome:
        """A command that makes one call."""
        pool = self.begin(seconds=options.pop("seconds", 60.0))
        context = replace(CONTEXT, **options)
        outcome = pool.call(build, Payload("text", data), timeout=60, context=context)
        self.end()
        return outcome

    def result(self, build: Build, **options: Any) -> Any:
        outcome = self.call(build, **options)
        assert outcome.result, outcome
        return outcome.result.data

    @property
    def status(self) -> dict[str, Any]:
        found = self.keeper.status()
        assert found, "there is no keeper"
        return found

    def kept(self) -> list[int]:
        """The processes that are kept."""
        return [worker["process"] for worker in self.status["workers"]]

    def is_clean(self) -> bool:
        return not list(self.root.glob("processes/p-*")) and not (self.root / "keeper" / "socket").exists()


@pytest.fixture
def host(tmp_path: Path) -> Iterator[Machine]:
    host = Machine(tmp_path / "root")
    yield host
    host.end()
    host.keeper.stop()


@pytest.mark.usefixtures("confinement")
def test_the_next_command_takes_the_loaded_worker(host: Machine, build: Callable[..., Build]) -> None:
    made = build(COUNT)
    first, second, third = (host.result(made) for _ in range(3))
    assert [first[1], second[1], third[1]] == [1, 2, 3]
    assert first[0] == second[0] == third[0], "what it calls the platform with stays valid"
    (worker,) = host.status["workers"]
    assert (worker["algorithm"], worker["build"], worker["calls"]) == ("demo/Hello", made.commit, 3)
    assert worker["memory"] > 0
    assert 0 < worker["left"] <= 60
    assert host.keeper.stop()
    assert host.is_clean()
    assert not is_running(worker["process"])
    assert host.result(made)[1] == 1


def test_nothing_that_comes_of_a_call_is_different(host: Machine, build: Callable[..., Build]) -> None:
    made = build(MANY)

    def seen(data: str, **options: Any) -> str:
        outcome = host.call(made, data, **options)
        said = repr((outcome.result, outcome.failure, outcome.stdout))
        return re.sub(r"p-\w{8}", "p-", said)  # without a sandbox, every process has another directory

    for data in INPUTS:
        expected = seen(data, seconds=0.0)
        host.call(made, "x")
        (warm,) = host.kept()
        assert seen(data) == expected, data
        still = host.kept()
        assert still in ([], [warm]), "another one was started"


def _other_secret(build: Build) -> Build:
    return replace(build, secrets=(("KEY", "new"),))


@pytest.mark.parametrize(
    ("change", "options", "variable"),
    [
        (_other_secret, {}, None),
        (lambda build: replace(build, module="src.Other"), {}, None),
        (lambda build: build, {"caller": "bob"}, None),
        (lambda build: build, {}, ("https_proxy", "http://proxy.example:3128")),
        (lambda build: build, {}, ("ALGO_LOCAL_MEMORY", "2G")),
        (lambda build: build, {}, ("ALGO_LOCAL_SANDBOX_PATHS", "/srv")),
        (lambda build: build, {}, ("ALGO_LOCAL_SANDBOX", "off")),
    ],
    ids=["secret", "module", "account", "proxy", "limit", "paths", "sandbox"],
)
def test_a_worker_answers_only_what_it_was_started_for(
    host: Machine,
    build: Callable[..., Build],
    monkeypatch: pytest.MonkeyPatch,
    change: Callable[[Build], Build],
    options: dict[str, str],
    variable: tuple[str, str] | None,
) -> None:
    made = replace(build(COUNT, **{"src/Other.py": COUNT}), secrets=(("KEY", "old"),))
    assert host.result(made)[1] == 1
    if variable:
        monkeypatch.setenv(*variable)
    assert host.result(change(made), **options)[1] == 1
    if variable:
        monkeypatch.delenv(variable[0])
    assert host.result(made)[1] == 2


def test_changed_code_and_a_damaged_build_are_seen(host: Machine, build: Callable[..., Build]) -> None:
    made = build(COUNT)
    host.result(made)
    assert host.result(build(COUNT + "\n"))[1] == 1
    source = made.source / "src" / "Hello.py"
    made.source.joinpath("src").chmod(0o755)
    source.chmod(0o644)
    source.write_text("def apply(input):\n    return 'changed'\n")
    failure = host.call(made).failure
    assert failure
    assert "changed" in failure.message


def test_two_commands_at_once_share_the_keeper(host: Machine, build: Callable[..., Build]) -> None:
    made = build(COUNT)
    host.result(made)
    pools = [host.begin() for _ in range(2)]
    results = [pool.call(made, Payload("text", "x"), timeout=60, context=CONTEXT).result for pool in pools]
    host.end()
    assert sorted(result.data[1] for result in results if result) == [1, 2]
    assert len(set(host.kept())) == 2


def test_only_so_many_are_kept(host: Machine, build: Callable[..., Build]) -> None:
    made = build(COUNT)
    host.result(made)
    pools = [host.begin() for _ in range(keeper_process.MOST + 1)]
    for pool in pools:
        assert pool.call(made, Payload("text", "x"), timeout=60, context=CONTEXT).result
    host.end()
    assert wait_until(lambda: len(list(host.root.glob("processes/p-*"))) == keeper_process.MOST)
    assert len(host.kept()) == keeper_process.MOST


def test_they_are_kept_for_as_long_as_was_said(host: Machine, build: Callable[..., Build]) -> None:
    made = build(COUNT)
    host.result(made)
    keeper = host.status["process"]
    host.result(made, seconds=1.0)
    assert wait_until(lambda: not is_running(keeper))
    assert host.is_clean()


@pytest.mark.parametrize("end", ["killed", "terminated", "removed", "replaced"])
def test_workers_and_keeper_end_together(host: Machine, build: Callable[..., Build], end: str) -> None:
    made = build(COUNT)
    host.result(made)
    (worker,), keeper = host.kept(), host.status["process"]
    if end in ("killed", "terminated"):
        os.kill(keeper, signal.SIGKILL if end == "killed" else signal.SIGTERM)
    else:
        host.root.rename(host.root.with_name("elsewhere"))
        if end == "replaced":
            host.root.mkdir()
    assert wait_until(lambda: not is_running(keeper) and not is_running(worker))
    if end == "terminated":
        assert host.is_clean()
    host.root.mkdir(exist_ok=True)
    if end in ("removed", "replaced"):
        made = replace(build(COUNT))  # what it was built from is elsewhere now
    assert host.result(made)[1] == 1
    assert len(host.kept()) == 1
    assert wait_until(lambda: len(list(host.root.glob("processes/p-*"))) == 1), "what was left is removed"


def test_the_keeper_stays_when_the_terminal_closes_and_ends_when_it_has_nothing(
    host: Machine, build: Callable[..., Build], monkeypatch: pytest.MonkeyPatch
) -> None:
    made = build(COUNT)
    host.result(made)
    keeper = host.status["process"]
    assert os.getsid(keeper) == keeper
    os.kill(keeper, signal.SIGHUP)
    assert len(host.kept()) == 1
    for number in range(3):
        opened = os.readlink(f"/proc/{keeper}/fd/{number}")
        assert opened == os.devnull
    assert os.readlink(f"/proc/{keeper}/cwd") == "/"
    (worker,) = host.kept()
    os.kill(worker, signal.SIGKILL)
    assert wait_until(lambda: not host.kept()), "it is not handed out any more"
    assert wait_until(lambda: not is_running(keeper))
    assert host.is_clean()


CALLER = """
import json, os, urllib.request
def apply(input):
    request = urllib.request.Request(
        os.environ["ALGORITHMIA_API"] + "/v1/algo/demo/Hello", json.dumps(input).encode(),
        {"Authorization": "Simple " + os.environ["ALGORITHMIA_API_KEY"], "Content-Type": "application/json"},
    )
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    with opener.open(request) as answer:
        return [json.load(answer)["result"], os.environ["ALGORITHMIA_API_KEY"]]
"""


@pytest.mark.parametrize("network", ["full", "isolated"])
def test_a_kept_worker_calls_the_platform_that_has_it_now(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, write: Callable[..., Path], network: Any
) -> None:
    monkeypatch.setenv("ALGO_LOCAL_KEEP_SECONDS", "60")
    answers = []
    try:
        for _ in range(2):
            platform = open_platform(tmp_path / "root", keeps_workers=True)
            algorithm = platform.registry.algorithm("demo", "Caller")
            if not algorithm:
                source = write(CALLER, "Caller")
                platform.publish(source, "demo", "Caller", "1.0.0", network_access=network)
                algorithm = platform.registry.algorithm("demo", "Caller")
            assert algorithm
            version = platform.registry.versions(algorithm)[0]
            context = replace(CONTEXT, algorithm=("demo", "Caller"))
            outcome = platform.executor.call(version.build, Payload("json", "HAL"), timeout=60, context=context)
            assert outcome.result, outcome
            answers.append(outcome.result.data)
            platform.rest()
            platform.close()
        assert answers[0] == answers[1], "the second was answered by the worker of the first"
        assert answers[0][0] == "Hello HAL"
    finally:
        Keeper(tmp_path / "root", 60.0).stop()


def test_only_the_owner_gets_in(host: Machine, build: Callable[..., Build]) -> None:
    made = build(COUNT)
    host.result(made)
    directory = host.root / "keeper"
    assert stat.S_IMODE(directory.stat().st_mode) == 0o700
    ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    with ours, theirs:
        assert handover.is_own(ours)
    directory.chmod(0o755)
    assert host.keeper.status() is None, "a directory that others can enter is not trusted"
    assert host.result(made)[1] == 1
    directory.chmod(0o700)
    assert len(host.kept()) == 1


def test_another_user_is_refused(host: Machine, build: Callable[..., Build]) -> None:
    """Even one who could open the socket."""
    host.result(build(COUNT))
    host.root.joinpath("keeper").chmod(0o777)
    for path in (host.root, *host.root.parents):
        if path.stat().st_uid == os.getuid() and path != Path("/"):
            path.chmod(path.stat().st_mode | 0o055)
    host.root.joinpath("keeper", "socket").chmod(0o777)
    code = f"""
import os, socket
os.setgroups([])
os.setresgid(61000, 61000, 61000)
os.setresuid(61000, 61000, 61000)
channel = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET)
channel.settimeout(30)
os.chdir({str(host.root / "keeper")!r})
channel.connect("socket")
try:
    channel.send(b'{{"status": true}}')
    print(channel.recv(1000))
except OSError:
    print(b"")
"""
    if os.getuid() == 0:
        done = subprocess.run([sys.executable, "-S", "-I", "-c", code], capture_output=True, text=True, check=True)
        assert done.stdout == "b''\n"
    host.root.joinpath("keeper").chmod(0o700)
    assert len(host.kept()) == 1


def test_nonsense_is_no_harm(host: Machine, build: Callable[..., Build]) -> None:
    host.result(build(COUNT))
    outside = host.root / "outside"
    outside.mkdir()
    names = {
        "key": "k",
        "label": "",
        "build": "",
        "pid": 1,
        "calls": 1,
        "began": 0.0,
        "family": [],
        "is_sandboxed": True,
    }
    elsewhere = json.dumps({"give": {**names, "path": str(outside)}, "seconds": 5}).encode()
    for said in (
        *(b"", b"x", b"[]", b"{}", b'{"give": {}}', b'{"give": {"key": "k"}, "seconds": 5}', b'{"take": 1}'),
        *(b'{"give": []}', b'{"give": {}, "seconds": "soon"}', elsewhere, b"\xff" * 1000),
    ):
        channel = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        with channel:
            channel.connect(str(host.root / "keeper" / "socket"))
            with open(os.devnull, "rb") as null:
                socket.send_fds(channel, [said], [null.fileno()] * 7)
        assert len(host.kept()) == 1, said
    assert outside.exists(), "nothing else is ever removed"


def test_a_path_may_be_longer_than_an_address(tmp_path: Path, build: Callable[..., Build]) -> None:
    host = Machine(tmp_path / ("long" * 40))
    made = build(COUNT)
    try:
        assert host.result(made)[1] == 1
        assert host.result(made)[1] == 2
    finally:
        host.keeper.stop()


@pytest.mark.parametrize(
    ("environ", "seconds"),
    [
        ({}, DEFAULT_SECONDS),
        ({"CI": "true"}, 0.0),
        ({"CI": ""}, DEFAULT_SECONDS),
        ({"CI": "1", "ALGO_LOCAL_KEEP_SECONDS": "5"}, 5.0),
        ({"ALGO_LOCAL_KEEP_SECONDS": "0"}, 0.0),
        ({"ALGO_LOCAL_KEEP_SECONDS": " 300 "}, 300.0),
    ],
)
def test_how_long_is_a_setting(environ: dict[str, str], seconds: float) -> None:
    assert keep_seconds(environ) == seconds


@pytest.mark.parametrize("text", ["-1", "1.5", "soon", "1e3", "٣", "9" * 20])
def test_what_is_no_number_of_seconds_is_refused(text: str) -> None:
    with pytest.raises(ConfigError, match="ALGO_LOCAL_KEEP_SECONDS must be a number of seconds"):
        keep_seconds({"ALGO_LOCAL_KEEP_SECONDS": text})
