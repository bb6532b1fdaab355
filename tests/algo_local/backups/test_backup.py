"""Backups hold everything of one moment, and restore to the same, whatever form they have."""

from __future__ import annotations

import os
import sqlite3
import threading
import zipfile
from collections.abc import Callable
from contextlib import ExitStack, closing
from pathlib import Path

import pytest

from algo_core.errors import PlatformError
from algo_local.algorithms.registry import Version
from algo_local.backups import sorting
from algo_local.backups.archive import DirectoryStore, TarSink, compressing
from algo_local.backups.backup import Backup
from algo_local.backups.contents import Contents
from algo_local.backups.restore import Restoration, check
from algo_local.backups.tables import DERIVED, KEYS
from algo_local.callers import Caller
from algo_local.execution.payload import Payload
from algo_local.metadata.sqlite import SCHEMA_VERSION, SqliteDatabase
from algo_local.metadata.store import EVERYBODY
from algo_local.opening import open_platform
from algo_local.platform import Platform
from algo_local.sample_runs import call
from algo_local.state import State
from algo_local.trees import remove_tree

from .conftest import LARGE, NAMES, Filled, back_up, digest_of, nothing, put

ONLY_ON_SQLITE = True  # platforms in a directory; those on servers: test_migrate.py


def restore(source: Path, root: Path) -> None:
    Restoration(State(root), replace=False, report=nothing).run(source)


def archive(platform: Platform, target: Path, *, compressed: bool) -> None:
    with ExitStack() as files:
        file = files.enter_context(open(target, "wb"))
        to = files.enter_context(compressing(file)) if compressed else file
        Backup(platform, TarSink(to, SCHEMA_VERSION, target.parent), report=nothing).run()  # type: ignore[arg-type]


def test_every_table_is_in_a_backup_after_those_that_it_refers_to(tmp_path: Path) -> None:
    with closing(SqliteDatabase(tmp_path / "db")) as database, database.read() as rows:
        found = {name for (name,) in rows.execute("SELECT name FROM sqlite_master WHERE type = 'table'")}
        assert found - {"sqlite_sequence"} == {*KEYS, *DERIVED}
        for place, (table, key) in enumerate(KEYS.items()):
            for _, _, other, *_ in rows.execute(f"PRAGMA foreign_key_list({table})"):
                assert other in list(KEYS)[:place], f"{table} refers to {other}"
            columns = rows.execute(f"PRAGMA table_info({table})").fetchall()
            assert [name for _, name, _, _, _, number in sorted(columns, key=lambda c: c[5]) if number] == list(key)


@pytest.mark.parametrize("form", ["directory", "archive", "compressed"])
def test_a_platform_comes_back_as_it_was(backed_up: Filled, root: Path, tmp_path: Path, form: str) -> None:
    source = backed_up.backup
    if form != "directory":
        source = tmp_path / form
        with closing(Platform(backed_up.root)) as platform:
            archive(platform, source, compressed=form == "compressed")
    assert check(source, backed_up.manifest.digest, nothing).digest == backed_up.manifest.digest
    restore(source, root)
    assert digest_of(root, tmp_path / "again") == backed_up.manifest.digest
    assert {path.name for path in root.iterdir()} & {"restoring", "environments"} == set()
    with closing(Platform(backed_up.root)) as old, closing(Platform(root)) as new:
        for platform in (old, new):
            algorithm = platform.registry.algorithm("jane", "Greet")
            assert algorithm
            assert platform.secrets.environment(algorithm.id) == {"TOKEN": "s3cret"}
            assert len(platform.repositories.log(algorithm)) == 2
            (source_of,) = {version.build.source for version in platform.registry.versions(algorithm)}
            assert os.readlink(source_of / "link") == "src/Greet.py"
            assert os.access(source_of / "tool.sh", os.X_OK)
            space = platform.objects.collection("jane", "files", "")
            assert platform.objects.names(space) == sorted([*NAMES, "large"])
            found = platform.objects.open(space, "large")
            assert found and not isinstance(found[0], bytes)
            with found[0] as file:
                assert file.read() == LARGE
            assert platform.metadata.media_type("data/jane/files/large", found[1].identity) == "application/x-large"
            assert platform.metadata.digest("data/jane/files/large", found[1].identity)
            assert platform.objects.names(platform.objects.algorithm_space("jane", "Greet", "perm", "jane")) == ["kept"]
            assert platform.connectors._options(platform.connectors.find("jane", "s3+mine"))["secret_access_key"]
            assert [name for name, _ in platform.metadata.collections("jane")] == ["empty", "files"]
        for name in NAMES:
            infos = [one.objects.info(one.objects.collection("jane", "files", ""), name) for one in (old, new)]
            assert infos[0] and infos[1]
            assert abs(infos[0].modified - infos[1].modified) < 0.001


