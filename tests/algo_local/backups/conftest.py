"""A platform with something of everything, and its backup."""

from __future__ import annotations

import io
import os
import shutil
import time
from collections.abc import Iterator
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path

import pytest
from support.doomed import Doomed

from algo_local.algorithms.source_trees.archives import FILE, TreeEntry
from algo_local.backups.archive import DirectoryStore
from algo_local.backups.backup import Backup
from algo_local.backups.manifest import Manifest
from algo_local.callers import Caller
from algo_local.metadata.store import EVERYBODY, OWN_ALGORITHMS
from algo_local.platform import Platform

NAMES = ["plain", "a b", "%41", "ü/..", "...", ".hidden", "\n", "日本語", "-n", "x" * 255]
LARGE = bytes(range(256)) * 2000
CODE = "def apply(input):\n    return 'hi ' + input\n"


def nothing(size: int, path: str) -> None:
    pass


def back_up(platform: Platform, target: Path, **options: bool) -> Manifest:
    store = DirectoryStore(target)
    store.begin()
    return Backup(platform, store, report=nothing, **options).run()


def digest_of(root: Path, scratch: Path) -> str:
    """The digest of a backup of a platform."""
    try:
        with closing(Platform(root)) as platform:
            return back_up(platform, scratch).digest
    finally:
        shutil.rmtree(scratch)


def put(platform: Platform, path: list[str], content: bytes, media_type: str = "") -> None:
    platform.hosted.put(Caller("jane"), path, io.BytesIO(content).read, len(content), media_type=media_type)


def fill(platform: Platform, directory: Path) -> None:
    """Put something of everything into a platform."""
    (directory / "src").mkdir(parents=True)
    (directory / "src" / "__init__.py").touch()
    (directory / "src" / "Greet.py").write_text(CODE)
    (directory / "tool.sh").write_text("#!/bin/sh\n")
    (directory / "tool.sh").chmod(0o755)
    (directory / "link").symlink_to("src/Greet.py")
    platform.publish(directory, "jane", "Greet", "1.0.0")
    algorithm = platform.registry.algorithm("jane", "Greet")
    assert algorithm
    platform.repositories.commit(algorithm, [TreeEntry("src/Greet.py", FILE, b"def apply(x): return x\n")], "jane", "1")
    platform.secrets.create(algorithm.id, "token", "a secret", "TOKEN", "s3cret")
    platform.connectors.add("jane", "s3+mine", {"secret_access_key": "hush"})
    platform.hosted.create(Caller("jane"), ["jane"], "files", EVERYBODY)
    platform.hosted.create(Caller("jane"), ["jane"], "empty", OWN_ALGORITHMS)
    for number, name in enumerate(NAMES):
        put(platform, ["jane", "files", name], name.encode() * number)
    put(platform, ["jane", "files", "large"], LARGE, "application/x-large")
    put(platform, [".algo", "jane", "Greet", "perm", "kept"], b"of jane")
    with platform.database.write() as rows:
        rows.execute("INSERT INTO configuration VALUES ('page', ?, 'text/html', 1.5, 2)", (bytes(range(256)),))
        rows.executemany(
            "INSERT INTO requests (id, account, algorithm, owner, name, version, created_at, state, parent, is_void,"
            " platform, worker, printed, error, key_digest) VALUES (?, 'jane', ?, 'jane', 'Greet', '1.0.0', ?, 'done',"
            " '', 0, '', '', 'ü\n', '', '')",
            [(f"req-{number}", algorithm.id, time.time() + number / 3) for number in range(20)],
        )


@pytest.fixture(autouse=True)
def _without_waiting_for_the_disk(monkeypatch: pytest.MonkeyPatch) -> None:
    """Tests lose no power."""
    monkeypatch.setattr("os.sync", lambda: None)


@pytest.fixture
def doomed(tmp_path: Path, root: Path) -> Iterator[Doomed]:
    environ = {**os.environ, "ALGO_CONFIG_DIR": str(tmp_path / "config"), "ALGO_CACHE_DIR": str(tmp_path / "cache")}
    (tmp_path / "runs").mkdir()
    doomed = Doomed(environ, tmp_path / "runs")
    yield doomed
    doomed.close()


@dataclass
class Filled:
    """A platform that is not used any more, and a backup of it."""

    root: Path
    backup: Path
    manifest: Manifest


@pytest.fixture(scope="module")
def backed_up(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Filled]:
    with pytest.MonkeyPatch.context() as patch:
        directory = tmp_path_factory.mktemp("filled")
        patch.setenv("HOME", str(directory))
        patch.setenv("LOGNAME", "jane")
        with closing(Platform(directory / "platform")) as platform:
            fill(platform, directory / "algorithm")
            manifest = back_up(platform, directory / "backup")
        yield Filled(directory / "platform", directory / "backup", manifest)
