"""Processes for many small files: used where they pay, unnoticed when they fail, never left behind."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest

from algo_core.errors import ExitCode
from algo_core.storage.contract import Entry, Kind
from algo_core.storage.uri import LOCAL, DataUri
from algo_data.engine import CopyOptions
from algo_data.engine.run import processes
from algo_data.engine.run.concurrency import BatchSize
from algo_data.engine.run.processes import CopyProcess, processes_for
from algo_data.engine.transfer import Place, Transfer
from algo_data.local.partial_file import LocalPartialFile
from algo_data.local.storage import LocalStorage

STORAGE = LocalStorage()
HERE = Place(STORAGE, DataUri(LOCAL, "."))
COUNT = 510
NAMES = [f"f{number:03}" for number in range(COUNT)]

pytestmark = pytest.mark.skipif(
    sys.platform != "linux" or len(os.sched_getaffinity(0)) < 2,
    reason="there are none but on Linux with two processors",
)


def transfer(source: Path, target: Path, size: int | None = None) -> Transfer:
    uris = DataUri(LOCAL, str(source)), DataUri(LOCAL, str(target))
    listed = None if size is None else Entry(uris[0], Kind.FILE, size=size)
    return Transfer(Place(STORAGE, uris[0]), Place(STORAGE, uris[1]), listed)


@pytest.fixture
def other():
    """The process, which copies files of this machine."""
    made = CopyProcess([HERE], CopyOptions())
    yield made
    made.end()


# The process itself


def test_it_copies_and_says_what_it_could_not(other, work):
    (work / "a").write_bytes(b"content")
    (work / "empty").write_bytes(b"")
    wishes = [
        transfer(work / "a", work / "b"),
        transfer(work / "nothing", work / "c"),
        transfer(work / "empty", work / "d"),
        transfer(work / "a", work / "no" / "directory"),
    ]
    found = other.copy(wishes)
    assert [entry and (str(entry.uri), entry.size) for entry in found] == [
        (str(work / "b"), 7),
        None,
        (str(work / "d"), 0),
        None,
    ]
    assert (work / "b").read_bytes() == b"content"
    assert sorted(os.listdir(work)) == ["a", "b", "d", "empty"]


def test_it_takes_what_is_small_and_only_copied(other, work):
    plain = transfer(work / "a", work / "b", 10)
    assert other.takes(plain)
    assert not other.takes(transfer(work / "a", work / "b", 10 << 20))
    assert not other.takes(Transfer(plain.source, plain.target, plain.entry, removes_source=True))
    elsewhere = LocalStorage()
    assert not other.takes(Transfer(Place(elsewhere, plain.source.uri), plain.target, plain.entry))
    assert not other.takes(Transfer(plain.source, Place(STORAGE, DataUri("s3", "bucket/b")), plain.entry))


def test_nothing_is_copied_when_it_has_gone(work):
    (work / "a").write_text("x")
    made = CopyProcess([HERE], CopyOptions())
    os.kill(made._process, signal.SIGKILL)
    assert made.copy([transfer(work / "a", work / "b")] * 3) == [None] * 3
    assert not made.is_alive
    made.end()
    with pytest.raises(ChildProcessError):
        os.waitpid(made._process, os.WNOHANG)


def test_it_ends_at_once_and_leaves_nothing_beside(work, monkeypatch):
    def hang(self):
        (work / "reached").touch()
        time.sleep(60)

    monkeypatch.setattr(LocalPartialFile, "commit", hang)
    (work / "a").write_text("x")
    (work / "b").write_text("older")  # a new file would have no hidden one
    made = CopyProcess([HERE], CopyOptions())
    asking = threading.Thread(target=made.copy, args=([transfer(work / "a", work / "b")],))
    asking.start()
    wait_for((work / "reached").exists)
    assert [name for name in os.listdir(work) if name.endswith(".algo-part")]
    made.end()
    asking.join(60)
    assert not asking.is_alive()
    assert sorted(os.listdir(work)) == ["a", "b", "reached"]
    with pytest.raises(ProcessLookupError):
        os.kill(made._process, 0)


# Whether there is one


class Asked(LocalStorage):
    may = True

    def can_fork(self) -> bool:
        return self.may


@pytest.fixture
def wanted(monkeypatch, work):
    """Whether there would be one for so many transfers."""
    monkeypatch.setattr(threading, "enumerate", lambda: [threading.current_thread()])
    monkeypatch.setattr(os, "sched_getaffinity", lambda process: {0, 1})
    monkeypatch.setattr(processes, "CopyProcess", lambda places, options, at_once: f"made for {at_once}")

    def ask(count: int = COUNT, options: CopyOptions | None = None, storage: object = STORAGE, size: int = 10) -> list:
        uri = DataUri(LOCAL, str(work / "f"))
        one = Transfer(Place(storage, uri), Place(STORAGE, uri), Entry(uri, Kind.FILE, size=size))
        return processes_for([one] * count, options or CopyOptions())

    return ask


def test_many_small_files_have_one(wanted):
    assert wanted()
    assert wanted(storage=Asked())


@pytest.mark.parametrize(
    "case",
    [
        {"count": 100},
        {"size": 1 << 20},
        {"options": CopyOptions(max_transfers=1)},
        {"options": CopyOptions(bwlimit=10_000)},
        {"storage": object()},
    ],
)
def test_others_have_none(wanted, case):
    assert not wanted(**case)


def test_what_may_not_be_divided_is_not(wanted):
    storage = Asked()
    storage.may = False
    assert not wanted(storage=storage)


def test_there_is_none_beside_other_threads(wanted, monkeypatch):
    others = [threading.current_thread(), threading.Thread()]
    monkeypatch.setattr(threading, "enumerate", lambda: others)
    assert not wanted()


def test_a_thread_that_can_be_held_up_is_while_they_are_made(wanted, monkeypatch):
    other, held = threading.Thread(), []
    other.fork_lock = threading.Lock()
    monkeypatch.setattr(threading, "enumerate", lambda: [threading.current_thread(), other])
    monkeypatch.setattr(processes, "CopyProcess", lambda *arguments: held.append(other.fork_lock.locked()))
    assert wanted()
    assert held == [True, True]
    assert not other.fork_lock.locked()


# From a command


def wait_for(condition) -> None:
    until = time.monotonic() + 60
    while not condition():
        assert time.monotonic() < until
        time.sleep(0.01)


def is_alive(number: int) -> bool:
    try:
        return Path(f"/proc/{number}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except (FileNotFoundError, ProcessLookupError):
        return False


def children(process: subprocess.Popen[bytes]) -> list[int]:
    path = Path(f"/proc/{process.pid}/task/{process.pid}/children")
    return [int(word) for word in path.read_text().split()] if path.exists() else []


@pytest.fixture
def decided(home, tmp_path):
    """A home whose `algo` plans as many transfers as it needs to decide by, on a busy machine, too."""
    (tmp_path / "patient").mkdir()
    (tmp_path / "patient" / "sitecustomize.py").write_text(
        "import algo_data.engine.run.runner\nalgo_data.engine.run.runner.MOMENT = 60\n"
    )
    home.environ["PYTHONPATH"] = str(tmp_path / "patient")
    return home


@pytest.fixture
def halfway(decided, data_platform, work):
    """`algo cp` of many files, down or up, which stands still in the middle; the process, and its children's ids."""
    reached = threading.Event()
    started = []

    def start(is_down: bool) -> tuple[subprocess.Popen[bytes], list[int]]:
        def hold(handler) -> bool:
            reached.set()
            data_platform.flag.wait(60)
            return False

        method = "GET" if is_down else "PUT"
        data_platform.fail(method, "00", hold, times=99)
        if is_down:
            data_platform.files |= {f"data/.my/c/{name}": name.encode() for name in NAMES}
            words = ["data://.my/c/*", str(work)]
        else:
            for name in NAMES:
                (work / name).write_text(name)
            words = [*(str(work / name) for name in NAMES), "data://.my/c"]
        process = subprocess.Popen(
            decided.command("cp", *words), env=decided.environ, stdout=subprocess.PIPE, stderr=subprocess.PIPE
        )
        started.append(process)
        assert reached.wait(60)
        wait_for(lambda: len(children(process)) > 1)
        return process, children(process)

    yield start
    for process in started:
        if process.poll() is None:
            process.kill()
        process.communicate()


