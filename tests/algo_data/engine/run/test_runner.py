"""Many transfers at once: bounded, in whatever order they end, and ended at once when they are to end."""

from __future__ import annotations

import os
import signal
import subprocess
import threading
import time
from collections.abc import Iterator

import pytest

from algo_core.errors import AlgoError, AuthError, ExitCode
from algo_core.main import run as run_algo
from algo_core.storage.contract import Entry, Kind
from algo_core.storage.uri import DataUri
from algo_data.engine import CopyOptions, run_transfers
from algo_data.engine.io.blocks import BLOCK
from algo_data.engine.run.runner import AHEAD
from algo_data.engine.run.throttle import Throttle
from algo_data.engine.transfer import Place, Transfer


class Counter:
    """A storage whose files are as large as their names say; counts how many are read and written at once."""

    def __init__(self, pause: float = 0.0) -> None:
        self.lock = threading.Lock()
        self.running = self.most = self.written = 0
        self.pause = pause
        self.hold = threading.Event()
        self.hold.set()

    def open(self, uri, offset=0, *, version=None):
        return _Zeros(Entry(uri, Kind.FILE, size=int(uri.path.partition("-")[0])))

    def write(self, uri, source, size=None) -> Entry:
        with self.lock:
            self.running += 1
            self.most = max(self.most, self.running)
        try:
            if "broken" in uri.path:
                raise AlgoError("it is broken")
            if "forbidden" in uri.path:
                raise AuthError("it is forbidden")
            assert self.hold.wait(60)
            time.sleep(self.pause)
            while source.readinto(bytearray(BLOCK)):
                pass
        finally:
            with self.lock:
                self.running -= 1
        with self.lock:
            self.written += 1
        return Entry(uri, Kind.FILE, size=size)


class _Zeros:
    offset = 0

    def __init__(self, entry: Entry) -> None:
        self.entry = entry
        self.left = entry.size or 0

    def readinto(self, buffer) -> int:
        count = min(len(buffer), self.left)
        self.left -= count
        return count

    def close(self) -> None:
        pass


class Listener:
    """Notes what it is told, and that it is told one thing at a time."""

    def __init__(self) -> None:
        self.done: list[str] = []
        self.failures: list[str] = []
        self.inside = threading.Lock()
        self.planned_in_all = 0
        self.is_all_planned = False

    def planned(self, transfer) -> None:
        if transfer:
            self.planned_in_all += 1
        else:
            self.is_all_planned = True

    def _alone(self) -> None:
        assert self.inside.acquire(blocking=False)
        self.inside.release()

    def started(self, transfer) -> None:
        self._alone()

    def advanced(self, transfer, position, size) -> None:
        self._alone()

    def finished(self, transfer, entry) -> None:
        with self.inside:
            self.done.append(transfer.source.uri.path)

    def copied(self, several) -> None:
        for transfer, entry in several:
            self.finished(transfer, entry)

    def failed(self, what, error) -> None:
        self.failures.append(f"{what}: {error.message}")
        if isinstance(error, AuthError):
            raise error


def transfers(storage, names) -> Iterator[Transfer]:
    for name in names:
        place = Place(storage, DataUri("zeros", name))
        yield Transfer(place, place)


def test_all_are_carried_out_and_a_failure_stops_none():
    storage, listener = Counter(), Listener()
    names = [f"10-{number}" for number in range(300)]
    names[7] = "10-broken"
    run_transfers(transfers(storage, names), listener, CopyOptions(tries=0))
    assert sorted(listener.done) == sorted(name for name in names if "broken" not in name)
    assert listener.failures == ["zeros://10-broken: it is broken"]
    assert listener.planned_in_all == 300
    assert listener.is_all_planned


@pytest.mark.parametrize("most", [1, 2, 7])
def test_there_are_never_more_at_once_than_allowed(most):
    storage = Counter(pause=0.002)
    run_transfers(transfers(storage, [f"1-{n}" for n in range(200)]), Listener(), CopyOptions(max_transfers=most))
    assert storage.written == 200
    assert storage.most <= most


