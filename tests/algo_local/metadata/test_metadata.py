"""Rows: a fresh platform, accounts, keys, versions; several processes and damaged files."""

from __future__ import annotations

import sqlite3
import subprocess
import sys
import threading
from pathlib import Path
from typing import Any

import pytest

from algo_core.errors import AlreadyExists, ConfigError, NotFoundError, RequestRefused, UsageError
from algo_local.algorithms.build import Build
from algo_local.algorithms.registry import Algorithm, Registry, parse_version
from algo_local.metadata.sqlite import SqliteDatabase
from algo_local.platform import Platform
from algo_local.state import DATABASE

FURNISH = """
import sys
from pathlib import Path
from algo_local.platform import Platform
platform = Platform(Path(sys.argv[1]))
print(platform.account, [f"{a.owner}/{a.name}" for a in platform.registry.algorithms()])
"""


def build(root: Path, commit: str = "a" * 40) -> Build:
    return Build(commit, root / "sources" / commit, Path(sys.executable), "src.Hello", "log\n")


def test_a_fresh_platform_has_its_person_and_hello(platform: Platform) -> None:
    assert platform.account == "jane"
    assert platform.metadata.accounts() == ["demo", "jane"]
    algorithm = platform.registry.algorithm("DEMO", "hello")
    assert algorithm
    assert (algorithm.owner, algorithm.name) == ("demo", "Hello")
    found = [(version.text, version.public) for version in platform.registry.versions(algorithm)]
    assert found == [("1.0.0", True), ("0.1.1", True), ("0.1.0", True)]


