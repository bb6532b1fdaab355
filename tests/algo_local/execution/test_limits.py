"""What an algorithm may use, and what it and its caller are told when that is not enough."""

from __future__ import annotations

import os
from collections.abc import Callable

import pytest

from algo_core.errors import ConfigError
from algo_local.algorithms.build import Build
from algo_local.callers import CallContext
from algo_local.execution.executor import Executor
from algo_local.execution.limits import Limits
from algo_local.execution.payload import Failure, Outcome, Payload

CONTEXT = CallContext(caller="jane", algorithm=("demo", "Hello"), session="s-1", request_id="req-1")
Run = Callable[..., Outcome]

GREEDY = """
    import os
    kept = []

    def at_once():
        bytearray(1 << 40)

    def little_by_little():
        words = []
        while True:
            words.append({str(len(words)): "x" * 100})

    def for_good():
        while True:
            kept.append(bytearray(1 << 20))

    def in_a_result():
        return "x" * (1 << 40)

    class ArrayMemoryError(MemoryError):
        pass

    def by_a_library():
        raise ArrayMemoryError("Unable to allocate 1.00 TiB for an array with shape (1, 2)")

    def apply(input):
        return globals()[input]() if input else os.environ["ALGORITHMIA_API_KEY"]
    """


@pytest.mark.parametrize("greed", ["at_once", "little_by_little", "for_good", "in_a_result", "by_a_library"])
def test_out_of_memory_is_told_in_the_platforms_words_and_the_next_call_is_served_afresh(
    greed: str, run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("ALGO_LOCAL_MEMORY", "200M")
    before = run(GREEDY, "")
    failure = run(GREEDY, greed).failure
    assert failure is not None
    assert failure.message == "Failed to run algorithm - may have timed-out or hit out-of-memory error"
    assert failure.error_type == "OutOfMemoryError"
    after = run(GREEDY, "")
    assert before.result is not None
    assert after.result is not None
    assert before.result != after.result


def test_out_of_memory_while_loading(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ALGO_LOCAL_MEMORY", "200M")
    failure = run("model = bytearray(300 << 20)\ndef apply(input):\n    return 1\n").failure
    assert failure is not None
    assert failure.error_type == "OutOfMemoryError"


def test_an_error_that_names_memory_errors_is_the_algorithms_own(run: Run) -> None:
    failure = run("def apply(input):\n    raise ValueError('MemoryError: no')\n").failure
    assert failure is not None
    assert (failure.message, failure.error_type) == ("MemoryError: no", "AlgorithmError")


def test_memory_within_the_limit_is_given(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ALGO_LOCAL_MEMORY", "400M")
    assert run("def apply(input):\n    return len(bytearray(100 << 20))\n").result == Payload("json", 100 << 20)


def test_files_cannot_grow_beyond_their_limit(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ALGO_LOCAL_FILE_SIZE", "1M")
    code = "def apply(size):\n    with open('big', 'wb') as file:\n        file.write(bytes(size))\n    return size\n"
    assert run(code, 1 << 20).result == Payload("json", 1 << 20)
    failure = run(code, (1 << 20) + 1).failure
    assert failure is not None
    assert "File too large" in failure.message


def test_files_that_are_open_are_limited_and_no_memory_image_is_ever_written(
    run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("ALGO_LOCAL_OPEN_FILES", "50")
    code = """
        import resource
        def apply(input):
            if input:
                return [open("/dev/null") for _ in range(100)]
            return [resource.getrlimit(resource.RLIMIT_NOFILE), resource.getrlimit(resource.RLIMIT_CORE)[0]]
        """
    assert run(code, []).result == Payload("json", [[50, 50], 0])
    failure = run(code, [1]).failure
    assert failure is not None
    assert "Too many open files" in failure.message


@pytest.mark.parametrize("confinement", ["sandbox"], indirect=True)
def test_processes_and_threads_are_limited_for_each_algorithm_by_itself(
    executor: Executor, build: Callable[..., Build], monkeypatch: pytest.MonkeyPatch
) -> None:
    """In a sandbox: elsewhere the system counts all that the platform's user runs, and does not count for root."""
    monkeypatch.setenv("ALGO_LOCAL_PROCESSES", "20")
    code = """
        import os, signal, threading, time

        def forks():
            children = []
            try:
                while len(children) < 300:
                    child = os.fork()
                    if not child:
                        time.sleep(60)
                        os._exit(0)
                    children.append(child)
            except BlockingIOError:
                pass
            for child in children:
                os.kill(child, signal.SIGKILL)
                os.waitpid(child, 0)
            return len(children)

        def threads():
            stop, started = threading.Event(), []
            try:
                while len(started) < 300:
                    started.append(threading.Thread(target=stop.wait))
                    started[-1].start()
            except RuntimeError:
                started.pop()
            stop.set()
            for thread in started:
                thread.join()
            return len(started)

        def apply(input):
            return [forks(), threads()]
        """
    made = build(code)
    limit = 20 if os.getuid() == 0 else 20 + tasks_of_ours()
    answers = [executor.call(made, Payload("json", None), timeout=60, context=CONTEXT).result for _ in range(2)]
    for answer in answers:
        assert answer is not None
        assert all(10 < count < limit for count in answer.data), answer


def tasks_of_ours() -> int:
    from algo_local.execution.workers.process_tree import tasks_of

    return tasks_of(os.getuid()) + 50


@pytest.mark.parametrize(
    ("text", "size"),
    [("512", 512), ("2G", 2 << 30), ("1.5", None), ("64 MiB", 64 << 20), ("3kb", 3 << 10), ("-1", None)],
)
def test_sizes_are_read_or_refused_by_name(text: str, size: int | None) -> None:
    if size is None:
        with pytest.raises(ConfigError, match="ALGO_LOCAL_MEMORY must be a size above 0"):
            Limits.of({"ALGO_LOCAL_MEMORY": text})
    else:
        assert Limits.of({"ALGO_LOCAL_MEMORY": text}).memory == size


@pytest.mark.parametrize("text", ["2G", "0", "-1", "1.5", "\u0663", "1_000", "9" * 30])
def test_a_count_is_no_size(text: str) -> None:
    with pytest.raises(ConfigError, match="ALGO_LOCAL_OPEN_FILES must be a whole number above 0"):
        Limits.of({"ALGO_LOCAL_OPEN_FILES": text})


def test_without_settings_an_algorithm_may_use_most_of_the_machine() -> None:
    limits = Limits.of({})
    physical = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    assert physical // 2 < limits.memory < physical
    assert min(limits.processes, limits.open_files) > 100
    assert limits.file_size > 1 << 30


def test_a_wrong_limit_is_told_to_the_caller(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ALGO_LOCAL_PROCESSES", "many")
    outcome = run("def apply(input):\n    return 1\n")
    assert outcome.failure == Failure(
        "ALGO_LOCAL_PROCESSES must be a whole number above 0, not 'many'. Correct or unset ALGO_LOCAL_PROCESSES",
        "SystemError",
    )
