"""Disk is given back: what no version needs goes, what is in use stays, and each part can be removed by itself."""

from __future__ import annotations

import os
import shutil
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from algo_core.errors import AlgoError, NotFoundError
from algo_core.testing import Home
from algo_local import removal
from algo_local.algorithms import lifecycle
from algo_local.algorithms.build import Build
from algo_local.algorithms.drafts import Drafts
from algo_local.callers import CallContext
from algo_local.execution.payload import Payload
from algo_local.maintenance import describe
from algo_local.platform import Platform
from algo_local.pruning import DAY, Pruning, Removed
from algo_local.trees import disk_use

Publish = Callable[..., None]
GREET = "def apply(input):\n    return 'hi'\n"


@pytest.fixture
def prune(platform: Platform) -> Callable[..., list[Removed]]:
    """Prune at once what no version names: `prune(dry_run=True)`."""

    def prune(**options: Any) -> list[Removed]:
        return Pruning(platform, **{"older_than": 0.0, **options}).run()

    return prune


def add_build(platform: Platform, commit: str, *, environment: str = "", status: str = "succeeded") -> str:
    """Record a build of acme/Greet, newer than those before, with a tree and an environment of its own."""
    found = platform.registry.algorithm("acme", "Greet")
    assert found
    source = platform.root / "sources" / (commit * 40)[:40]
    source.mkdir(parents=True, exist_ok=True)
    source.joinpath("file").write_bytes(b"x" * 8192)
    if environment:
        make_environment(platform, environment)
    with platform.database.write() as rows:
        rows.execute(
            "INSERT INTO builds (id, algorithm, commit_hash, status, source, python, module, started_at, finished_at)"
            " VALUES (?, ?, ?, ?, ?, ?, 'src.Greet', ?, ?)",
            (
                f"id-{commit}",
                found.id,
                source.name,
                status,
                f"sources/{source.name}",
                f"environments/{(environment * 40)[:40]}/bin/python" if environment else "",
                *(time.time(), time.time()),
            ),
        )
    return source.name


def make_environment(platform: Platform, letter: str) -> Path:
    path = platform.root / "environments" / (letter * 40)[:40]
    (path / "bin").mkdir(parents=True, exist_ok=True)
    (path / "requirements.txt").write_text(f"{letter}\n")
    (path / "lib").write_bytes(b"x" * 100_000)
    path.with_suffix(".lock").touch()
    return path


def kinds(removed: list[Removed]) -> list[tuple[str, str]]:
    return sorted((one.kind, one.name.rpartition("/")[2][:8]) for one in removed)


def state(root: Path) -> set[str]:
    """The names of all that is there, without what SQLite and locks leave beside."""
    return {
        str(path.relative_to(root)) for path in root.rglob("*") if not path.name.endswith((".lock", "-wal", "-shm"))
    }


def test_only_what_no_version_needs_is_removed(
    platform: Platform, publish: Publish, prune: Callable[..., list[Removed]]
) -> None:
    publish("acme/Greet", GREET)
    add_build(platform, "a", environment="1")  # old
    add_build(platform, "b", environment="2", status="failed")
    add_build(platform, "c", environment="3")  # the newest that runs: it can still be published
    make_environment(platform, "4")  # nobody's
    before = state(platform.root)
    found = prune(dry_run=True)
    assert state(platform.root) == before
    expected = [("build", "aaaaaaaa"), ("build", "bbbbbbbb")]
    expected += [("environment", letter * 8) for letter in "124"] + [("source", letter * 8) for letter in "ab"]
    assert kinds(found) == expected
    assert sum(one.size for one in found) >= 300_000 + 2 * 8192
    assert kinds(prune()) == expected
    assert kinds(prune()) == []
    left = {path.name for path in (platform.root / "environments").iterdir()}
    assert left == {"3" * 40, f"{'3' * 40}.lock"}
    algorithm = platform.registry.algorithm("acme", "Greet")
    assert algorithm
    assert [build.commit[:1] for build in platform.builds.of(algorithm) if not build.version] == ["c"]
    assert platform.registry.versions(algorithm)[0].build.source.is_dir()


