"""Calls that succeed: content types, output, replicas, who a process acts for, and how it ends."""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from support.sandbox import running_with, wait_until

from algo_local.algorithms.build import Build
from algo_local.callers import CallContext
from algo_local.execution.executor import Executor
from algo_local.execution.payload import Outcome, Payload
from algo_local.execution.workers.launch import base_environment
from algo_local.refusals import TooManyCalls

CONTEXT = CallContext(caller="jane", algorithm=("demo", "Hello"), session="s-1", request_id="req-1")
ECHO = "def apply(input):\n    return input\n"
WHO = "import os\ndef apply(input):\n    return os.environ['ALGORITHMIA_API_KEY']\n"
"""Tells one worker from another, and a sandboxed process from all others of the machine."""


@pytest.mark.parametrize(
    "data",
    [
        "HAL 9000",
        "",
        "two\nlines\u2028and æ, 猫, \U0001f600",
        "half a pair \ud83d",
        b"",
        bytes(range(256)),
        None,
        True,
        0,
        -1.5,
        10**100,
        [],
        {},
        {"a": [1, {"b": None}], "æ": "ø"},
    ],
    ids=repr,
)
def test_input_comes_back_as_it_was(run: Callable[..., Outcome], data: Any) -> None:
    outcome = run(ECHO, data)
    assert outcome.failure is None
    assert outcome.result is not None
    assert outcome.result.data == data
    expected = "text" if isinstance(data, str) else "binary" if isinstance(data, bytes) else "json"
    assert outcome.result.content_type == expected


def test_bytearray_is_binary(run: Callable[..., Outcome]) -> None:
    outcome = run("def apply(input):\n    return bytearray(b'\\x00\\xff')\n")
    assert outcome.result == Payload("binary", b"\x00\xff")


def test_ten_mebibytes_in_and_fifteen_megabytes_out(run: Callable[..., Outcome]) -> None:
    outcome = run("def apply(input):\n    return 'y' * (15_000_000 + len(input) - (10 << 20))\n", "x" * (10 << 20))
    assert outcome.result is not None
    assert len(outcome.result.data) == 15_000_000


def test_output_of_both_streams_in_the_order_of_its_lines(run: Callable[..., Outcome]) -> None:
    code = """
        import subprocess, sys
        print("loading")
        def apply(input):
            print("one")
            print("two", file=sys.stderr)
            subprocess.run(["echo", "three"])
            print("four æ", end="")
            return input
        """
    assert run(code).stdout == "loading\none\ntwo\nthree\nfour æ"
    assert run(code).stdout == "one\ntwo\nthree\nfour æ"


def test_a_process_stays_warm_and_counts_its_calls(run: Callable[..., Outcome]) -> None:
    code = "calls = []\ndef apply(input):\n    calls.append(input)\n    return len(calls)\n"
    assert [run(code).result.data for _ in range(3)] == [1, 2, 3]  # type: ignore[union-attr]  # it succeeds


def test_load_runs_once_and_its_result_is_the_second_argument(run: Callable[..., Outcome]) -> None:
    code = """
        from json import loads
        def load():
            print("loaded")
            return {"greeting": "Hello"}
        def apply(input, state):
            return state["greeting"] + " " + input
        """
    first, second = run(code, "HAL 9000"), run(code, "HAL 9000")
    assert first.result == second.result == Payload("text", "Hello HAL 9000")
    assert (first.stdout, second.stdout) == ("loaded\n", "")


def test_a_load_that_is_not_the_modules_own_is_left_alone(run: Callable[..., Outcome]) -> None:
    assert run("from json import load\ndef apply(input):\n    return 1\n").result == Payload("json", 1)
    assert run("def load(path):\n    return 1 / 0\ndef apply(input):\n    return 2\n").result == Payload("json", 2)


def test_duration_is_that_of_the_call_without_the_start(run: Callable[..., Outcome]) -> None:
    code = "import time\ntime.sleep(0.5)\ndef apply(input):\n    time.sleep(0.1)\n"
    began = time.monotonic()
    outcome = run(code)
    took = time.monotonic() - began
    assert 0.1 <= outcome.duration <= took - 0.5


