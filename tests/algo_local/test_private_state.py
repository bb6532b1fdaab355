"""The state of a platform is its person's own, whatever modes it was made with."""

from __future__ import annotations

import errno
import os
import stat
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest
from support.serving import ALGO, Served, algo

from algo_core.errors import ExitCode
from algo_local.platform import Platform

ONLY_ON_SQLITE = True

PARTS = ("platform.sqlite3", "platform.sqlite3-wal", "platform.sqlite3-shm")


def mode(path: Path) -> int:
    return stat.S_IMODE(path.stat().st_mode)


def open_paths(root: Path) -> list[str]:
    """What others could use below a directory, if they came that far."""
    if not mode(root) & 0o077:
        return [name for name in PARTS if (root / name).exists() and mode(root / name) & 0o077]
    return [path.name for path in root.iterdir() if path.name != "notes.txt" and mode(path) & 0o077]


@pytest.fixture
def private_root(root: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    for name in ("CONFIG", "CACHE"):
        monkeypatch.setenv(f"ALGO_{name}_DIR", str(tmp_path / name))
    return root


@pytest.mark.parametrize(
    ("before", "umask"),
    [(None, 0o022), (None, 0), (0o755, 0o022), (0o777, 0), (0o750, 0o077), (0o701, 0o022), (0o1777, 0o022)],
)
def test_a_new_state_is_private_whatever_directory_it_is_made_in(
    private_root: Path, before: int | None, umask: int
) -> None:
    if before is not None:
        private_root.mkdir()
        private_root.chmod(before)
    command = [*ALGO, "local", "key", "new", "jane"]
    done = subprocess.run(command, umask=umask, capture_output=True, text=True, check=True)
    assert mode(private_root) == 0o700
    assert mode(private_root / "platform.sqlite3") == 0o600
    assert ("Other users of this machine had access to" in done.stderr) == (before is not None)


def test_an_existing_state_is_repaired_with_a_notice_once_even_while_it_is_used(
    private_root: Path, serve: Callable[..., Served]
) -> None:
    algo("local", "key", "new", "jane")
    serve()  # keeps the database's companions there
    assert (private_root / "platform.sqlite3-wal").exists()
    for path in (private_root, *(private_root / name for name in PARTS)):
        path.chmod(0o777 if path == private_root else 0o644)
    done = algo("local", "key", "list")
    assert (
        f"Other users of this machine had access to {', '.join(str(private_root / name) for name in PARTS)}, {private_root};"
        in done.stderr
    )
    assert open_paths(private_root) == []
    assert algo("local", "key", "list").stderr == ""


def test_a_directory_that_serves_others_as_well_keeps_its_mode_but_nothing_of_the_platform_is_open(
    private_root: Path,
) -> None:
    private_root.mkdir()
    private_root.chmod(0o755)
    (private_root / "notes.txt").write_text("not the platform's")
    (private_root / "notes.txt").chmod(0o644)
    assert algo("local", "key", "new", "jane").returncode == ExitCode.OK
    assert (mode(private_root), mode(private_root / "notes.txt")) == (0o755, 0o644)
    assert open_paths(private_root) == []
    (private_root / "data").chmod(0o755)
    assert (
        f"had access to {private_root / 'data'}; now only you have access" in algo("local", "key", "new", "jane").stderr
    )
    assert open_paths(private_root) == []


def test_links_are_not_followed(private_root: Path, tmp_path: Path) -> None:
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir(mode=0o755)
    elsewhere.chmod(0o755)
    private_root.mkdir()
    private_root.chmod(0o755)
    (private_root / "notes.txt").touch()
    (private_root / "environments").symlink_to(elsewhere)
    assert algo("local", "status").returncode == ExitCode.OK
    assert mode(elsewhere) == 0o755


def test_what_cannot_be_changed_is_told(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    root.mkdir()
    root.chmod(0o755)

    def fchmod(descriptor: int, mode: int) -> None:
        raise PermissionError(errno.EPERM, "Operation not permitted")

    monkeypatch.setattr(os, "fchmod", fchmod)
    with pytest.warns(UserWarning, match="that cannot be changed: Operation not permitted"):
        assert Platform(root).metadata.accounts()
    assert open_paths(root) == []
