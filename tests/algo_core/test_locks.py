"""Locks between processes, and that there is one home for them, for replacing files and for trying again."""

from __future__ import annotations

import os
import re
import subprocess
import sys
import threading
from pathlib import Path

import pytest
from support.environments import ROOT

from algo_core import locks
from algo_core.files import replacing
from algo_core.http.retry import Tries
from algo_core.locks import acquire, is_held, locked, locked_if_free


def test_one_holds_it_and_others_are_told(tmp_path: Path) -> None:
    path = tmp_path / "lock"
    assert not is_held(path)
    with locked(path):
        assert is_held(path)
        with locked_if_free(path) as is_ours:
            assert not is_ours
        with path.open() as file:
            assert acquire(file) is False
    assert not is_held(path)
    with locked_if_free(path) as is_ours:
        assert is_ours
        assert is_held(path)
    assert path.stat().st_mode & 0o777 == 0o600


def test_others_wait_and_say_so_first(tmp_path: Path) -> None:
    path, order, asked = tmp_path / "lock", [], threading.Event()

    def wait() -> None:
        with locked(path, waiting=asked.set):
            order.append("other")

    with locked(path, waiting=lambda: order.append("nobody was in the way")):
        other = threading.Thread(target=wait)
        other.start()
        assert asked.wait(60)
        order.append("first")
    other.join(60)
    assert order == ["first", "other"]


def test_a_lock_ends_with_its_process(tmp_path: Path) -> None:
    path = tmp_path / "lock"
    code = "import sys\nfrom algo_core.locks import locked\nwith locked(sys.argv[1]):\n    print('held', flush=True)\n    sys.stdin.read()\n"
    with subprocess.Popen([sys.executable, "-c", code, path], stdin=subprocess.PIPE, stdout=subprocess.PIPE) as process:
        assert process.stdout
        process.stdout.readline()
        assert is_held(path)
        process.kill()
        process.wait()
    assert not is_held(path)


@pytest.mark.parametrize("how", ["no system", "no file system"])
def test_where_there_are_no_locks_nobody_waits(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, how: str) -> None:
    def refuse(file: object, operation: int) -> None:
        raise OSError(95, os.strerror(95))

    if how == "no system":
        monkeypatch.setattr(locks, "fcntl", None)
    else:
        monkeypatch.setattr(locks.fcntl, "flock", refuse)
    with locked(tmp_path / "lock"), locked(tmp_path / "lock"), locked_if_free(tmp_path / "lock") as is_ours:
        assert is_ours
    with (tmp_path / "lock").open() as file:
        assert acquire(file) is None
    assert is_held(tmp_path / "lock"), "nobody knows"


def test_the_first_of_several_writers_wins(tmp_path: Path) -> None:
    path = tmp_path / "key"
    with pytest.raises(FileExistsError), replacing(path, mode=0o600, only_if_new=True) as late:
        late.write(b"late")
        with replacing(path, mode=0o600, only_if_new=True) as first:
            first.write(b"first")
    assert path.read_bytes() == b"first"
    assert os.listdir(tmp_path) == ["key"]
    assert path.stat().st_mode & 0o777 == 0o600


@pytest.mark.parametrize("umask", [0o022, 0o077, 0o002])
def test_a_new_file_has_what_the_umask_allows_which_is_never_changed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, umask: int
) -> None:
    older = os.umask(umask)
    try:
        with monkeypatch.context() as patched:
            patched.setattr(os, "umask", lambda mask: pytest.fail("other threads make files meanwhile"))
            with replacing(tmp_path / "f") as file:
                file.write(b"x")
    finally:
        os.umask(older)
    assert (tmp_path / "f").stat().st_mode & 0o777 == 0o666 & ~umask


def test_tries_are_bounded_and_renewed() -> None:
    pauses: list[float] = []
    tries = Tries(2, pauses.append)
    error = OSError("again")
    for _ in range(2):
        tries.spend_on(error)
        tries.spend_on(error)
        with pytest.raises(OSError, match="again"):
            tries.spend_on(error)
        tries.renew()
    tries.wait(7)
    assert pauses[-1] == 7
    assert len(pauses) == 5


HOMES = {
    r"\bfcntl\.|import fcntl": {"algo_core/locks.py"},
    r"\btempfile\.mkstemp|NamedTemporaryFile": {
        "plugins/algo_run/algo_run/sink.py",  # a file that stays, under its name
        "plugins/algo_local/algo_local/backups/archive.py",  # unfinished files that lie apart from whole ones
        "plugins/algo_local/algo_local/backups/placement.py",
    },
    r"random\.uniform|2 ?\*\* ?(attempt|failures|tries)": {"algo_core/http/retry.py"},
}
"""What is written once, and where."""


@pytest.mark.parametrize("pattern", HOMES)
def test_what_is_written_once_is_imported_elsewhere(pattern: str) -> None:
    sources = [*(ROOT / "algo_core").rglob("*.py"), *(ROOT / "plugins").glob("*/algo_*/**/*.py")]
    found = {
        str(path.relative_to(ROOT))
        for path in sources
        if "templates" not in path.parts and re.search(pattern, path.read_text("utf-8"))
    }
    assert found == HOMES[pattern]