def test_calls_at_once_run_at_once_up_to_the_limit(
    make_executor: Callable[..., Executor], build: Callable[..., Build]
) -> None:
    made, executor = (
        build(f"import time\n{WHO}".replace("return", "time.sleep(0.2)\n    return")),
        make_executor(most=2),
    )
    with ThreadPoolExecutor(6) as threads:
        calls = [threads.submit(executor.call, made, Payload("json", n), timeout=60, context=CONTEXT) for n in range(6)]
        results = [call.result().result for call in calls]
    assert len({result.data for result in results if result}) == 2
    assert None not in results


HOLD = """
    import os, time
    def apply(path):
        while path and not os.path.exists(path):
            time.sleep(0.01)
    """
"""Runs until there is such a file."""


def test_an_algorithm_that_calls_itself_does_not_wait_for_itself(
    make_executor: Callable[..., Executor], build: Callable[..., Build], tmp_path: Path
) -> None:
    made, goes_on, executor = build(HOLD), tmp_path / "goes-on", make_executor(most=1)
    with ThreadPoolExecutor(1) as threads:
        outer = threads.submit(executor.call, made, Payload("text", str(goes_on)), timeout=60, context=CONTEXT)
        assert wait_until(lambda: bool(executor._serving))
        inner = executor.call(made, Payload("text", ""), timeout=60, context=replace(CONTEXT, depth=1))
        assert not outer.done()
        goes_on.touch()
        assert inner.failure is None
        assert outer.result().failure is None


def test_waiting_for_a_worker_ends_with_the_timeout(
    make_executor: Callable[..., Executor], build: Callable[..., Build], tmp_path: Path
) -> None:
    made, goes_on, executor = build(HOLD), tmp_path / "goes-on", make_executor(most=1)
    with ThreadPoolExecutor(1) as threads:
        busy = threads.submit(executor.call, made, Payload("text", str(goes_on)), timeout=60, context=CONTEXT)
        assert wait_until(lambda: bool(executor._serving))
        outcome = executor.call(made, Payload("text", ""), timeout=0.2, context=CONTEXT)
        assert not busy.done()
        goes_on.touch()
    assert outcome.failure is not None
    assert outcome.failure.error_type == "TimeoutError"
    assert busy.result().failure is None


def test_two_algorithms_at_once_get_their_own_answers(executor: Executor, build: Callable[..., Build]) -> None:
    one = build("def apply(input):\n    return 'one ' + str(input)\n")
    two = build("def apply(input):\n    return 'two ' + str(input)\n")

    def many(made: Build, name: str) -> bool:
        outcomes = [executor.call(made, Payload("json", n), timeout=60, context=CONTEXT) for n in range(50)]
        return [outcome.result for outcome in outcomes] == [Payload("text", f"{name} {n}") for n in range(50)]

    with ThreadPoolExecutor(4) as threads:
        calls = [threads.submit(many, *pair) for pair in [(one, "one"), (two, "two")] * 2]
        assert all(call.result() for call in calls)
    assert not os.path.exists("/tmp/algoout")


def test_the_token_tells_who_the_process_acts_for_while_it_does(
    executor: Executor, build: Callable[..., Build], tmp_path: Path
) -> None:
    code = """
        import os, time
        def apply(input):
            key = os.environ["ALGORITHMIA_API_KEY"]
            open(input, "w").write(key)
            while os.path.exists(input):
                time.sleep(0.01)
            return [key, os.environ["ALGORITHMIA_API"]]
        """
    made, told = build(code), tmp_path / "token"
    with ThreadPoolExecutor(1) as threads:
        call = threads.submit(executor.call, made, Payload("text", str(told)), timeout=60, context=CONTEXT)
        assert wait_until(lambda: told.exists() and bool(told.read_text()))
        token = told.read_text()
        assert executor.context_of(token) is CONTEXT
        told.unlink()
        outcome = call.result()
    assert outcome.result == Payload("json", [token, "http://127.0.0.1:9"])
    assert token.startswith("sim")
    assert len(token) == 28
    assert executor.context_of(token) is None
    assert executor.context_of("sim" + "0" * 25) is None


