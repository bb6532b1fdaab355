"""What `algo local reset` and `algo doctor` do with a state that is all in one directory."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from algo_core.errors import AlgoError, ExitCode
from algo_local.checks import check_state
from algo_local.maintenance import delete_everything
from algo_local.platform import OWN_PARTS
from algo_local.state import State

Algo = Callable[..., "subprocess.CompletedProcess[str]"]

ONLY_ON_SQLITE = True


def test_reset_asks_and_deletes_nothing_that_is_not_the_platforms(run_algo: Algo, root: Path, embedded: Any) -> None:
    embedded.mkdir("c")
    embedded.put(".my/c/f")
    (root / "mine").write_text("kept")
    done = run_algo("local", "reset")
    assert done.returncode == ExitCode.USAGE
    assert "--yes" in done.stderr
    assert embedded("GET", "data/.my/c/f").content == b"content"
    done = run_algo("local", "reset", "--yes")
    assert (done.returncode, done.stdout) == (ExitCode.OK, "")
    assert [path.name for path in root.iterdir()] == ["mine"]
    (root / "mine").unlink()
    assert run_algo("local", "status").returncode == ExitCode.OK
    run_algo("local", "reset", "--yes")
    assert not root.exists()
    assert run_algo("local", "reset", "--yes").returncode == ExitCode.NOT_FOUND


def test_reset_leaves_directories_that_are_no_platforms(run_algo: Algo, root: Path) -> None:
    """Names such as `data` and `sources` are common: ALGO_LOCAL_ROOT may have been set to the wrong directory."""
    for name in OWN_PARTS:
        (root / name).mkdir(parents=True)
        (root / name / "mine").write_text("kept")
    done = run_algo("local", "reset", "--yes")
    assert (done.returncode, f"There is no platform in {root}" in done.stderr) == (ExitCode.NOT_FOUND, True)
    delete_everything(State(root), [])
    assert {path.parent.name for path in root.glob("*/mine")} == set(OWN_PARTS)


def test_reset_removes_links_and_not_what_they_lead_to(run_algo: Algo, root: Path, tmp_path: Path) -> None:
    run_algo("local", "status")
    (tmp_path / "disk").mkdir()
    (tmp_path / "disk" / "file").write_text("kept")
    for name, target in (("data", tmp_path / "disk"), ("packages", tmp_path / "gone"), ("trash", tmp_path / "disk")):
        (root / name).rmdir() if (root / name).is_dir() else None
        (root / name).symlink_to(target)
    done = run_algo("local", "reset", "--yes")
    assert (done.returncode, root.exists()) == (ExitCode.OK, False), done.stderr
    assert (tmp_path / "disk" / "file").read_text() == "kept"


def test_an_interrupted_reset_is_completed(run_algo: Algo, root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    run_algo("local", "status")
    (root / "secrets.key").unlink(missing_ok=True)
    (root / "data").mkdir(exist_ok=True)
    with monkeypatch.context() as patched, pytest.raises(AlgoError):
        patched.setattr("algo_local.maintenance.remove_tree", lambda path: (root / "x" / path.name).touch())
        delete_everything(State(root), [])
    assert not (root / "platform.sqlite3").exists()
    assert (root / "data").is_dir()
    assert run_algo("local", "reset", "--yes").returncode == ExitCode.OK
    assert not root.exists()


def test_reset_at_a_terminal_takes_no_for_an_answer(root: Path, embedded: Any, run_algo: Algo) -> None:
    import pexpect

    embedded.mkdir("c")
    for answer, code, exists in [("n", ExitCode.INTERRUPTED, True), ("y", ExitCode.OK, False)]:
        child = pexpect.spawn(
            sys.executable, ["-m", "algo_core", "local", "reset"], env=dict(os.environ), encoding="utf-8", timeout=60
        )
        child.expect(r"Delete all data, algorithms and keys in .*\?")
        child.sendline(answer)
        child.expect(pexpect.EOF)
        child.close()
        assert (child.exitstatus, root.exists()) == (code, exists)


def test_doctor_finds_the_platform(run_algo: Algo, root: Path) -> None:
    assert check_state() == (True, f"not used yet (its directory will be {root})")
    assert not root.exists()
    run_algo("local", "status")
    assert f"1 algorithms, 0 collections in {root}" in run_algo("doctor").stdout
    (root / "platform.sqlite3").write_bytes(b"broken" * 1000)
    for name in ("platform.sqlite3-wal", "platform.sqlite3-shm"):
        (root / name).unlink(missing_ok=True)
    assert "is not the embedded platform's database" in run_algo("doctor").stdout