def test_they_do_the_work(halfway, data_platform, work):
    process, others = halfway(is_down=True)
    data_platform.flag.set()
    out, err = process.communicate(timeout=60)
    assert process.returncode == ExitCode.OK, err
    assert sorted(os.listdir(work)) == NAMES
    assert len(out.splitlines()) == COUNT
    assert data_platform.requests("GET").count("GET data/.my/c/f001") == 1
    assert len(data_platform.requests("GET")) == COUNT + 1
    assert not any(map(is_alive, others))


@pytest.mark.parametrize("limit", [None, 3])
def test_each_has_several_files_under_way_within_the_limit(decided, data_platform, work, limit):
    data_platform.files |= {f"data/.my/c/{name}": name.encode() for name in NAMES}
    lock, now, most = threading.Lock(), 0, 0

    def count(handler) -> bool:
        nonlocal now, most
        with lock:
            now += 1
            most = max(most, now)
        time.sleep(0.002)
        with lock:
            now -= 1
        return False

    for digit in range(10):
        data_platform.fail("GET", str(digit), count, times=COUNT)
    words = ["--max-transfers", str(limit)] if limit else []
    result = decided.run("cp", *words, "data://.my/c/*", work)
    assert result.code == ExitCode.OK, result.stderr
    assert len(os.listdir(work)) == COUNT
    assert most <= limit if limit else most > 4