def test_a_dry_run_tells_what_the_real_one_frees(platform: Platform, prune: Callable[..., list[Removed]]) -> None:
    """Environments share files with each other and with the cache of packages."""
    assert platform.account
    one, other = make_environment(platform, "1"), make_environment(platform, "2")
    packages = platform.root / "packages"
    packages.mkdir(exist_ok=True)
    for path in (one / "shared", other / "shared", packages / "shared"):
        if path.parent == one:
            path.write_bytes(b"x" * 500_000)
        else:
            os.link(one / "shared", path)
    places = [platform.root / name for name in ("environments", "packages", "sources")]
    before = disk_use(places)
    expected = sum(found.size for found in prune(dry_run=True))
    assert expected > 700_000
    assert sum(found.size for found in prune()) == expected == before - disk_use(places)


def test_what_an_environment_shares_is_not_freed_with_it(platform: Platform) -> None:
    assert platform.account
    one, other = make_environment(platform, "1"), make_environment(platform, "2")
    (one / "shared").write_bytes(b"x" * 500_000)
    os.link(one / "shared", other / "shared")
    before = disk_use([platform.root / "environments"])
    assert {found.size > 500_000 for found in removal.environments(platform)} == {True}
    for letter, most in (("1", 400_000), ("2", 700_000)):
        freed = removal.remove_environment(platform, letter * 8).size
        before -= freed
        assert before == disk_use([platform.root / "environments"])
        assert freed < most
    assert freed > 500_000


def test_younger_builds_stay(platform: Platform, publish: Publish, prune: Callable[..., list[Removed]]) -> None:
    publish("acme/Greet", GREET)
    add_build(platform, "a")
    add_build(platform, "b")
    assert kinds(prune(older_than=DAY)) == []


def test_the_number_of_a_withdrawn_version_is_never_used_again(
    platform: Platform, publish: Publish, prune: Callable[..., list[Removed]]
) -> None:
    publish("acme/Greet", GREET, "1.0.0")
    publish("acme/Greet", GREET + "# more", "1.1.0")
    algorithm = platform.registry.algorithm("acme", "Greet")
    assert algorithm
    newest, oldest = platform.registry.versions(algorithm)
    lifecycle.unpublish(platform.registry, oldest)
    assert ("build", oldest.build.commit[:8]) in kinds(prune())
    assert not oldest.build.source.exists()
    assert [build.commit for build in platform.builds.of(algorithm)] == [newest.build.commit]
    assert platform.registry.build(algorithm, oldest.build.commit) is None
    with pytest.raises(AlgoError, match="was withdrawn"):
        publish("acme/Greet", GREET, "1.0.0")
    publish("acme/Greet", GREET, "1.2.0")  # the same content once more
    assert [version.text for version in platform.registry.versions(algorithm)] == ["1.2.0", "1.1.0"]


class Running:
    """A call of a build that no version names, for as long as it is wanted."""

    def __init__(self, platform: Platform, build: Build, directory: Path) -> None:
        self._go = directory / "go"
        self.outcome: Any = None
        started = threading.Event()

        def call() -> None:
            context = CallContext("jane", ("acme", "Greet"), "session", "request")
            payload = Payload("text", str(self._go))
            self.outcome = platform.executor.call(
                build, payload, timeout=60, context=context, on_start=lambda worker: started.set()
            )

        self._thread = threading.Thread(target=call)
        self._thread.start()
        assert started.wait(60)

    def end(self) -> Any:
        self._go.touch()
        self._thread.join()
        return self.outcome


@pytest.fixture
def unsandboxed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ALGO_LOCAL_SANDBOX", "off")


WAITS = """
import importlib, os, time
def apply(path):
    while not os.path.exists(path):
        time.sleep(0.01)
    return importlib.import_module("late").WORD
"""


@pytest.fixture
def running(
    platform: Platform, publish: Publish, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, unsandboxed: None
) -> Iterator[tuple[Running, Build]]:
    """A call under way that imports from its environment only later."""
    (tmp_path / "late").mkdir()
    (tmp_path / "late" / "late.py").write_text("WORD = 'late'\n")
    publish("acme/Greet", GREET)
    directory = tmp_path / "waits"
    (directory / "src").mkdir(parents=True)
    (directory / "src" / "Greet.py").write_text(WAITS)
    build = platform.builder.build(directory, "acme", "Greet")
    environment = make_environment(platform, "e")
    (environment / "lib").unlink()
    import venv

    venv.create(environment, symlinks=True)
    packages = next(environment.glob("lib/python*/site-packages"))
    shutil.copy(tmp_path / "late" / "late.py", packages)
    build = Build(build.commit, build.source, environment / "bin" / "python", build.module, "")
    call = Running(platform, build, tmp_path)
    yield call, build
    call.end()


