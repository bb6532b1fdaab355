"""Large downloads: parts over several connections, going on after a kill, checked, and never two versions in one file."""

from __future__ import annotations

import os
import random
import signal
import subprocess
import time
from pathlib import Path
from unittest import mock

import pytest

from algo_core import main
from algo_core.errors import ExitCode
from algo_core.storage.contract import Checksum
from algo_data.engine.io.verifier import Verifier
from algo_data.engine.run import large
from algo_data.engine.run.concurrency import AdaptiveConcurrency
from algo_data.local import partial_file as partial

MIB = 1 << 20
CONTENT = random.Random(7).randbytes(80 * MIB)


@pytest.fixture
def remote(data_platform) -> str:
    data_platform.files["data/.my/c/f"] = CONTENT
    return "data://.my/c/f"


def killed_half_way(home, data_platform, remote: str, work: Path) -> Path:
    """Download half of it, end by SIGKILL; what is left behind."""
    data_platform.fail("GET", "/f", "stop_halfway")
    process = subprocess.Popen(home.command("cp", "--max-transfers", "1", remote, work / "f"), env=home.environ)
    left = work / f".f{partial.SUFFIX}"
    end = time.monotonic() + 60
    while not (left.exists() and b'"done": 33554432' in left.read_bytes()[len(CONTENT) :]):
        assert time.monotonic() < end, "it was never noted how much is there"
        assert process.poll() is None
        time.sleep(0.05)
    process.send_signal(signal.SIGKILL)
    process.wait(60)
    assert os.listdir(work) == [left.name]
    data_platform.headers.clear()
    return left


def test_after_a_kill_it_goes_on_where_it_was(home, data_platform, remote, work):
    killed_half_way(home, data_platform, remote, work)
    assert home.run("cp", remote, work / "f").code == ExitCode.OK
    assert (work / "f").read_bytes() == CONTENT
    assert os.listdir(work) == ["f"]
    assert f"bytes={32 * MIB}-" in {headers.get("Range") for headers in data_platform.headers}


def test_after_a_kill_another_version_begins_anew(home, data_platform, remote, work):
    killed_half_way(home, data_platform, remote, work)
    data_platform.files["data/.my/c/f"] = CONTENT[::-1]
    assert home.run("cp", remote, work / "f").code == ExitCode.OK
    assert (work / "f").read_bytes() == CONTENT[::-1]
    assert os.listdir(work) == ["f"]


def test_after_a_kill_damage_in_what_was_there_is_found_and_made_good(home, data_platform, remote, work):
    left = killed_half_way(home, data_platform, remote, work)
    with left.open("r+b") as file:
        file.write(b"damaged")
    assert home.run("cp", remote, work / "f").code == ExitCode.OK
    assert (work / "f").read_bytes() == CONTENT
    assert os.listdir(work) == ["f"]


def test_what_another_process_is_writing_is_left_alone(home, data_platform, remote, work):
    other = partial.LocalPartialFile(str(work / "f"), None)
    os.write(other.descriptor, b"of another")
    assert home.run("cp", remote, work / "f").code == ExitCode.OK
    assert (work / "f").read_bytes() == CONTENT
    other.commit()
    assert (work / "f").read_bytes() == b"of another"
    assert os.listdir(work) == ["f"]


class Steep:
    """A pace that asks for all connections at once."""

    def __init__(self, *, most: int, start: int = 1) -> None:
        self._most = most

    def wanted(self, done: float, active: int) -> int:
        return self._most


@pytest.fixture
def parts(monkeypatch) -> None:
    """Parts of 4 MiB, over as many connections as there may be."""
    monkeypatch.setattr(large, "PART", 4 * MIB)
    monkeypatch.setattr(large, "AdaptiveConcurrency", Steep)


def ranges(data_platform) -> list[str]:
    return [headers["Range"] for headers in data_platform.headers if "Range" in headers]


def copy(home, remote: str, target: Path) -> int:
    """In this process, so that `parts` holds."""
    with mock.patch.dict(os.environ, home.environ, clear=True):
        return main.run(["cp", remote, str(target)])


def test_parts_arrive_in_any_order_and_make_one_file(home, data_platform, remote, work, parts):
    assert copy(home, remote, work / "f") == 0
    assert (work / "f").read_bytes() == CONTENT
    assert os.listdir(work) == ["f"]
    assert len(ranges(data_platform)) >= 80 // 4 - 3


def test_connections_are_added_while_parts_arrive(home, data_platform, remote, work, parts, monkeypatch):
    class Late(Steep):
        most_active = 0

        def wanted(self, done: float, active: int) -> int:
            Late.most_active = max(active, Late.most_active)
            return 2 if done < 24 * MIB else 6

    monkeypatch.setattr(large, "AdaptiveConcurrency", Late)
    assert copy(home, remote, work / "f") == 0
    assert (work / "f").read_bytes() == CONTENT
    assert Late.most_active == 6


