"""Nodes and drivers die: a call is answered once or is lost with a reason, and never runs twice."""

from __future__ import annotations

import os
import signal
import threading
import time
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

from algo_local.algorithms.build import Build
from algo_local.execution.payload import Payload
from algo_local.testing import PATIENCE, context_for, wait_for
from algo_ray.connection import Connection
from algo_ray.executor import RayExecutor

from .conftest import Endpoint, add_node

CLIENTS = 6
NOTED = """
import os, time
def apply(input):
    file = os.open(input["log"], os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o666)
    os.write(file, b"%d\\n" % input["number"])
    os.close(file)
    time.sleep(0.05)
    return input["number"]
"""
FAMILY = """
import subprocess, sys, time
def apply(seconds):
    if not seconds:
        return
    subprocess.Popen([sys.executable, "-c", "import time; time.sleep(600)"], start_new_session=True)
    print("began", flush=True)
    time.sleep(seconds)
"""


def processes(text: bytes) -> list[int]:
    """The processes with `text` in their command line."""
    found = []
    for name in filter(str.isdecimal, os.listdir("/proc")):
        try:
            command = Path("/proc", name, "cmdline").read_bytes()
        except OSError:
            continue
        if text in command and int(name) != os.getpid():
            found.append(int(name))
    return found


def test_nodes_are_killed_under_load(
    ray_cluster: Any, ray_executor: RayExecutor, build_code: Callable[[str], Build], tmp_path: Path
) -> None:
    made, log = build_code(NOTED), tmp_path / "log"
    log.touch()
    log.chmod(0o666)
    answered: list[int] = []
    lost: dict[int, str] = {}
    is_over = threading.Event()
    numbers = iter(range(1_000_000))
    lock = threading.Lock()

    def call_on() -> None:
        while not is_over.is_set():
            with lock:
                number = next(numbers)
            outcome = ray_executor.call(
                made, Payload("json", {"number": number, "log": str(log)}), timeout=PATIENCE, context=context_for()
            )
            with lock:
                if outcome.result:
                    assert outcome.result.data == number
                    answered.append(number)
                else:
                    assert outcome.failure is not None
                    assert outcome.failure.ended == "lost", outcome.failure
                    lost[number] = outcome.failure.message

    clients = [threading.Thread(target=call_on) for _ in range(CLIENTS)]
    extra = [add_node(ray_cluster, tmp_path / f"cache-{number}", number) for number in (3, 4)]
    for client in clients:
        client.start()
    try:
        for node in extra:
            before = len(answered)
            wait_for(lambda before=before: len(answered) > before + 3 * CLIENTS)
            ray_cluster.remove_node(node, allow_graceful=False)
        before = len(answered)
        wait_for(lambda: len(answered) > before + 3 * CLIENTS)
    finally:
        is_over.set()
        for client in clients:
            client.join(PATIENCE)
    ran = Counter(map(int, log.read_text().split()))
    assert max(ran.values()) == 1, "no call ran twice"
    assert set(answered) <= set(ran)
    assert not set(answered) & set(lost)
    assert all("lost" in reason for reason in lost.values())
    assert len(lost) <= 2 * CLIENTS
    assert len(answered) + len(lost) == next(numbers), "every call has come to its end"


def test_a_call_past_its_time_ends_with_its_children(
    ray_executor: RayExecutor, build_code: Callable[[str], Build]
) -> None:
    made, begun = build_code(FAMILY), len(processes(b"time.sleep(600)"))
    ready = ray_executor.call(made, Payload("json", 0), timeout=PATIENCE, context=context_for())
    assert ready.failure is None, "a worker is there before the time is taken"
    outcome = ray_executor.call(made, Payload("json", 600), timeout=2.0, context=context_for())
    assert outcome.failure is not None
    assert outcome.failure.error_type == "TimeoutError"
    assert outcome.stdout == "began\n"
    wait_for(lambda: len(processes(b"time.sleep(600)")) == begun)


def test_an_actor_that_hangs_costs_its_call_alone(
    ray_executor: RayExecutor, build_code: Callable[[str], Build]
) -> None:
    made = build_code("def apply(input):\n    return input\n")
    assert ray_executor.call(made, Payload("json", 0), timeout=PATIENCE, context=context_for()).result
    found = ray_executor.cluster()
    assert found
    (process,) = [int(actor["process"]) for actor in found["actors"] if actor["algorithm"] == "demo/Hello"]
    os.kill(process, signal.SIGSTOP)
    try:
        outcome = ray_executor.call(made, Payload("json", 1), timeout=0.5, context=context_for())
        assert outcome.failure
        assert outcome.failure.error_type == "TimeoutError"
        assert ray_executor.call(made, Payload("json", 2), timeout=PATIENCE, context=context_for()).result
    finally:
        os.kill(process, signal.SIGKILL)


def test_the_driver_is_killed(ray_cluster: Any, tmp_path: Path, build_code: Callable[[str], Build]) -> None:
    made = build_code("import time\ndef apply(x):\n    time.sleep(x)\n    return x\n")
    executor = RayExecutor(Endpoint, tmp_path / "executor", Connection(ray_cluster.address, tmp_path / "executor"))
    executor.start()
    try:
        call: list[Any] = []
        thread = threading.Thread(
            target=lambda: call.append(
                executor.call(made, Payload("json", 600), timeout=PATIENCE, context=context_for())
            )
        )
        thread.start()
        wait_for(lambda: executor.describe().busy)
        time.sleep(0.2)
        driver = executor._connection._process
        assert driver is not None
        os.kill(driver.pid, signal.SIGKILL)
        thread.join(PATIENCE)
        assert call[0].failure.ended == "lost"
        outcome = executor.call(made, Payload("json", 0), timeout=PATIENCE, context=context_for())
        assert outcome.result == Payload("json", 0), "a new driver serves the next call"
    finally:
        executor.close()
