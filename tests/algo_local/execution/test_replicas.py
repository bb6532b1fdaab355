"""Workers that are forked from one that has loaded, where the algorithm allows that."""

from __future__ import annotations

import contextlib
import os
import signal
import socket
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from support.sandbox import running_with, wait_until

from algo_local.algorithms.build import Build
from algo_local.callers import CallContext
from algo_local.execution.payload import Outcome, Payload
from algo_local.execution.scaling import Scaling
from algo_local.execution.workers.local_pool import LocalPool

CONTEXT = CallContext("jane", ("demo", "Hello"), "s-1", "req-1")
COUNT = 4
CODE = """
import os, random, subprocess, sys, tempfile, threading, time
with open({loads!r}, "a") as file:
    file.write("loaded\\n")
print("loading")
{more}
def apply(input):
    barrier, action = input
    if action == "die":
        os._exit(3)
    if action == "raise":
        raise ValueError("no")
    if action == "leave":
        subprocess.Popen(["sleep", "600"], start_new_session=True)
        return "left"
    if action == "write":
        with open(os.path.join(tempfile.gettempdir(), "mine"), "x") as file:
            return file.name
    open(os.path.join(barrier, str(time.monotonic_ns())), "w").close()
    while len(os.listdir(barrier)) < {count}:
        time.sleep(0.01)
    return {{
        "pid": os.getpid(), "random": random.random(), "directory": tempfile.gettempdir(),
        "key": os.environ["ALGORITHMIA_API_KEY"], "files": len(os.listdir("/proc/self/fd")), "where": os.getcwd(),
    }}
"""


class Endpoint:
    """An address at which nobody answers."""

    address = "http://127.0.0.1:9"

    def serve_also(self, listener: socket.socket) -> Callable[[], None]:
        return listener.close

    def close(self) -> None:
        pass


class Platform:
    """A pool, an algorithm in it, and how often that was loaded."""

    def __init__(self, pool: LocalPool, directory: Path, build: Callable[..., Build]) -> None:
        self.pool = pool
        self._build = build
        self._barrier = directory / "barrier"
        self._barrier.mkdir()
        self._barrier.chmod(0o777)
        self._loads = directory / "loads"
        self._loads.touch()
        self._loads.chmod(0o666)

    def build(self, more: str = "", conf: str = '{"replicas": "fork"}', **options: Any) -> Build:
        code = CODE.format(loads=str(self._loads), more=more, count=COUNT)
        return replace(self._build(code, **{"algorithmia.conf": conf}), **options)

    def call(
        self, made: Build, action: str = "", number: int = 0, caller: str = "jane", timeout: float = 60.0
    ) -> Outcome:
        context = replace(CONTEXT, request_id=f"req-{number}", caller=caller)
        payload = Payload("json", [str(self._barrier), action])
        return self.pool.call(made, payload, timeout=timeout, context=context)

    def together(self, made: Build) -> list[Any]:
        """Calls that all wait for each other."""
        for file in self._barrier.iterdir():
            file.unlink()
        with ThreadPoolExecutor(COUNT) as callers:
            outcomes = list(callers.map(lambda number: self.call(made, number=number), range(COUNT)))
        assert all(outcome.result for outcome in outcomes), outcomes
        assert {outcome.stdout for outcome in outcomes} <= {"loading\n", ""}
        return [outcome.result.data for outcome in outcomes if outcome.result]

    @property
    def loaded(self) -> int:
        return len(self._loads.read_text().splitlines())


@pytest.fixture
def replicated(confinement: str, tmp_path: Path, processes: Path, build: Callable[..., Build]) -> Iterator[Platform]:
    pool = LocalPool(Endpoint, processes, Scaling(idle=60.0))
    yield Platform(pool, tmp_path, build)
    pool.close()
    assert wait_until(lambda: not list(processes.glob("p-*"))), "nothing is left"