def test_as_many_are_handed_over_as_are_under_way_however_long_they_take():
    now = 0.0
    batch = BatchSize(8, lambda: now)
    for seconds, size in ((0.001, 16), (0.001, 32), (0.1, 16), (0.1, 8), (0.1, 8), (0.005, 8), (0.001, 16)):
        with batch:
            now += seconds
        assert batch.size == size


@pytest.mark.parametrize("most", [None, 2, 8])
def test_they_get_half_of_what_may_be_at_once(wanted, most):
    found = wanted(options=CopyOptions(max_transfers=most))
    assert found[0] == {None: "made for 8", 2: "made for 1", 8: "made for 2"}[most]


@pytest.mark.parametrize("is_down", [True, False])
@pytest.mark.parametrize("count", [1, 9])
def test_when_some_die_the_files_arrive_all_the_same(halfway, data_platform, work, is_down, count):
    process, others = halfway(is_down)
    for other in others[:count]:
        os.kill(other, signal.SIGKILL)
    data_platform.flag.set()
    out, err = process.communicate(timeout=60)
    assert process.returncode == ExitCode.OK, err
    assert len(set(out.splitlines())) == COUNT
    if is_down:
        assert sorted(os.listdir(work)) == NAMES
        assert all((work / name).read_text() == name for name in NAMES)
    else:
        assert data_platform.files == {f"data/.my/c/{name}": name.encode() for name in NAMES}


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_all_end_when_the_command_is_stopped(halfway, work, number):
    process, others = halfway(is_down=True)
    process.send_signal(number)
    process.communicate(timeout=60)
    assert process.returncode == {signal.SIGINT: ExitCode.INTERRUPTED, signal.SIGTERM: ExitCode.TERMINATED}[number]
    assert not [name for name in os.listdir(work) if name.startswith(".")]
    assert not any(map(is_alive, others))


def test_they_end_when_the_command_is_killed(halfway, data_platform, work):
    process, others = halfway(is_down=True)
    process.kill()
    process.wait()
    data_platform.flag.set()

    wait_for(lambda: not any(map(is_alive, others)))


def test_what_fails_is_tried_again_and_told_by_the_command(decided, data_platform, work):
    data_platform.files |= {f"data/.my/c/{name}": name.encode() for name in NAMES}
    data_platform.fail("GET", "50", 503, times=3)
    data_platform.fail("GET", "f444", 403, times=99)
    result = decided.run("cp", "data://.my/c/*", work)
    assert result.code == ExitCode.AUTHENTICATION
    assert result.stderr.count("error: data://.my/c/f444") == 1
    assert sorted(os.listdir(work)) == [name for name in NAMES if name != "f444"]