def test_what_a_running_call_uses_stays_until_it_has_ended(
    platform: Platform, running: tuple[Running, Build], prune: Callable[..., list[Removed]]
) -> None:
    call, build = running
    environment = build.python.parent.parent
    make_environment(platform, "f")
    pruning = Pruning(platform, older_than=0)
    assert kinds(pruning.run()) == [("environment", "f" * 8)]
    assert kinds(pruning.in_use) == [("environment", "e" * 8), ("source", build.commit[:8])]
    with pytest.raises(AlgoError, match="in use by a running algorithm"):
        removal.remove_environment(platform, environment.name)
    assert call.end().result == Payload("text", "late")
    platform.executor.close()  # ends the worker, which waited for another call
    assert kinds(prune()) == [("environment", "e" * 8), ("source", build.commit[:8])]
    assert not environment.exists()


def test_nothing_of_a_build_goes_before_it_is_recorded(
    platform: Platform, publish: Publish, prune: Callable[..., list[Removed]]
) -> None:
    publish("acme/Greet", GREET)
    environment = make_environment(platform, "4")
    with platform.builder.building():
        pruning = Pruning(platform, older_than=0)
        assert (pruning.run(), pruning.is_partial) == ([], True)
        for remove in (
            lambda: removal.remove_environment(platform, "4444"),
            lambda: removal.remove_build(platform, _greet(platform), "4444"),
        ):
            with pytest.raises(AlgoError, match="is being built"):
                remove()
    assert environment.is_dir()
    assert kinds(prune()) == [("environment", "4" * 8)]


def test_leftovers_of_ended_processes(
    platform: Platform, publish: Publish, prune: Callable[..., list[Removed]]
) -> None:
    publish("acme/Greet", GREET)
    root, old = platform.root, time.time() - 3 * DAY
    gone = [
        "sources/.building-x/tree/file",
        "repositories/.checkout-x/Greet/file",
        "repositories/.making-x/bare/HEAD",
        "incoming/half",
        "trash/x/file",
        "sessions/old/file",
        "processes/p-dead/1/home/file",
        "drafts/d-dead/sources/x/file",
        "running/dead.lock",
        "algorithm-data/acme/Greet/temp/jane/old",
    ]
    kept = ["sessions/new/file", "algorithm-data/acme/Greet/temp/jane/new", "algorithm-data/acme/Greet/perm/jane/old"]
    for name in (*gone, *kept):
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(b"x" * 5000)
        if "new" not in name:
            os.utime(path, (old, old))
    os.utime(root / "sessions" / "old", (old, old))
    assert len(prune()) == len(gone)
    assert [name for name in (*gone, *kept) if (root / name).exists()] == kept
    assert list((root / "trash").iterdir()) == []


def test_the_environment_of_a_draft_stays_until_its_process_has_ended(
    platform: Platform, publish: Publish, tmp_path: Path, prune: Callable[..., list[Removed]], monkeypatch: Any
) -> None:
    publish("acme/Greet", GREET)
    directory = tmp_path / "algorithms" / "acme" / "Greet" / "1.0.0"
    environment = make_environment(platform, "9")
    made = platform.builder.build(directory, "acme", "Greet")
    made = Build(made.commit, made.source, environment / "bin" / "python", made.module, "")
    drafts = Drafts(platform.root)
    monkeypatch.setattr(drafts._builder, "build", lambda *given, **options: made)
    drafts.build(directory, "acme", "Greet")
    assert prune() == []
    drafts.close()
    assert kinds(prune()) == [("environment", "9" * 8)]


def test_a_transfer_under_way_is_no_leftover(platform: Platform, prune: Callable[..., list[Removed]]) -> None:
    parts = iter([b"one", b"two", b""])

    def read(size: int) -> bytes:
        assert prune() == []
        return next(parts)

    with platform.objects.receive(read) as received:
        assert prune() == []
        assert Path(received.path).read_bytes() == b"onetwo"


def test_recorded_calls_beyond_their_limits(
    platform: Platform, embedded: Any, prune: Callable[..., list[Removed]], unsandboxed: None
) -> None:
    embedded.run("demo/Hello", b"one")
    embedded.run("demo/Hello", b"two")
    platform.records.flush()  # else a row that waits would be written over the older one
    with platform.database.write() as rows:
        (first,) = rows.execute("SELECT id FROM requests ORDER BY created_at LIMIT 1").fetchone()
        rows.execute("UPDATE requests SET created_at = created_at - 1e6 WHERE id = ?", (first,))
    assert [one.name for one in prune(dry_run=True)] == ["1 calls"]
    assert [one.name for one in prune()] == ["1 calls"]
    assert platform.records.find(first) is None
    assert prune() == []


