"""Processes that an algorithm starts, and how they try to stay: all of them end with the call, or with the platform."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
import time
import uuid
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from support.sandbox import wait_until

from algo_local.algorithms.build import Build
from algo_local.algorithms.builder import Builder
from algo_local.callers import CallContext
from algo_local.execution.executor import Executor
from algo_local.execution.payload import Outcome, Payload

CONTEXT = CallContext(caller="jane", algorithm=("demo", "Hello"), session="s-1", request_id="req-1")

FAMILY = """
    import os, signal, subprocess, sys, time

    def sleep(mark):
        return ["sleep", "300." + mark]

    def plain(mark):
        subprocess.Popen(sleep(mark))

    def session(mark):
        subprocess.Popen(sleep(mark), start_new_session=True)

    def deaf(mark):
        subprocess.Popen(["sh", "-c", "trap '' HUP INT TERM IO CHLD; " + " ".join(sleep(mark)) + " & wait"])

    def bare(mark):
        subprocess.Popen(sleep(mark), env={}, cwd="/", start_new_session=True, stdin=subprocess.DEVNULL,
                         stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)

    def daemon(mark):
        child = os.fork()
        if not child:
            os.setsid()
            if os.fork():
                os._exit(0)
            os.chdir("/")
            os.closerange(0, 256)
            for _ in range(3):
                os.open("/dev/null", os.O_RDWR)
            os.execve("/usr/bin/env", ["env", "-i", "PATH=/usr/bin:/bin", *sleep(mark)], {})
        if signal.getsignal(signal.SIGCHLD) != signal.SIG_IGN:
            os.waitpid(child, 0)

    def unburied(mark):
        previous = signal.signal(signal.SIGCHLD, signal.SIG_IGN)
        daemon(mark)
        time.sleep(0.2)
        signal.signal(signal.SIGCHLD, previous)

    def everybody(mark):
        for start in (plain, session, deaf, bare, daemon, unburied):
            start(mark)

    def apply(input):
        if not input:
            return "fresh"
        end, mark, told = input
        everybody(mark)
        with open(told + ".part", "w") as file:
            file.write("started")
        os.rename(told + ".part", told)
        if end == "error":
            raise ValueError("no")
        if end == "exit":
            os._exit(0)
        if end == "killed":
            os.kill(os.getpid(), signal.SIGKILL)
        if end != "answer":
            time.sleep(300)
        return "done"
    """
KINDS = 6


def sleepers(mark: str) -> int:
    """How many processes with this mark on their command line there are on the machine."""
    count = 0
    for name in filter(str.isdecimal, os.listdir("/proc")):
        try:
            words = Path("/proc", name, "cmdline").read_bytes().split(b"\0")
        except OSError:
            continue
        count += words[:2] == [b"sleep", f"300.{mark}".encode()]
    return count


@pytest.fixture
def mark() -> str:
    return str(uuid.uuid4().int)[:12]


@pytest.mark.parametrize("end", ["answer", "error", "exit", "killed", "timeout", "close"])
def test_no_process_outlives_a_call_however_either_ends(
    end: str, mark: str, executor: Executor, build: Callable[..., Build], tmp_path: Path
) -> None:
    made, told = build(FAMILY), tmp_path / "told"
    outcomes: list[Outcome] = []

    def run(data: Any, timeout: float = 60.0) -> None:
        outcomes.append(executor.call(made, Payload("json", data), timeout=timeout, context=CONTEXT))

    run(None)
    caller = threading.Thread(target=run, args=([end, mark, str(told)], 5.0 if end == "timeout" else 60.0))
    caller.start()
    assert wait_until(lambda: told.exists() or len(outcomes) > 1)
    assert told.exists(), outcomes
    if end in ("timeout", "close"):
        assert wait_until(lambda: sleepers(mark) == KINDS)  # or else this could not fail
    if end == "close":
        executor.close()
    caller.join()
    assert sleepers(mark) == 0
    first, last = outcomes
    assert first.result == Payload("text", "fresh")
    expected = {"answer": None, "error": "no", "exit": "exited with code 0"}
    assert (last.failure.message if last.failure else None) == expected.get(end, last.failure and last.failure.message)
    if end != "close":
        run(None)
        assert outcomes[-1].result == Payload("text", "fresh")


def test_what_loading_started_stays_with_the_algorithm(
    mark: str, executor: Executor, build: Callable[..., Build]
) -> None:
    """A pool of helpers, for instance: it serves all calls, and ends with the process."""
    code = (
        FAMILY
        + f"""
    everybody("{mark}")
    calls = []

    def apply(input):
        calls.append(1)
        subprocess.run(["true"])
        return len(calls)
    """
    )
    made = build(code)
    answers = [executor.call(made, Payload("json", None), timeout=30, context=CONTEXT).result for _ in range(3)]
    assert answers == [Payload("json", n) for n in (1, 2, 3)]
    assert sleepers(mark) == KINDS
    executor.close()
    assert sleepers(mark) == 0


PLATFORM = """
import sys, time
from pathlib import Path
from algo_local.algorithms.build import Build
from algo_local.execution.executor import Executor
from algo_local.execution.workers.local_pool import LocalPool
from algo_local.callers import CallContext
from algo_local.execution.payload import Payload
source, module, processes, data = sys.argv[1:]
class Endpoint:
    address = "http://127.0.0.1:9"