def test_a_restored_platform_works(backed_up: Filled, platform: Platform, tmp_path: Path) -> None:
    restore(backed_up.backup, platform.root)
    algorithm = platform.registry.algorithm("jane", "Greet")
    assert algorithm
    (version,) = platform.registry.versions(algorithm)
    outcome = call(platform, platform.runnable(version), Payload("text", "you"), ("jane", "Greet"))
    assert outcome.result and outcome.result.data == "hi you"
    number = platform.keys.create("jane", "another")[0].id  # ids go on
    assert number > 0
    for path in (platform.root, platform.root / "secrets.key", platform.root / "platform.sqlite3"):
        assert path.stat().st_mode & 0o077 == 0


def test_environments_are_made_again_when_they_are_needed(
    platform: Platform, write: Callable[..., Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with zipfile.ZipFile(tmp_path / "tiny-1.0-py3-none-any.whl", "w") as wheel:
        wheel.writestr("tiny.py", "NUMBER = 7\n")
        wheel.writestr("tiny-1.0.dist-info/METADATA", "Metadata-Version: 2.1\nName: tiny\nVersion: 1.0\n")
        wheel.writestr("tiny-1.0.dist-info/WHEEL", "Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: py3-none-any\n")
        wheel.writestr("tiny-1.0.dist-info/RECORD", "")
    for name in ("PIP_INDEX_URL", "PIP_EXTRA_INDEX_URL", "PYTHON_INDEX_URL"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    monkeypatch.setenv("PIP_FIND_LINKS", str(tmp_path))
    code = "import tiny\n\ndef apply(input):\n    return tiny.NUMBER\n"
    platform.publish(write(code, "Seven", **{"requirements.txt": "tiny"}), "jane", "Seven", "1.0.0")
    with platform.database.write() as rows:  # as on a machine whose environments have other names
        rows.execute("UPDATE builds SET python = ? WHERE python != ''", (f"environments/{'0' * 40}/bin/python",))
    back_up(platform, tmp_path / "b")
    restore(tmp_path / "b", tmp_path / "p")

    def version(restored: Platform) -> Version:
        algorithm = restored.registry.algorithm("jane", "Seven")
        assert algorithm
        return restored.registry.versions(algorithm)[0]

    with closing(open_platform(tmp_path / "p")) as restored:
        found = version(restored)
        monkeypatch.setenv("PIP_FIND_LINKS", str(tmp_path / "nowhere"))
        with pytest.raises(PlatformError, match="environment of a build is missing") as raised:
            restored.runnable(found)
        assert "ALGO_LOCAL_BUILD_CODE" in (raised.value.hint or "")
        monkeypatch.setenv("PIP_FIND_LINKS", str(tmp_path))
        for _ in range(2):
            outcome = call(restored, restored.runnable(found), Payload("json", 0), ("jane", "Seven"))
            assert outcome.result and outcome.result.data == 7, outcome.failure
        again = version(restored).build.python
        assert again.exists()
        assert restored.runnable(version(restored)).python == again


def test_a_backup_is_private_and_brought_up_to_date(backed_up: Filled, platform: Platform, tmp_path: Path) -> None:
    restore(backed_up.backup, platform.root)
    target = tmp_path / "nightly"
    first = back_up(platform, target)
    platform.hosted.delete(Caller("jane"), ["jane", "files", "large"], force=False)
    put(platform, ["jane", "empty", "new"], b"new")
    (target / "objects" / ".part-killed").touch()
    second = back_up(platform, target)
    assert first.digest == backed_up.manifest.digest != second.digest
    assert check(target, second.digest, nothing)
    kept = [path for path in target.rglob("*") if path.is_file() and path.name != ".lock"]
    assert all(path.stat().st_mode & 0o077 == 0 for path in [target, *target.rglob("*")])
    fresh = tmp_path / "fresh"
    back_up(platform, fresh)
    assert {path.name for path in kept} == {path.name for path in fresh.rglob("*") if path.is_file()}


def test_rows_name_nothing_that_a_backup_lacks_while_all_changes(platform: Platform, tmp_path: Path) -> None:
    """Collections, files, connectors and algorithms come and go while backups are made."""
    assert platform.account
    platform.metadata.ensure_account("jane")
    done, errors = threading.Event(), []

    def change(name: str, step: Callable[[int], None]) -> threading.Thread:
        def run() -> None:
            number = 0
            try:
                while not done.is_set():
                    step(number := number + 1)
            except BaseException as error:
                errors.append(error)
                raise

        thread = threading.Thread(target=run, name=name)
        thread.start()
        return thread

    def collections(number: int) -> None:
        name = f"c{number % 7}"
        platform.hosted.create(Caller("jane"), ["jane"], name, EVERYBODY)
        for file in range(3):
            put(platform, ["jane", name, f"{file}"], b"x" * number)
        platform.hosted.delete(Caller("jane"), ["jane", name], force=True)

    def connectors(number: int) -> None:
        platform.connectors.add("jane", f"s3+c{number}", {"key": number})
        platform.connectors.remove("jane", f"s3+c{number}")

    threads = [change("collections", collections), change("connectors", connectors)]
    try:
        for turn in range(4):
            target = tmp_path / f"b{turn % 2}"
            back_up(platform, target)
            contents = Contents(DirectoryStore(target))
            contents.check()
            contents.check_files(nothing)
            restore(target, tmp_path / f"r{turn}")
    finally:
        done.set()
        for thread in threads:
            thread.join()
    assert errors == []


def test_many_rows_take_little_memory_and_any_order(
    platform: Platform, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sorting, "RUN_BYTES", 1 << 20)
    assert platform.account
    with platform.database.write() as rows:
        rows.executemany(
            "INSERT INTO request_contents VALUES (?, ?, ?, ?)",
            [
                (f"{'Aa'[number % 2]}{number * 7919 % 10_007:05}", number, number / 7, b"\xff\0" * 20)
                for number in range(10_000)
            ],
        )
    manifest = back_up(platform, tmp_path / "b")
    assert manifest.tables["request_contents"].lines == 10_000
    lines = list(Contents(DirectoryStore(tmp_path / "b")).rows("request_contents"))
    assert lines == sorted(lines)
    restore(tmp_path / "b", tmp_path / "r")
    assert digest_of(tmp_path / "r", tmp_path / "again") == manifest.digest
    with closing(sqlite3.connect(tmp_path / "r" / "platform.sqlite3")) as rows:
        assert rows.execute("SELECT count(*) FROM request_contents WHERE data = x'ff00' || data").fetchone() == (0,)
        assert rows.execute("SELECT count(DISTINCT digest), sum(size) FROM request_contents").fetchone() == (
            10_000,
            sum(range(10_000)),
        )


def test_what_the_platform_lost_is_told_and_the_rest_restored(backed_up: Filled, tmp_path: Path) -> None:
    restore(backed_up.backup, tmp_path / "p")
    with closing(Platform(tmp_path / "p")) as platform:
        lost = min((platform.root / "sources").iterdir())
        remove_tree(lost)
        missing = back_up(platform, tmp_path / "b").missing
    assert missing == [f"sources/{lost.name}"]
    restore(tmp_path / "b", tmp_path / "q")


def test_secrets_can_be_left_out(backed_up: Filled, root: Path, tmp_path: Path) -> None:
    with closing(Platform(backed_up.root)) as platform:
        key = (platform.root / "secrets.key").read_bytes()
        manifest = back_up(platform, tmp_path / "b", with_secrets=False)
    assert not manifest.has_secrets
    everything = b"".join(path.read_bytes() for path in (tmp_path / "b").rglob("*") if path.is_file())
    assert key not in everything
    assert b"hush" not in everything
    restore(tmp_path / "b", root)
    assert not (root / "secrets.key").exists()
    # A platform that is replaced has them still.
    restore(backed_up.backup, tmp_path / "p")
    Restoration(State(tmp_path / "p"), replace=True, report=nothing).run(tmp_path / "b")
    assert digest_of(tmp_path / "p", tmp_path / "again") == backed_up.manifest.digest