def test_what_can_be_removed_is_completed(algo_home: Home) -> None:
    words = ["local", "env", "remove"]
    assert algo_home.complete(*words, "") == []
    algo_home.run("local", "status")
    stale = algo_home.root / "local" / "environments" / ("e" * 40)
    stale.mkdir(parents=True)
    assert algo_home.complete(*words, "ee") == ["e" * 40]
    assert algo_home.complete("local", "build", "remove", "de") == ["demo/Hello"]
    assert algo_home.complete("local", "build", "remove", "demo/Hello", "") == []
    assert algo_home.complete("local", "data", "remove", "demo/") == ["demo/Hello"]


def _greet(platform: Platform) -> Any:
    found = platform.registry.algorithm("acme", "Greet")
    assert found
    return found


def test_one_build_is_removed_by_any_beginning_of_its_names(platform: Platform, publish: Publish) -> None:
    publish("acme/Greet", GREET)
    (version,) = platform.registry.versions(_greet(platform))
    commit, other = add_build(platform, "a", environment="1"), add_build(platform, "abc")
    for wanted, error, words in [
        ("zzzz", NotFoundError, "no build 'zzzz'"),
        ("a", NotFoundError, "no build"),
        ("id-a", None, ""),
        ("id-a", None, ""),
        (version.build.commit, AlgoError, "acme/Greet/1.0.0 is published of this build"),
    ]:
        if error:
            with pytest.raises(error, match=words):
                removal.remove_build(platform, _greet(platform), wanted)
        else:
            assert removal.remove_build(platform, _greet(platform), wanted) in (commit, other)
    assert not (platform.root / "sources" / commit).exists()
    assert not (platform.root / "sources" / other).exists()
    assert (platform.root / "environments" / ("1" * 40)).is_dir()
    assert version.build.source.is_dir()


def test_an_environment_is_removed_unless_a_build_needs_it(platform: Platform, publish: Publish) -> None:
    publish("acme/Greet", GREET)
    add_build(platform, "a", environment="1")
    make_environment(platform, "2")
    assert [(one.id[:1], one.algorithms, one.requirements) for one in removal.environments(platform)] == [
        ("1", ("acme/Greet",), ("1",)),
        ("2", (), ("2",)),
    ]
    with pytest.raises(AlgoError, match="Builds of acme/Greet need"):
        removal.remove_environment(platform, "1" * 40)
    assert removal.remove_environment(platform, "2222").id == "2" * 40
    assert [path.name for path in sorted((platform.root / "environments").iterdir())] == [
        "1" * 40,
        f"{'1' * 40}.lock",
    ]


def test_the_data_of_an_algorithm_is_removed_for_all_callers(platform: Platform, publish: Publish) -> None:
    publish("acme/Greet", GREET)
    for user in ("jane", "joe"):
        path = Path(platform.objects.algorithm_space("acme", "Greet", "perm", user))
        path.mkdir(parents=True)
        (path / "file").write_bytes(b"x" * 50_000)
    (name, temporary, permanent) = removal.data_sizes(platform)[0]
    assert (name, temporary) == ("acme/Greet", 0)
    assert permanent >= 100_000
    assert removal.remove_data(platform, _greet(platform)) >= 100_000
    assert removal.data_sizes(platform) == []
    assert removal.remove_data(platform, _greet(platform)) == 0


def test_status_tells_the_disk_by_kind(platform: Platform, publish: Publish) -> None:
    publish("acme/Greet", GREET)
    make_environment(platform, "1")
    found = describe(platform)["bytes"]
    assert set(found) == {
        *("data", "algorithm_data", "sources", "environments", "packages", "running", "leftovers", "calls", "database"),
    }
    assert found["environments"] >= 100_000
    assert found["database"] > 0


def test_disk_use_counts_each_file_once(tmp_path: Path) -> None:
    inside, outside = tmp_path / "tree", tmp_path / "outside"
    inside.mkdir()
    (inside / "one").write_bytes(b"x" * 100_000)
    os.link(inside / "one", inside / "two")
    alone = disk_use([inside])
    assert 100_000 <= alone < 150_000
    assert disk_use([inside], only_freed=True) == alone
    os.link(inside / "one", outside)
    assert disk_use([inside]) == alone
    assert disk_use([inside], only_freed=True) <= alone - 100_000
    assert disk_use([tmp_path / "none"]) == 0