def test_loading_already_acts_for_the_caller(
    executor: Executor, build: Callable[..., Build], monkeypatch: pytest.MonkeyPatch
) -> None:
    held: list[CallContext | None] = []
    endpoint = executor._endpoint
    monkeypatch.setattr(
        executor, "_endpoint", lambda: held.append(next(iter(executor._serving.values()))) or endpoint()
    )
    executor.call(build(ECHO), Payload("text", "x"), timeout=60, context=CONTEXT)
    assert held == [CONTEXT]


def test_algorithms_see_none_of_our_secrets(
    run: Callable[..., Outcome], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "hush")
    monkeypatch.setenv("ALGORITHMIA_API_KEY", "simHUSH")
    monkeypatch.setenv("PYTHONPATH", str(tmp_path / "hush"))
    code = "import os, sys\ndef apply(input):\n    return [dict(os.environ), os.getcwd(), sys.path]\n"
    result = run(code).result
    assert result is not None
    environment, directory, path = result.data
    assert not any("hush" in value.lower() for value in [*environment.values(), *path])
    assert environment["HOME"] != os.environ.get("HOME")
    assert environment["LANG"] == "C.UTF-8"
    assert not any("site-packages" in entry for entry in path)
    assert os.path.basename(directory) == "algorithm"
    assert path[0] == directory


def test_certificates_and_proxies_without_passwords_are_passed_on(tmp_path: Path) -> None:
    ours = {
        "PATH": "/bin",
        "REQUESTS_CA_BUNDLE": str(tmp_path),
        "SSL_CERT_FILE": str(tmp_path / "missing"),
        "http_proxy": "http://proxy:3128",
        "https_proxy": "http://me:secret@proxy:3128",
        "no_proxy": "internal",
    }
    environment = base_environment(ours)
    assert environment["REQUESTS_CA_BUNDLE"] == str(tmp_path)
    assert environment["http_proxy"] == "http://proxy:3128"
    assert environment["no_proxy"] == environment["NO_PROXY"] == "internal,127.0.0.1,localhost"
    assert "SSL_CERT_FILE" not in environment
    assert "https_proxy" not in environment


def test_files_beside_the_code_are_read_and_new_ones_stay_private(
    executor: Executor, build: Callable[..., Build]
) -> None:
    code = """
        import os
        def apply(input):
            with open("notes.txt", "w") as file:
                file.write("mine")
            return open("resources/words.txt").read()
        """
    made = build(code, **{"resources/words.txt": "hello"})
    outcome = executor.call(made, Payload("text", ""), timeout=60, context=CONTEXT)
    assert outcome.result == Payload("text", "hello")
    assert not (made.source / "notes.txt").exists()


def test_an_idle_worker_ends_after_a_while(
    make_executor: Callable[..., Executor], build: Callable[..., Build], processes: Path
) -> None:
    executor, made = make_executor(idle=0.2), build(WHO)
    first = executor.call(made, Payload("text", ""), timeout=60, context=CONTEXT).result
    assert first is not None
    assert wait_until(lambda: not list(processes.glob("p-*")))
    assert running_with(first.data) == []
    second = executor.call(made, Payload("text", ""), timeout=60, context=CONTEXT).result
    assert second is not None
    assert second.data != first.data


def test_closing_ends_idle_workers_at_once_and_twice_is_fine(
    executor: Executor, build: Callable[..., Build], processes: Path
) -> None:
    outcome = executor.call(build(WHO), Payload("text", ""), timeout=60, context=CONTEXT)
    executor.close()
    executor.close()
    assert outcome.result is not None
    assert running_with(outcome.result.data) == []
    assert not list(processes.glob("p-*"))


