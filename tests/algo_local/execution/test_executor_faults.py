"""Algorithms that fail, hang, die, flood and cheat: each ends in a clear failure, in time, and harms no other call."""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Callable
from pathlib import Path

import pytest
from support.sandbox import running_with, wait_until

from algo_local.callers import CallContext
from algo_local.execution.executor import Executor
from algo_local.execution.payload import Failure, Outcome, Payload
from algo_local.execution.protocol import CANNOT_RUN
from algo_local.execution.workers.output import MAX_OUTPUT
from algo_local.execution.workers.process import AlgorithmProcess

CONTEXT = CallContext(caller="jane", algorithm=("demo", "Hello"), session="s-1", request_id="req-1")
Run = Callable[..., Outcome]


def failure_of(outcome: Outcome) -> Failure:
    assert outcome.result is None
    assert outcome.failure is not None
    return outcome.failure


WHO = "os.environ['ALGORITHMIA_API_KEY']"
"""What is in the environment of a worker's processes, and of no others on the machine."""


@pytest.fixture(params=["pidfd", "no pidfd"])
def each_system(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """Systems where the end of a process can be waited for, and those where it has to be looked for."""
    if request.param == "no pidfd":
        monkeypatch.delattr(os, "pidfd_open", raising=False)


def test_an_exception_is_a_failure_with_its_trace(run: Run) -> None:
    code = "def apply(input):\n    print('before')\n    raise ValueError('no such word: æ')\n"
    outcome = run(code)
    failure = failure_of(outcome)
    assert (failure.message, failure.error_type) == ("no such word: æ", "AlgorithmError")
    assert failure.stacktrace is not None
    assert "line 3, in apply" in failure.stacktrace
    assert outcome.stdout == "before\n"


def test_an_exception_without_a_message_says_its_kind(run: Run) -> None:
    assert failure_of(run("def apply(input):\n    raise KeyError\n")).message == "KeyError"


@pytest.mark.parametrize(
    ("given", "reported"),
    [
        ("'InputError'", "InputError"),
        ("'TooLargeError'", "TooLargeError"),
        ("'MadeUpError'", "AlgorithmError"),
        ("None", "AlgorithmError"),
        ("7", "AlgorithmError"),
    ],
)
def test_the_error_type_of_an_exception(run: Run, given: str, reported: str) -> None:
    code = f"class E(Exception):\n    error_type = {given}\ndef apply(input):\n    raise E('x')\n"
    assert failure_of(run(code)).error_type == reported


def test_a_failed_call_leaves_the_process_warm(run: Run) -> None:
    code = f"import os\ndef apply(input):\n    return {WHO} if input else 1 / 0\n"
    before = run(code, True).result
    assert failure_of(run(code, False)).message == "division by zero"
    assert run(code, True).result == before


@pytest.mark.usefixtures("each_system")
@pytest.mark.parametrize(
    ("statement", "message", "error_type"),
    [
        ("sys.exit(3)", "exited with code 3", "SystemExit"),
        ("os._exit(0)", "exited with code 0", "SystemExit"),
        ("os.kill(os.getpid(), signal.SIGSEGV)", "exited with code -99 (SIGSEGV)", "SystemExit"),
        ("os.kill(os.getpid(), signal.SIGRTMIN + 2)", "exited with code -99 (signal 36)", "SystemExit"),
        ("os.kill(os.getpid(), signal.SIGKILL)", CANNOT_RUN, "OutOfMemoryError"),
    ],
)
def test_a_process_that_dies_and_the_next_call(run: Run, statement: str, message: str, error_type: str) -> None:
    code = f"import os, signal, sys\ndef apply(input):\n    print('so far')\n    if input:\n        {statement}\n"
    outcome = run(code, 1)
    assert failure_of(outcome) == Failure(message, error_type)
    assert outcome.stdout == "so far\n"
    assert run(code, 0).result == Payload("json", None)


@pytest.mark.usefixtures("each_system")
@pytest.mark.parametrize("which", [0, -1])
def test_a_process_that_dies_while_idle_is_replaced(run: Run, which: int, monkeypatch: pytest.MonkeyPatch) -> None:
    settled = []
    settle = AlgorithmProcess.settle
    monkeypatch.setattr(AlgorithmProcess, "settle", lambda process: settled.append(process) or settle(process))
    code = f"import os\ndef apply(input):\n    return {WHO}\n"
    first = run(code).result
    assert first is not None
    victim = sorted(running_with(first.data))[which]  # the one that was started first, or last
    os.kill(victim, signal.SIGKILL)
    assert wait_until(lambda: victim not in running_with(first.data))
    time.sleep(0.1)  # whoever was told of its end may need a moment to hear it
    second = run(code)
    assert second.result is not None
    assert second.result.data != first.data
    assert running_with(first.data) == []
    assert len(settled) == 2, "after each call, and no call is given to the dead one again and again"


def test_output_before_the_end_of_an_answer_belongs_to_it(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    """However late its first piece is read: output and the rest may have come since it was there."""
    code = r"""
        import os, sys
        def apply(input):
            frame = sys._getframe()
            while "pipe" not in frame.f_locals:
                frame = frame.f_back
            pipe = frame.f_locals["pipe"]
            def answer(text):  # as an algorithm does that writes answers itself
                descriptor = os.open(pipe.path(), os.O_WRONLY)
                os.write(descriptor, text.encode())
                os.write(1, b"%d\n" % input)
                os.write(descriptor, b"\n")
                os.close(descriptor)
            pipe.answer = answer
            return input
    """
    read = os.read

    def late(descriptor: int, count: int) -> bytes:
        time.sleep(0.05)
        return read(descriptor, count)

    monkeypatch.setattr(os, "read", late)
    for number in range(3):
        outcome = run(code, number)
        assert (outcome.result, outcome.stdout) == (Payload("json", number), f"{number}\n")


@pytest.mark.usefixtures("each_system")
def test_an_answer_given_before_dying_counts(run: Run) -> None:
    code = (
        f"import os, threading\ndef apply(input):\n    threading.Timer(0.2, os._exit, [0]).start()\n    return {WHO}\n"
    )
    for _ in range(2):
        answer = run(code, timeout=60).result
        assert answer is not None
        assert wait_until(lambda answer=answer: running_with(answer.data) == [])


def test_a_failed_load_is_told_and_tried_again(run: Run, tmp_path: Path) -> None:
    code = f"""
        import os
        def load():
            print("loading")
            with open({str(tmp_path / "model")!r}) as file:
                return file.read()
        def apply(input, model):
            return model
        """
    outcome = run(code)
    assert failure_of(outcome).error_type == "LoadingError"
    assert "No such file" in failure_of(outcome).message
    assert outcome.stdout == "loading\n"
    (tmp_path / "model").write_text("weights")
    assert run(code).result == Payload("text", "weights")


def test_a_module_that_cannot_be_imported_is_told_with_its_trace(run: Run) -> None:
    outcome = run("print('hi')\nimport no_such_module\ndef apply(input):\n    return 1\n")
    failure = failure_of(outcome)
    assert (failure.message, failure.error_type) == ("No module named 'no_such_module'", "LoadingError")
    assert "line 2" in (failure.stacktrace or "")
    assert outcome.stdout == "hi\n"


@pytest.mark.usefixtures("each_system")
def test_a_module_that_exits_on_import(run: Run) -> None:
    outcome = run("import sys\nprint('bye')\nsys.exit(4)\ndef apply(input):\n    return 1\n")
    assert failure_of(outcome) == Failure("exited with code 4", "SystemExit")
    assert outcome.stdout == "bye\n"


@pytest.mark.parametrize("result", ["object()", "{1, 2}", "float('nan')", "[float('inf')]", "1j"])
def test_a_result_that_json_cannot_express(run: Run, result: str) -> None:
    assert "JSON" in failure_of(run(f"def apply(input):\n    return {result}\n")).message


def test_a_result_nested_too_deeply_for_either_side(run: Run) -> None:
    code = "def apply(input):\n    x = []\n    for _ in range(100_000):\n        x = [x]\n    return x\n"
    assert failure_of(run(code)).error_type in ("AlgorithmError", "SystemExit")
    assert run("def apply(input):\n    return 1\n").result == Payload("json", 1)


@pytest.mark.usefixtures("each_system")
def test_a_timeout_ends_the_process(run: Run, tmp_path: Path) -> None:
    code = f"""
        import os, time
        def apply(input):
            if not input:
                return "fresh"
            with open(input, "w") as file:
                file.write({WHO})
            print("waiting")
            time.sleep(300)
        """
    told = tmp_path / "who"
    assert run(code, "").result == Payload("text", "fresh")  # so that the time that follows is that of the call alone
    began = time.monotonic()
    outcome = run(code, str(told), timeout=2.0)
    assert time.monotonic() - began >= 2.0
    assert failure_of(outcome) == Failure(CANNOT_RUN, "TimeoutError")
    assert outcome.stdout == "waiting\n"
    assert running_with(told.read_text()) == []
    assert run(code, "").result == Payload("text", "fresh")


def test_loading_that_never_ends(run: Run) -> None:
    outcome = run("import time\nprint('hm')\ntime.sleep(300)\ndef apply(input):\n    return 1\n", timeout=3.0)
    assert failure_of(outcome) == Failure(CANNOT_RUN, "TimeoutError")
    assert outcome.stdout == "hm\n"


@pytest.mark.parametrize("ignored", ["SIGTERM", "SIGIO", "SIGINT"])
def test_signals_that_are_ignored_help_nobody(run: Run, ignored: str) -> None:
    code = f"import signal, time\nsignal.signal(signal.{ignored}, signal.SIG_IGN)\ndef apply(input):\n    time.sleep(300)\n"
    assert failure_of(run(code, timeout=1.0)) == Failure(CANNOT_RUN, "TimeoutError")


def test_a_flood_of_output_is_drained_and_cut(run: Run) -> None:
    code = "def apply(input):\n    while input:\n        print('x' * 1000)\n"
    assert run(code, "").failure is None  # so that the time that follows is that of the call alone
    outcome = run(code, timeout=1.5)
    assert failure_of(outcome).error_type == "TimeoutError"
    assert MAX_OUTPUT <= len(outcome.stdout) < MAX_OUTPUT + 100
    assert "more bytes of output dropped]" in outcome.stdout


def test_a_flood_from_a_thread_does_not_hold_up_the_answer(run: Run) -> None:
    code = """
        import sys, threading
        def flood():
            while True:
                sys.stderr.write("x" * 1000 + "\\n")
        def apply(input):
            threading.Thread(target=flood, daemon=True).start()
            return 1
        """
    assert run(code).result == Payload("json", 1)


def test_a_line_of_output_without_end_while_loading(run: Run) -> None:
    code = "import sys\nsys.stdout.write('x' * 5_000_000)\ndef apply(input):\n    return 1\n"
    outcome = run(code)
    assert outcome.result == Payload("json", 1)
    assert len(outcome.stdout) > MAX_OUTPUT // 2


@pytest.mark.parametrize(
    "statement",
    [
        "sys.stdout.close()",
        "os.close(1)",
        "os.close(1); os.close(2)",
        "sys.stdout = None",
        "sys.stdout = open(os.devnull)",
    ],
)
def test_closing_standard_output_loses_output_only(run: Run, statement: str) -> None:
    code = f"import os, sys\ndef apply(input):\n    {statement}\n    return 1\n"
    assert run(code).result == Payload("json", 1)


def test_closing_standard_output_while_loading_is_a_failure(run: Run) -> None:
    code = "import sys\nsys.stdout.close()\ndef apply(input):\n    return 1\n"
    assert failure_of(run(code)).error_type == "LoadingError"


def cheat(body: str) -> str:
    """An algorithm that speaks the protocol by itself, on import, in its own wrong way."""
    lines = "\n".join("    " + line for line in body.splitlines())
    return f"""
import json, os, sys, time
fifo = next(filter(os.path.exists, ["/run/algo/answers", os.environ["HOME"] + "/../run/answers"]))
def apply(input):
    return input
sys.stdout.write("PIPE_INIT_COMPLETE\\n")
sys.stdout.flush()
for line in sys.stdin:
{lines}
"""


@pytest.mark.parametrize(
    ("written", "part"),
    [
        ("garbage\\n", "not JSON"),
        ("\\xff\\xfe\\n", "not JSON"),
        ("\\n", "not JSON"),
        ("[1]\\n", "neither a result nor an error"),
        ('{"result": 1}\\n', "neither a result nor an error"),
        ('{"result": 1, "metadata": {"content_type": "text"}}\\n', "content type"),
        ('{"result": "!", "metadata": {"content_type": "binary"}}\\n', "not base64"),
        ('{"result": 1, "metadata": {"content_type": "void"}}\\n', "content type"),
        ('{"result": 1, "metadata": {}}\\n', "content type"),
        ('{"error": "plain words"}\\n', "plain words"),
        ('{"error": {"message": 7}}\\n', "7"),
        ("[" * 200_000 + "\\n", "nested too deeply"),
    ],
    ids=lambda value: value[:30],
)
def test_garbage_for_an_answer(run: Run, written: str, part: str) -> None:
    body = (
        f"with open(fifo, 'wb') as out:\n    out.write({written!r}.encode().decode('unicode_escape').encode('latin-1'))"
    )
    assert part in failure_of(run(cheat(body), timeout=60)).message


def test_never_answering(run: Run) -> None:
    assert failure_of(run(cheat("pass"), timeout=1.0)) == Failure(CANNOT_RUN, "TimeoutError")


def test_an_answer_without_a_line_end(run: Run) -> None:
    body = "with open(fifo, 'w') as out:\n    out.write('{\"result\"')"
    assert failure_of(run(cheat(body), timeout=1.0)).error_type == "TimeoutError"


def test_an_answer_too_many_is_not_the_next_callers(run: Run) -> None:
    body = f"""with open(fifo, 'w') as out:
    for n in (1, 2):
        out.write(json.dumps({{"result": [{WHO}, n], "metadata": {{"content_type": "json"}}}}) + "\\n")"""
    first, second = run(cheat(body)), run(cheat(body))
    assert first.result is not None
    assert second.result is not None
    assert first.result.data[1] == second.result.data[1] == 1
    assert first.result.data[0] != second.result.data[0]


def test_answering_before_the_request_was_read(run: Run) -> None:
    code = """
        import json, os, sys, time
        fifo = next(filter(os.path.exists, ["/run/algo/answers", os.environ["HOME"] + "/../run/answers"]))
        with open(fifo, "w") as out:
            out.write(json.dumps({"result": 1, "metadata": {"content_type": "json"}}) + "\\n")
        def apply(input):
            return 2
        sys.stdout.write("PIPE_INIT_COMPLETE\\n")
        sys.stdout.flush()
        time.sleep(300)
        """
    assert run(code, "x" * (4 << 20), timeout=60).result == Payload("json", 1)


def test_a_request_that_is_never_read(run: Run) -> None:
    code = """
        import sys, time
        sys.stdout.write("PIPE_INIT_COMPLETE\\n")
        sys.stdout.flush()
        def apply(input):
            return 2
        time.sleep(300)
        """
    assert failure_of(run(code, "x" * (10 << 20), timeout=1.0)) == Failure(CANNOT_RUN, "TimeoutError")


def test_closing_standard_input_ends_the_process_after_its_answer(run: Run) -> None:
    code = f"import os\ndef apply(input):\n    os.close(0)\n    return {WHO}\n"
    first = run(code, timeout=60).result
    assert first is not None
    assert wait_until(lambda: running_with(first.data) == [])
    second = run(code, timeout=60).result
    assert second is not None
    assert second.data != first.data


def test_a_fork_that_returns_into_the_runner_costs_no_one_else_an_answer(run: Run) -> None:
    code = "import os, time\ndef apply(input):\n    os.fork()\n    return input\n"
    assert run(code, 1, timeout=60).result == Payload("json", 1)
    time.sleep(0.3)  # the child answers as well, to nobody
    assert run(code, 2, timeout=60).result == Payload("json", 2)


def test_an_answer_beyond_all_limits(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("algo_local.execution.workers.process.MAX_ANSWER", 1_000_000)
    assert failure_of(run("def apply(input):\n    return 'x' * 2_000_000\n")).error_type == "TooLargeError"


@pytest.mark.usefixtures("each_system")
def test_no_files_or_descriptors_are_left(run: Run, processes: Path) -> None:
    code = "import os\ndef apply(input):\n    os._exit(1)\n"
    run(code)
    before = len(os.listdir("/proc/self/fd"))
    for _ in range(5):
        run(code)
    assert len(os.listdir("/proc/self/fd")) == before
    assert list(processes.glob("p-*")) == []


def test_an_interrupted_caller_ends_the_process(run: Run, executor: Executor, processes: Path) -> None:
    def interrupt(number: int, frame: object) -> None:
        raise KeyboardInterrupt

    previous = signal.signal(signal.SIGALRM, interrupt)
    signal.setitimer(signal.ITIMER_REAL, 0.5)
    try:
        with pytest.raises(KeyboardInterrupt):
            run("import time\ndef apply(input):\n    time.sleep(300)\n", timeout=60)
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, previous)
    assert executor._alive == set()
    assert list(processes.glob("p-*")) == []
