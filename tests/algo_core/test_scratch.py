"""Temporary directories: gone with their block, and after a kill with the next one that is made."""

from __future__ import annotations

import os
import re
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import pytest
from support.environments import ROOT

from algo_core import scratch
from algo_core.scratch import KEPT_SECONDS, PREFIX, scratch_directory

HOLD = """
import sys
from algo_core.scratch import scratch_directory
with scratch_directory() as path:
    print(path, flush=True)
    sys.stdin.read()
"""
OLD = time.time() - KEPT_SECONDS - 60


@pytest.fixture(autouse=True)
def temporary(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Where temporary files are made."""
    place = tmp_path / "temporary"
    place.mkdir()
    monkeypatch.setattr(tempfile, "tempdir", str(place))
    monkeypatch.setenv("TMPDIR", str(place))
    return place


def abandoned(place: Path, name: str = "left", *, age: float = OLD) -> Path:
    path = place / f"{PREFIX}{name}"
    (path / "deep").mkdir(parents=True)
    (path / "deep" / "client.pem").write_text("secret")
    os.utime(path, (age, age))
    return path


def sweep() -> None:
    with scratch_directory():
        pass


def test_a_directory_is_ones_own_and_goes_with_its_block(temporary: Path) -> None:
    with pytest.raises(KeyError), scratch_directory() as path:
        assert Path(path).parent == temporary
        assert os.stat(path).st_mode & 0o777 == 0o700
        Path(path, "file").touch()
        raise KeyError
    assert not os.listdir(temporary)


def test_that_of_a_killed_process_is_removed_once_it_is_old_and_that_of_a_running_one_never(temporary: Path) -> None:
    with subprocess.Popen(
        [sys.executable, "-c", HOLD], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as holder:
        assert holder.stdout
        held = Path(holder.stdout.readline().strip())
        assert held.parent == temporary
        os.utime(held, (OLD, OLD))
        sweep()
        assert held.is_dir()
        holder.kill()
        holder.wait()
    os.utime(held, None)
    sweep()
    assert held.is_dir()
    os.utime(held, (OLD, OLD))
    sweep()
    assert not os.listdir(temporary)


def test_nothing_else_is_touched(temporary: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    elsewhere = tmp_path / "elsewhere"
    (elsewhere / "deep").mkdir(parents=True)
    os.utime(elsewhere, (OLD, OLD))
    link, file, other = temporary / f"{PREFIX}link", temporary / f"{PREFIX}file", temporary / "algo-mine"
    link.symlink_to(elsewhere)
    os.utime(link, (OLD, OLD), follow_symlinks=False)
    file.touch()
    os.utime(file, (OLD, OLD))
    os.mkfifo(temporary / f"{PREFIX}pipe")
    other.mkdir()
    os.utime(other, (OLD, OLD))
    left = abandoned(temporary)
    (left / "link").symlink_to(elsewhere)
    (left / "deep" / "link").symlink_to(elsewhere / "deep")
    os.utime(left, (OLD, OLD))
    sweep()
    assert not left.exists()
    assert (elsewhere / "deep").is_dir()
    assert len(os.listdir(temporary)) == 4
    others = abandoned(temporary, "of-another")
    user = os.getuid()
    monkeypatch.setattr(os, "getuid", lambda: user + 1)
    sweep()
    assert others.is_dir()


@pytest.mark.parametrize(("owner", "name"), [(os, "listdir"), (scratch, "_opened"), (scratch, "acquire")])
def test_a_system_that_cannot_tell_removes_nothing(
    owner: object, name: str, temporary: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(path: object) -> None:
        if name != "acquire":  # which answers that there are no locks
            raise PermissionError(13, "Permission denied")

    left = abandoned(temporary)
    with monkeypatch.context() as patched:
        patched.setattr(owner, name, refuse)
        with scratch_directory() as path:
            Path(path, "file").touch()
    assert not Path(path).exists()
    assert left.is_dir()


def test_all_temporary_directories_of_commands_are_such() -> None:
    """A directory without `dir=` lies in the machine's own, where nobody looks after it once its process was killed."""
    made = re.compile(r"(?:TemporaryDirectory|mkdtemp)\((?![^\n]*\bdir=)")
    for part in ("algo_core", *(f"plugins/{path.name}/{path.name}" for path in (ROOT / "plugins").iterdir())):
        for path in (ROOT / part).rglob("*.py"):
            if path != Path(scratch.__file__) and "/inside/" not in str(path):
                assert not made.search(path.read_text()), path
