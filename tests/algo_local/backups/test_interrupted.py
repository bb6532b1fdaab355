"""Backups and restorations that are killed are continued; full disks and platforms in use leave all as it was."""

from __future__ import annotations

import os
import random
import resource
import shutil
import signal
import subprocess
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

import pytest
from support.doomed import Doomed
from support.serving import Served

from algo_core.errors import AlgoError, AlreadyExists, ExitCode
from algo_core.testing import Home
from algo_local import replacement
from algo_local.backups.manifest import Damaged
from algo_local.backups.restore import Restoration
from algo_local.platform import Platform
from algo_local.state import State

from .conftest import Filled, back_up, digest_of, nothing

ONLY_ON_SQLITE = True  # platforms in a directory; those on servers: test_migrate.py


def restore(source: Path, root: Path, *, replace: bool = False) -> None:
    Restoration(State(root), replace=replace, report=nothing).run(source)


def test_a_killed_restoration_is_continued_and_shows_the_old_or_the_new_platform(
    backed_up: Filled, doomed: Doomed, root: Path, tmp_path: Path
) -> None:
    with closing(Platform(root)) as platform:
        platform.metadata.ensure_account("old")
        old = back_up(platform, tmp_path / "old").digest
    command = ("local", "restore", backed_up.backup, "--replace")
    doomed.start(*command)
    code, said = doomed.end()
    assert code == ExitCode.OK, said
    events = doomed.events
    chosen = random.Random(1)
    killed = 0  # one that has a few events less than the first comes to its end
    # The last events are those of the replacement itself.
    for last in [
        *(chosen.randrange(5, events) for _ in range(3)),
        *(events - chosen.randrange(1, 60) for _ in range(5)),
    ]:
        restore(tmp_path / "old", root, replace=True)
        doomed.start(*command, last=last)
        code, said = doomed.end()
        assert code in (-signal.SIGKILL, ExitCode.OK), said
        killed += code != ExitCode.OK
        if last % 2:
            doomed.start(*command)
            code, said = doomed.end()
            assert code == ExitCode.OK, said
            assert digest_of(root, tmp_path / "again") == backed_up.manifest.digest
            assert not (root / replacement.DIRECTORY).exists()
        else:  # whoever opens it completes what had begun
            assert digest_of(root, tmp_path / "again") in (old, backed_up.manifest.digest)
    assert killed >= 4


def test_a_killed_backup_is_continued_and_the_one_before_stays_whole(
    backed_up: Filled, doomed: Doomed, root: Path, tmp_path: Path
) -> None:
    restore(backed_up.backup, root)
    target = tmp_path / "nightly"
    for _ in range(2):  # the second has less to do
        doomed.start("local", "backup", target)
        code, said = doomed.end()
        assert code == ExitCode.OK, said
    events, before = doomed.events, backed_up.manifest.digest
    chosen = random.Random(2)
    for number in range(4):
        with closing(Platform(root)) as platform:
            platform.metadata.ensure_account(f"another{number}")
        doomed.start("local", "backup", target, last=chosen.randrange(10, events * 3 // 4))
        assert doomed.end()[0] == -signal.SIGKILL
        copy = tmp_path / f"copy{number}"
        restore(target, copy)
        after = digest_of(root, tmp_path / "again")
        assert digest_of(copy, tmp_path / "again") in (before, after)
        doomed.start("local", "backup", target)
        assert doomed.end()[0] == ExitCode.OK
        before = after
    doomed.start("local", "backup", tmp_path / "whole.tar.gz")
    assert doomed.end()[0] == ExitCode.OK
    archive = tmp_path / "b.tar.gz"
    doomed.start("local", "backup", archive, last=doomed.events // 2)
    assert doomed.end()[0] == -signal.SIGKILL
    assert not archive.exists()


@pytest.mark.parametrize("command", ["directory", "archive", "restore"])
def test_a_full_disk(algo_home: Home, backed_up: Filled, tmp_path: Path, command: str) -> None:
    def limit() -> None:
        resource.setrlimit(resource.RLIMIT_FSIZE, (100_000, 100_000))

    root, target = tmp_path / "p", tmp_path / ("b.tar" if command == "archive" else "b")
    if command == "restore":
        words = ("local", "restore", backed_up.backup)
    else:
        restore(backed_up.backup, root)
        words = ("local", "backup", target)
    environ = {**algo_home.environ, "ALGO_LOCAL_ROOT": str(root)}
    done = subprocess.run(
        algo_home.command(*words), env=environ, preexec_fn=limit, capture_output=True, text=True, check=False
    )
    assert done.returncode == ExitCode.PLATFORM, done.stderr
    assert "File too large" in done.stderr
    if command == "restore":
        assert not root.exists()
    elif command == "archive":
        assert {path.name for path in tmp_path.iterdir()} & {"b.tar", ".b.tar"} == set()
        assert not list(tmp_path.glob(".b.tar*"))
    else:
        with pytest.raises(Damaged):
            restore(target, tmp_path / "q")
        with closing(Platform(root)) as platform:
            assert back_up(platform, target).digest == backed_up.manifest.digest


def test_a_platform_with_content_stays_unless_it_is_to_be_replaced(
    backed_up: Filled, root: Path, tmp_path: Path
) -> None:
    with closing(Platform(root)) as platform:
        assert platform.account  # a new one, which nobody has used
    restore(backed_up.backup, root)
    (root / "notes.txt").write_text("not the platform's")
    with closing(Platform(root)) as platform:
        platform.metadata.ensure_account("another")
        changed = back_up(platform, tmp_path / "changed").digest
    with pytest.raises(AlreadyExists):
        restore(backed_up.backup, root)
    shutil.copytree(backed_up.backup, tmp_path / "damaged")
    (content,) = [path for path in (tmp_path / "damaged" / "objects").rglob("*") if path.stat().st_size == 512_000]
    content.write_bytes(content.read_bytes()[:-1] + b"?")
    with pytest.raises(Damaged):
        restore(tmp_path / "damaged", root, replace=True)
    assert digest_of(root, tmp_path / "again") == changed
    restore(backed_up.backup, root, replace=True)
    assert digest_of(root, tmp_path / "again") == backed_up.manifest.digest
    assert (root / "notes.txt").read_text() == "not the platform's"


def test_a_platform_in_use_is_not_replaced(backed_up: Filled, serve: Callable[..., Served], root: Path) -> None:
    served = serve()  # which has answered nothing yet
    with pytest.raises(AlgoError, match="is using the platform"):
        restore(backed_up.backup, root, replace=True)
    served.stop()
    restore(backed_up.backup, root, replace=True)


def test_a_part_that_cannot_be_moved_leaves_the_platform(
    backed_up: Filled, root: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    restore(backed_up.backup, root)
    rename = os.rename

    def busy(source: Path, target: Path) -> None:
        if Path(source) == root / "data":
            raise OSError(16, "Device or resource busy", str(source))
        rename(source, target)

    monkeypatch.setattr(os, "rename", busy)
    with pytest.raises(AlgoError, match="unchanged"):
        restore(backed_up.backup, root, replace=True)
    monkeypatch.undo()
    assert digest_of(root, tmp_path / "again") == backed_up.manifest.digest


def test_two_at_once(backed_up: Filled, root: Path, tmp_path: Path) -> None:
    from algo_local.backups.archive import exclusively

    (root / replacement.DIRECTORY).mkdir(parents=True)
    with exclusively(root / replacement.DIRECTORY), pytest.raises(AlgoError, match="Another process"):
        restore(backed_up.backup, root)
    restore(backed_up.backup, root)