def test_more_run_at_once_where_each_has_to_wait():
    storage = Counter(pause=0.02)
    run_transfers(transfers(storage, [f"1-{n}" for n in range(1500)]), Listener(), CopyOptions())
    assert storage.most > 8


def test_an_endless_plan_is_made_only_so_far_ahead():
    storage, taken = Counter(), 0
    storage.hold.clear()

    def endless():
        nonlocal taken
        while taken < 10 * AHEAD:
            taken += 1
            yield from transfers(storage, [f"1-{taken}"])

    worker = threading.Thread(target=run_transfers, args=(endless(), Listener(), CopyOptions()), daemon=True)
    worker.start()
    end = time.monotonic() + 60
    while taken < AHEAD:
        assert time.monotonic() < end
        time.sleep(0.01)
    seen = -1
    while seen != taken:
        seen = taken
        time.sleep(0.3)
    assert taken <= AHEAD + 70
    storage.hold.set()
    worker.join(60)
    assert storage.written == 10 * AHEAD


@pytest.mark.parametrize("where", ["the plan", "a transfer"])
def test_what_ends_the_whole_ends_it(where):
    storage = Counter()

    def plan():
        yield from transfers(storage, ["1-a", "1-b", "1-forbidden" if where == "a transfer" else "1-c"])
        if where == "the plan":
            raise AuthError("no listing for you")
        while True:
            yield from transfers(storage, ["1-more"])

    with pytest.raises(AuthError):
        run_transfers(plan(), Listener(), CopyOptions())
    assert not planning()


def planning() -> bool:
    """Whether somebody still plans, after a while in which whoever does may notice that it is over."""
    for thread in threading.enumerate():
        if thread.name == "algo-plan":
            thread.join(60)
            return thread.is_alive()
    return False


def test_a_limit_on_bytes_is_shared_and_kept():
    now, slept = 0.0, []

    def sleep(seconds: float) -> None:
        nonlocal now
        now += seconds
        slept.append(seconds)

    throttle = Throttle(1000, clock=lambda: now, sleep=sleep)
    for _ in range(50):
        throttle.spend(100, lambda: None)
    assert 4.8 <= now <= 5.0
    assert max(slept) <= 0.2


@pytest.mark.parametrize("flags", [(), ("--bwlimit", "100M")])
def test_every_byte_of_uploads_and_downloads_is_taken_from_the_limit(home, data_platform, work, monkeypatch, flags):
    """Run in this process, so that what is taken can be counted; how long that makes it wait is tested above."""
    for name, value in home.environ.items():
        monkeypatch.setenv(name, value)
    monkeypatch.chdir(work)
    taken = []
    spend = Throttle.spend

    def watch(self, count, *arguments):
        taken.append(count)
        return spend(self, count, *arguments)

    monkeypatch.setattr(Throttle, "spend", watch)
    (work / "f").write_bytes(bytes(300_000))
    for source, target in (("f", "data://.my/c/f"), ("data://.my/c/f", "g")):
        taken.clear()
        assert run_algo(["cp", *flags, source, target]) == 0
        assert sum(taken) == (300_000 if flags else 0)
    assert (work / "g").read_bytes() == bytes(300_000)


def test_an_interruption_of_many_leaves_nothing_half_done(home, data_platform, work):
    for number in range(40):
        data_platform.files[f"data/.my/c/f{number:02d}"] = bytes(2_000_000)
    data_platform.fail("GET", "", "stop_halfway", times=99)
    data_platform.faults[-1].suffix = "5"
    process = subprocess.Popen(
        home.command("cp", "data://.my/c/*", work), env=home.environ, stderr=subprocess.PIPE, text=True
    )
    end = time.monotonic() + 60
    while not any(name.startswith(".") for name in os.listdir(work)):
        assert time.monotonic() < end, "nothing was begun"
        time.sleep(0.01)
    process.send_signal(signal.SIGINT)
    _, said = process.communicate(timeout=60)
    assert process.returncode == ExitCode.INTERRUPTED
    assert "Traceback" not in said
    assert all((work / name).stat().st_size == 2_000_000 for name in os.listdir(work))