def test_what_was_there_already_is_not_taken_for_speed(home, data_platform, remote, work, monkeypatch):
    seen = []

    class Noting(Steep):
        def wanted(self, done: float, active: int) -> int:
            seen.append(done)
            return 1

    killed_half_way(home, data_platform, remote, work)
    monkeypatch.setattr(large, "AdaptiveConcurrency", Noting)
    assert copy(home, remote, work / "f") == 0
    assert (work / "f").read_bytes() == CONTENT
    assert 0 < seen[0] <= MIB


def test_parts_that_break_off_go_on_where_they_stopped(home, data_platform, remote, work, parts):
    def cut_part(handler):
        if "Range" not in handler.headers or handler.headers["Range"].endswith("-"):
            return False
        content = handler.platform.files[handler.where]
        start, end = handler._range(content), handler._end(content)
        if end - start < 3 * MIB:
            return False
        handler._send_head(206, end - start, handler._facts(content, start, end))
        handler._send(content[start : start + MIB])
        handler.close_connection = True
        return True

    data_platform.fail("GET", "/f", cut_part, times=12)
    assert copy(home, remote, work / "f") == 0
    assert (work / "f").read_bytes() == CONTENT


def test_without_ranges_one_stream_does_it(home, data_platform, remote, work, parts):
    data_platform.ranges = False
    assert copy(home, remote, work / "f") == 0
    assert (work / "f").read_bytes() == CONTENT
    assert len(data_platform.requests("GET")) == 2


def test_parts_of_two_versions_are_never_mixed(home, data_platform, remote, work, parts):
    def replace(handler):
        content = handler.platform.files[handler.where]
        if handler._range(content) and handler._end(content) - handler._range(content) > 1:
            handler.platform.files[handler.where] = CONTENT[::-1]
        return False

    data_platform.fail("GET", "/f", replace, times=4)
    assert copy(home, remote, work / "f") == 0
    assert (work / "f").read_bytes() == CONTENT[::-1]
    assert os.listdir(work) == ["f"]


def test_a_damaged_part_is_found(home, data_platform, remote, work, parts, monkeypatch, capsys):
    def damage(handler):
        if handler.headers.get("Range", "-").endswith("-"):
            return False
        content = handler.platform.files[handler.where]
        start, end = handler._range(content), handler._end(content)
        handler._send_head(206, end - start, handler._facts(content, start, end))
        handler._send(bytes(end - start))
        return True

    data_platform.fail("GET", "/f", damage, times=99)
    assert copy(home, remote, work / "f") == 7
    assert "damaged in transfer" in capsys.readouterr().err
    assert os.listdir(work) == []


def test_a_verifier_hashes_no_further_than_what_is_there(tmp_path):
    path = tmp_path / "f"
    path.write_bytes(b"0123456789")
    with path.open("rb") as file:
        verifier = Verifier(file.fileno(), Checksum("md5", ""))
        verifier.reached(3)
        verifier.reached(10)
        assert verifier.hexdigest() == "781e5e245d69b566979b86e28d23f2c7"
        nothing = Verifier(file.fileno(), None)
        nothing.reached(10)
        assert nothing.hexdigest() is None


# How many connections


class Machine:
    """A clock, a processor, and a link on which each connection brings `each`, up to `most` in all."""

    def __init__(self, each: float, most: float, cpu_per_unit: float) -> None:
        self.each, self.most, self.cpu_per_unit = each, most, cpu_per_unit
        self.now = self.used = self.done = 0.0

    def settle(self, pace: AdaptiveConcurrency, seconds: float = 3.0) -> int:
        wanted = pace.wanted(0, 1)
        while self.now < seconds:
            self.now += 0.06
            moved = min(self.each * wanted, self.most) * 0.06
            self.done += moved
            self.used += moved * self.cpu_per_unit
            wanted = pace.wanted(self.done, wanted)
        return wanted


@pytest.mark.parametrize(
    ("each", "most", "cpu", "least", "top"),
    [
        (1, 1000, 0.0001, 16, 16),  # a slow connection, and room for many
        (100, 100, 0.0001, 1, 4),  # one fills the link
        (100, 1000, 0.009, 1, 1),  # one keeps the processor busy
        (10, 40, 0.0001, 4, 8),  # four fill it
    ],
)
def test_connections_are_added_as_long_as_it_pays(each, most, cpu, least, top):
    machine = Machine(each, most, cpu)
    pace = AdaptiveConcurrency(most=16, clock=lambda: machine.now, cpu=lambda: machine.used)
    assert least <= machine.settle(pace) <= top


def test_what_did_not_pay_by_chance_and_stayed_is_counted_when_it_is_tried_again():
    machine, active = Machine(1, 1000, 0.0001), 1
    pace = AdaptiveConcurrency(most=16, clock=lambda: machine.now, cpu=lambda: machine.used)
    for step in range(60):
        machine.now += 0.06
        machine.done += 0.06 * active * (0.2 if step == 1 else 1)  # a hitch just when there are more for the first time
        active = max(active, pace.wanted(machine.done, active))
    assert active == 16