build = Build(Path(source).name, Path(source), Path(sys.executable), module, "")
executor = LocalPool(Endpoint, Path(processes))
print("started", flush=True)
call = CallContext("jane", ("demo", "Hello"), "s", "r")
executor.call(build, Payload("json", ["busy", data, data + ".told"]), timeout=300, context=call)
"""


def platform_running(build: Build, processes: Path, data: str) -> subprocess.Popen[str]:
    command = [sys.executable, "-c", PLATFORM, str(build.source), build.module, str(processes), data]
    started = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
    assert started.stdout is not None
    assert started.stdout.readline() == "started\n"
    return started


def naming(text: str) -> list[str]:
    """The command lines on the machine with this text in them."""
    found = []
    for name in filter(str.isdecimal, os.listdir("/proc")):
        try:
            line = Path("/proc", name, "cmdline").read_bytes().replace(b"\0", b" ").decode()
        except OSError:
            continue
        if text in line:
            found.append(line)
    return found


@pytest.mark.usefixtures("confinement")
def test_no_process_outlives_a_platform_that_is_killed_while_a_call_runs(
    mark: str, build: Callable[..., Build], processes: Path, make_executor: Callable[..., Executor], tmp_path: Path
) -> None:
    made = build(FAMILY.replace("end, mark, told = input", f"end, told, mark = input[0], input[2], {mark!r}"))
    platform = platform_running(made, processes, str(tmp_path / "data"))
    try:
        assert wait_until((tmp_path / "data.told").exists)
        assert wait_until(lambda: sleepers(mark) == KINDS)
    finally:
        platform.kill()
        platform.communicate()
    assert wait_until(lambda: sleepers(mark) == 0)

    # What the platform could not remove any more the next one does.
    (left,) = processes.glob("p-*")
    executor = make_executor()
    executor.call(made, Payload("json", None), timeout=30, context=CONTEXT)
    assert wait_until(lambda: not left.exists())
    assert len(list(processes.glob("p-*"))) == 1


@pytest.mark.usefixtures("confinement")
def test_no_process_outlives_a_platform_that_is_killed_at_any_moment_of_a_start(
    write: Callable[..., Path], processes: Path, tmp_path: Path
) -> None:
    """From before anything is started until the algorithm has begun to load, which fails, and answers so."""
    name = f"Load{uuid.uuid4().hex[:8]}"
    made = Builder(tmp_path / "root").build(write("import no_such_module\napply = 1\n", name), "demo", name)
    for moment in (0.0, 0.005, 0.01, 0.02, 0.03, 0.04, 0.05, 0.06, 0.08, 0.1, 0.13, 0.16):
        platform = platform_running(made, processes, "x")
        time.sleep(moment)
        platform.send_signal(signal.SIGKILL)
        platform.communicate()
        assert wait_until(lambda: not naming(f"src.{name}")), (moment, naming(f"src.{name}"))


def test_a_supervisor_that_is_held_up_does_not_hold_up_the_platform(
    mark: str, executor: Executor, build: Callable[..., Build], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("algo_local.execution.workers.process._KILL_SECONDS", 0.5)
    code = """
        import os, signal, subprocess, time
        def apply(input):
            if input:
                subprocess.Popen(["sleep", "300." + input], start_new_session=True)
                os.kill(os.getppid(), signal.SIGSTOP)
                time.sleep(300)
            return 1
        """
    made = build(code)
    assert executor.call(made, Payload("json", None), timeout=30, context=CONTEXT).result == Payload("json", 1)
    outcome = executor.call(made, Payload("text", mark), timeout=1.0, context=CONTEXT)
    assert outcome.failure is not None
    assert wait_until(lambda: sleepers(mark) == 0), "it is killed, which takes a moment on a busy machine"
    assert executor.call(made, Payload("json", None), timeout=30, context=CONTEXT).result == Payload("json", 1)