def test_closing_cuts_a_running_call_short_and_refuses_new_ones(
    executor: Executor, build: Callable[..., Build]
) -> None:
    made = build("import time\ndef apply(input):\n    time.sleep(60)\n")
    outcomes: list[Outcome] = []
    caller = threading.Thread(
        target=lambda: outcomes.append(executor.call(made, Payload("text", ""), timeout=60, context=CONTEXT))
    )
    caller.start()
    assert wait_until(lambda: bool(executor._alive))
    executor.close()
    caller.join(60)
    outcomes.append(executor.call(made, Payload("text", ""), timeout=60, context=CONTEXT))
    assert [outcome.failure.message for outcome in outcomes if outcome.failure] == ["The platform is shutting down"] * 2


def test_nothing_is_kept_about_builds_without_processes(executor: Executor, build: Callable[..., Build]) -> None:
    executor.call(
        build("def apply(input):\n    raise SystemExit(1)\n"), Payload("text", ""), timeout=60, context=CONTEXT
    )
    assert (executor._scheduler.pools, executor._alive, executor._serving) == ({}, set(), {})


@pytest.mark.parametrize(
    "gone",
    [{"source": Path("/nonexistent/source")}, {"python": Path("/nonexistent/environments", "0" * 40, "bin/python")}],
)
def test_a_build_that_is_gone_is_explained(
    executor: Executor, build: Callable[..., Build], gone: dict[str, Path]
) -> None:
    made = replace(build(ECHO), **gone)
    failure = executor.call(made, Payload("text", ""), timeout=60, context=CONTEXT).failure
    assert failure is not None
    assert "publish the algorithm again" in failure.message
    assert executor._scheduler.pools == {}


def test_a_full_queue_refuses_clients_and_no_nested_calls(
    make_executor: Callable[..., Executor], build: Callable[..., Build], tmp_path: Path
) -> None:
    made, goes_on, executor = build(HOLD), tmp_path / "goes-on", make_executor(most=1, queue=1)
    with ThreadPoolExecutor(3) as threads:
        begun = []
        for number in range(2):
            context = replace(CONTEXT, request_id=f"req-{number}")
            begun.append(
                threads.submit(executor.call, made, Payload("text", str(goes_on)), timeout=60, context=context)
            )
            assert wait_until(lambda number=number: executor.describe()[1:3] == (1, number))
        with pytest.raises(TooManyCalls):
            executor.call(made, Payload("text", ""), timeout=60, context=replace(CONTEXT, request_id="req-3"))
        nested = replace(CONTEXT, request_id="req-4", depth=1)
        assert executor.call(made, Payload("text", ""), timeout=60, context=nested).failure is None
        goes_on.touch()
        assert [call.result().failure for call in begun] == [None, None]


@pytest.mark.parametrize("options", [{"calls": 2}, {"age": 0.0}, {"memory": 1}])
def test_workers_are_replaced_when_they_are_old_or_large(
    make_executor: Callable[..., Executor], build: Callable[..., Build], options: dict[str, Any]
) -> None:
    executor, made = make_executor(**options), build(WHO)
    names = [executor.call(made, Payload("text", ""), timeout=60, context=CONTEXT).result for _ in range(9)]
    assert None not in names
    assert len({name.data for name in names if name}) == {"calls": 5, "age": 9, "memory": 2}[next(iter(options))]


def test_what_cannot_be_loaded_is_not_started_for_every_call(
    make_executor: Callable[..., Executor], build: Callable[..., Build], tmp_path: Path
) -> None:
    tried = tmp_path / "tried"
    tried.touch()
    tried.chmod(0o666)  # in the sandbox of a platform that is root, algorithms are somebody else
    code = f"import os\nwith open({str(tried)!r}, 'a') as file:\n    file.write('x')\nos._exit(3)\ndef apply(input):\n    pass\n"
    executor, made = make_executor(), build(code)
    failures = [executor.call(made, Payload("text", ""), timeout=60, context=CONTEXT).failure for _ in range(20)]
    assert {failure.message for failure in failures if failure} == {"exited with code 3"}
    assert len(tried.read_text()) < 10