def test_the_person_stays_the_same_under_another_login(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    first = Platform(root)
    assert first.account == "jane"
    first.close()
    monkeypatch.setenv("LOGNAME", "bob")
    second = Platform(root)
    assert second.account == "jane"
    second.close()


def test_processes_that_start_a_fresh_platform_at_once_agree(root: Path) -> None:
    processes = [
        subprocess.Popen([sys.executable, "-c", FURNISH, str(root)], stdout=subprocess.PIPE, stderr=subprocess.PIPE)
        for _ in range(6)
    ]
    outputs = [process.communicate(timeout=120) for process in processes]
    assert [err.decode() for _, err in outputs] == [""] * 6
    assert {out.decode() for out, _ in outputs} == {"jane ['demo/Hello']\n"}


def test_state_is_for_its_person_only(platform: Platform) -> None:
    assert platform.account
    assert platform.root.stat().st_mode & 0o777 == 0o700


def test_platform_can_be_moved(platform: Platform, tmp_path: Path) -> None:
    assert platform.account
    platform.close()
    moved = tmp_path / "moved"
    platform.root.rename(moved)
    again = Platform(moved)
    algorithm = again.registry.algorithm("demo", "Hello")
    assert algorithm
    version = again.registry.versions(algorithm)[0]
    assert version.build.source.is_relative_to(moved)
    assert version.build.source.is_dir()
    assert version.build.python == Path(sys.executable)
    again.close()


def test_a_key_is_kept_as_a_hash_only(platform: Platform) -> None:
    key = platform.keys.create(platform.metadata.ensure_account("alice"), "mine")[1]
    assert (len(key), key[:3]) == (28, "sim")
    assert platform.keys.find(key).owner == "alice"
    (kept,) = platform.keys.all()
    assert (kept.owner, kept.label) == ("alice", "mine")
    platform.close()
    assert key.encode() not in b"".join(path.read_bytes() for path in platform.root.glob(f"{DATABASE}*"))


def test_keys_are_revoked_by_number_mask_or_themselves(platform: Platform) -> None:
    keys = [platform.keys.create(platform.metadata.ensure_account("alice"), str(number))[1] for number in range(4)]
    kept = platform.keys.all()
    assert platform.keys.revoke(str(kept[0].id)).label == "0"
    assert platform.keys.revoke(kept[1].mask).label == "1"
    assert platform.keys.revoke(keys[2]).label == "2"
    (left,) = platform.keys.all()
    assert left.label == "3"
    for which in (str(kept[0].id), keys[1], "", "0", "nonsense"):
        with pytest.raises(NotFoundError):
            platform.keys.revoke(which)


@pytest.mark.parametrize("name", ["", "1a", "a-b", "a.b", "temp", "Perm", "default", "x" * 31, "ä", "a\n"])
def test_names_that_no_account_can_have(platform: Platform, name: str) -> None:
    with pytest.raises(RequestRefused):
        platform.metadata.ensure_account(name)


def test_an_account_is_found_in_any_case(platform: Platform) -> None:
    assert platform.metadata.ensure_account("Alice") == "Alice"
    assert platform.metadata.ensure_account("ALICE") == "Alice"
    assert platform.metadata.accounts() == ["Alice", "demo", "jane"]


@pytest.mark.parametrize(
    "text", ["", "1", "1.0", "1.0.0.0", "v1.0.0", "1.0.x", "1.0.-1", "1.0.0 ", "٣.0.0", "1" * 10 + ".0.0"]
)
def test_versions_to_publish_are_semantic(text: str) -> None:
    with pytest.raises(UsageError):
        parse_version(text)


def test_published_versions_never_change(platform: Platform) -> None:
    registry, made = platform.registry, build(platform.root)
    registry.publish("alice", "Algo", (1, 2, 3), made, public=True, started_at=0.0)
    with pytest.raises(AlreadyExists) as caught:
        registry.publish("alice", "algo", (1, 2, 3), build(platform.root, "b" * 40), public=True, started_at=0.0)
    assert "1.2.4" in str(caught.value.hint)
    algorithm = registry.algorithm("alice", "Algo")
    assert algorithm
    assert [version.build.commit for version in registry.versions(algorithm)] == ["a" * 40]


@pytest.mark.parametrize(
    ("wanted", "found"),
    [
        ("", "2.0.0"),
        ("latest", "2.0.0"),
        ("1", "1.10.0"),
        ("1.*", "1.10.0"),
        ("1.x.x", "1.10.0"),
        ("1.2", "1.2.10"),
        ("1.2.*", "1.2.10"),
        ("1.2.x", "1.2.10"),
        ("1.2.9", "1.2.9"),
        ("01.2.9", "1.2.9"),
        ("3.0.0", None),
        ("3.*", None),
        ("4.*", None),
        ("1.3.*", None),
        ("10.*", "10.0.0"),
        ("a" * 40, None),
        ("latestPrivate", None),
        ("*", None),
        ("1.2.3.4", None),
        ("1..2", None),
    ],
)
def test_versions_that_a_stranger_reaches(platform: Platform, wanted: str, found: str | None) -> None:
    registry = platform.registry
    for text in ("1.2.9", "1.2.10", "1.10.0", "2.0.0") + (("10.0.0",) if wanted == "10.*" else ()):
        registry.publish("alice", "Algo", parse_version(text), build(platform.root), public=True, started_at=0.0)
    registry.publish("alice", "Algo", (3, 0, 0), build(platform.root), public=False, started_at=0.0)
    algorithm = registry.algorithm("alice", "Algo")
    assert algorithm
    version = registry.resolve(algorithm, wanted, as_owner=False)
    assert (version.text if version else None) == found


def test_versions_that_the_owner_reaches(platform: Platform) -> None:
    registry = platform.registry
    for number in ((2, 0, 0), (1, 5, 0)):
        registry.publish("alice", "Algo", number, build(platform.root), public=False, started_at=0.0)
    algorithm = registry.algorithm("alice", "Algo")
    assert algorithm

    def resolve(wanted: str) -> Any:
        version = registry.resolve(algorithm, wanted, as_owner=True) if isinstance(algorithm, Algorithm) else None
        return version and (version.text or version.build.commit)

    assert resolve("latestPrivate") == "1.5.0"  # the last that was published
    assert resolve("2.0.0") == "2.0.0"
    assert resolve("a" * 40) == "a" * 40
    assert resolve("b" * 40) is None
    assert resolve("") is None
    assert resolve("1.*") is None


def test_threads_share_the_database(platform: Platform) -> None:
    failures: list[BaseException] = []

    def work(number: int) -> None:
        try:
            for round_ in range(20):
                platform.metadata.remember_digest(f"p{number}-{round_}", "i", "m")
                assert platform.metadata.digest(f"p{number}-{round_}", "i") == "m"
        except BaseException as error:
            failures.append(error)

    threads = [threading.Thread(target=work, args=(number,)) for number in range(16)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert failures == []


def test_a_failed_transaction_leaves_nothing(platform: Platform) -> None:
    with pytest.raises(ZeroDivisionError), platform.database.write() as rows:
        platform.metadata.insert_collection(rows, "jane", "c", ())
        raise ZeroDivisionError
    assert platform.metadata.collections("jane") == []
    with platform.database.write() as rows:
        platform.metadata.insert_collection(rows, "jane", "c", ())
    assert platform.metadata.collections("jane") == [("c", ())]


def test_a_file_that_is_no_database_is_not_touched(root: Path) -> None:
    root.mkdir(mode=0o700)
    (root / DATABASE).write_bytes(b"something else entirely" * 100)
    with pytest.raises(ConfigError, match="is not the embedded platform's database"):
        _ = Platform(root).account
    assert (root / DATABASE).read_bytes() == b"something else entirely" * 100


def test_a_newer_schema_is_left_alone(root: Path) -> None:
    root.mkdir(mode=0o700)
    connection = sqlite3.connect(root / DATABASE)
    connection.execute("PRAGMA user_version=99")
    connection.close()
    with pytest.raises(ConfigError, match="newer"):
        _ = Platform(root).account


def test_a_directory_that_cannot_be_made(root: Path) -> None:
    root.parent.mkdir(exist_ok=True)
    root.write_text("a file in its place")
    with pytest.raises(ConfigError, match="Cannot make"):
        _ = Platform(root).account


def test_a_registry_takes_builds_from_elsewhere_as_they_are(tmp_path: Path) -> None:
    registry = Registry(SqliteDatabase(tmp_path / "root" / DATABASE), tmp_path / "root")
    made = Build(
        "c" * 40, tmp_path / "elsewhere", tmp_path / "root" / "environments" / "e" / "bin" / "python", "src.A", ""
    )
    registry.publish("alice", "A", (1, 0, 0), made, public=True, started_at=1.5)
    algorithm = registry.algorithm("alice", "A")
    assert algorithm
    (version,) = registry.versions(algorithm)
    assert version.build == made
    registry.database.close()