def test_it_is_loaded_once_and_each_replica_is_a_process_of_its_own(replicated: Platform) -> None:
    made = replicated.build()
    replicas = replicated.together(made)
    assert replicated.loaded == 1
    for what in ("pid", "random", "directory", "key"):
        assert len({replica[what] for replica in replicas}) == COUNT, what
    assert len({(replica["files"], replica["where"]) for replica in replicas}) == 1
    assert {replica["key"] for replica in replicated.together(made)} == {replica["key"] for replica in replicas}
    assert replicated.loaded == 1


@pytest.mark.parametrize("confinement", ["plain"], indirect=True)
@pytest.mark.parametrize(
    "more",
    [
        "threading.Thread(target=time.sleep, args=(600,), daemon=True).start()",
        "child = subprocess.Popen(['sleep', '600'])",
        "handle = open(os.devnull)",
    ],
    ids=["thread", "child", "file"],
)
def test_what_cannot_be_forked_is_loaded_by_each(replicated: Platform, more: str) -> None:
    replicated.together(replicated.build(more))
    assert replicated.loaded == COUNT


@pytest.mark.parametrize("confinement", ["plain"], indirect=True)
@pytest.mark.parametrize("conf", ["{}", '{"replicas": "spawn"}'])
def test_it_is_the_authors_choice(replicated: Platform, conf: str) -> None:
    replicated.together(replicated.build(conf=conf))
    assert replicated.loaded == COUNT


def test_the_death_of_one_does_not_touch_the_others(replicated: Platform) -> None:
    made = replicated.build()
    before = {replica["key"] for replica in replicated.together(made)}
    failure = replicated.call(made, "die").failure
    assert failure
    assert (failure.message, failure.error_type) == ("exited with code 3", "SystemExit")
    after = {replica["key"] for replica in replicated.together(made)}
    assert len(before & after) == COUNT - 1
    assert replicated.loaded == 1


def test_replicas_fail_and_clean_up_as_others_do(replicated: Platform, processes: Path) -> None:
    made = replicated.build()
    failure = replicated.call(made, "raise").failure
    assert failure
    assert (failure.message, failure.error_type) == ("no", "AlgorithmError")
    for _ in range(2):
        assert replicated.call(made, "write").result, "temporary files are gone in the next call"
    assert replicated.call(made, "leave").result
    assert wait_until(lambda: not replicated.pool.describe().workers), "what a call leaves behind ends its worker"
    assert wait_until(lambda: not list(processes.glob("p-*"))), "and with the last one, what had loaded it"


@pytest.mark.parametrize("confinement", ["plain"], indirect=True)
def test_every_account_has_its_own(replicated: Platform) -> None:
    made = replicated.build()
    for caller in ("jane", "bob"):
        assert replicated.call(made, "write", caller=caller).result
    assert replicated.loaded == 2


@pytest.mark.parametrize("confinement", ["plain"], indirect=True)
def test_what_does_not_load_says_so_as_ever(replicated: Platform) -> None:
    outcome = replicated.call(replicated.build("raise ValueError('not today')"), "write")
    assert outcome.failure
    assert (outcome.failure.error_type, outcome.failure.message) == ("LoadingError", "not today")


@pytest.mark.parametrize("confinement", ["plain"], indirect=True)
def test_a_call_that_takes_too_long_ends_its_replica_only(replicated: Platform) -> None:
    made = replicated.build()
    assert replicated.call(made, "write").result
    failure = replicated.call(made, timeout=1.0).failure
    assert failure
    assert failure.error_type == "TimeoutError"
    assert replicated.call(made, "write").result


def test_no_process_is_left_when_all_of_them_are_killed(replicated: Platform, processes: Path) -> None:
    made = replicated.build(secrets=(("MARK", "replicas-6f1e"),))
    replicated.together(made)
    for pid in running_with("MARK=replicas-6f1e"):
        with contextlib.suppress(ProcessLookupError):  # those of a sandbox end with its first one
            os.kill(pid, signal.SIGKILL)
    assert wait_until(lambda: not running_with("MARK=replicas-6f1e"))
    assert replicated.call(made, "write").result
    assert replicated.loaded == 2
    replicated.pool.close()
    assert wait_until(lambda: not running_with("MARK=replicas-6f1e"))
