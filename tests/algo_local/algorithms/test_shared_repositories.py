"""Repositories of algorithms on several machines, over one database and one object store."""

from __future__ import annotations

import hashlib
import os
import shutil
import subprocess
import tarfile
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest
from dulwich.refs import Ref
from dulwich.repo import Repo
from support import tar_archives
from support.machines import Machines
from support.programs import needs
from support.stores import Store

from algo_local.algorithms import repositories as repositories_module
from algo_local.algorithms.registry import Algorithm
from algo_local.algorithms.repository_files import bring_to, content_of, copy_to, make_bare, pack, unpack
from algo_local.algorithms.source_trees.archives import FILE, TreeEntry
from algo_local.backups.archive import DirectoryStore
from algo_local.backups.backup import Backup
from algo_local.data import shared_repositories
from algo_local.data.contract import put
from algo_local.data.incoming import Incoming
from algo_local.data.shared_repositories import REPOSITORIES, SharedRepositories
from algo_local.data.store_objects import StoreObjects
from algo_local.metadata.write_stop import allow_writes, stop_writes
from algo_local.platform import Platform
from algo_local.pruning import Pruning
from algo_local.refusals import Missing, StorageUnavailable
from algo_local.retirement import delete_algorithm
from algo_local.serving.http.listener import listen
from algo_local.serving.http.server import Server
from algo_local.web.app import Application


def commit(platform: Platform, algorithm: Algorithm, text: str) -> str:
    """Replace all files; the commit."""
    files = [TreeEntry(f"src/{name}.py", FILE, text.encode()) for name in ("New", "__init__")]
    return platform.repositories.commit(algorithm, files, "alice", text)


def messages(platform: Platform, algorithm: Algorithm) -> list[str]:
    """Those of all commits, the oldest first."""
    return [each.message.decode().strip() for each in reversed(platform.repositories.log(algorithm))]


def stored(platform: Platform) -> list[str]:
    return platform.objects.names(REPOSITORIES)


def named(platform: Platform, algorithm: Algorithm) -> list[str]:
    """The objects that the repository is made of."""
    assert platform.shared_repositories
    return sorted((platform.shared_repositories.current(algorithm.id) or "").split())


def test_what_one_machine_commits_all_others_have(machine_at: Machines, shared_algorithm: Algorithm) -> None:
    one, two = machine_at("one"), machine_at("two")
    first = commit(two, shared_algorithm, "first")
    assert one.repositories.newest(shared_algorithm) == first
    assert commit(one, shared_algorithm, "first") == first, "equal files are the same commit"
    second = commit(one, shared_algorithm, "second")
    with two.repositories.checkout(shared_algorithm, second) as directory:
        assert (directory / "src" / "New.py").read_text() == "second"
    assert (
        messages(machine_at("three"), shared_algorithm)
        == messages(one, shared_algorithm)
        == ["Initial commit", "first", "second"]
    )
    assert stored(one) == named(one, shared_algorithm)
    copies = [{name: (each.root / "repositories" / f"{shared_algorithm.id}.git" / name).read_bytes() for name in content_of(
        each.repositories.path(shared_algorithm.id))} for each in (one, two, machine_at("three"))]  # fmt: skip
    assert copies[0] == copies[1] == copies[2]
    assert not list(one.root.glob("repositories/.*")), "no drafts are left"


def test_a_copy_that_is_current_costs_one_row_and_no_request(
    machine_at: Machines, shared_algorithm: Algorithm, monkeypatch: pytest.MonkeyPatch
) -> None:
    one = machine_at("one")
    commit(one, shared_algorithm, "first")
    for name in ("open", "receive", "place", "info"):
        monkeypatch.setattr(one.objects, name, None)
    assert messages(one, shared_algorithm) == ["Initial commit", "first"]
    commit(one, shared_algorithm, "first")  # which changes nothing


def test_of_changes_at_once_none_is_lost(machine_at: Machines, shared_algorithm: Algorithm) -> None:
    platforms = [machine_at("one"), machine_at("two"), machine_at("two")]
    begin = threading.Barrier(len(platforms))
    failures: list[BaseException] = []

    def work(number: int) -> None:
        try:
            begin.wait(60)
            for turn in range(2):
                commit(platforms[number], shared_algorithm, f"{number} {turn}")
        except BaseException as error:
            failures.append(error)

    threads = [threading.Thread(target=work, args=(number,)) for number in range(len(platforms))]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert failures == []
    found = [messages(platform, shared_algorithm) for platform in platforms]
    assert found[0][0] == "Initial commit"
    assert sorted(found[0][1:]) == sorted(f"{number} {turn}" for number in range(3) for turn in range(2))
    assert all(each == found[0] for each in found)
    assert stored(platforms[0]) == named(platforms[0], shared_algorithm), "what was refused is removed"


def test_who_is_always_overtaken_is_told(
    machine_at: Machines, shared_algorithm: Algorithm, monkeypatch: pytest.MonkeyPatch
) -> None:
    one = machine_at("one")
    commit(one, shared_algorithm, "first")
    monkeypatch.setattr(repositories_module, "_TRIES", 3)
    monkeypatch.setattr(SharedRepositories, "replace", lambda *given: False)
    with pytest.raises(StorageUnavailable, match="alice/New is being changed by other processes"):
        commit(one, shared_algorithm, "second")
    monkeypatch.undo()
    assert messages(one, shared_algorithm) == ["Initial commit", "first"]
    assert stored(one) == named(one, shared_algorithm)


DEATHS = {
    "before it is stored": (StoreObjects, "place", True, False),
    "when it is stored": (StoreObjects, "place", False, False),
    "before the row": (SharedRepositories, "replace", True, False),
    "after the row": (SharedRepositories, "replace", False, True),
    "before the copy": (repositories_module, "bring_to", True, True),
    "after the copy": (repositories_module, "bring_to", False, True),
    "before the older state is removed": (SharedRepositories, "drop", True, True),
}


def test_a_machine_that_dies_leaves_the_old_state_or_the_new_one(
    machine_at: Machines, shared_algorithm: Algorithm, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The store is in memory, so that the dying machine is one that goes no further, with what a dead one leaves."""
    one, two, three = (machine_at(name) for name in ("one", "two", "three"))
    expected = ["Initial commit"]
    monkeypatch.setattr(shared_repositories, "UNNAMED_SECONDS", 3600)

    class Dead(BaseException):
        pass

    for death, (owner, name, is_before, is_done) in DEATHS.items():
        assert messages(two, shared_algorithm) == expected, death
        whole: Any = getattr(owner, name)

        def die(*given: Any, whole: Any = whole, is_before: bool = is_before, **options: Any) -> Any:
            if not is_before:
                whole(*given, **options)
            shutil.copytree(two.root / "repositories", tmp_path / "left", symlinks=True)
            raise Dead

        with monkeypatch.context() as patch:
            patch.setattr(owner, name, die)
            with pytest.raises(Dead):
                commit(two, shared_algorithm, death)
        shutil.rmtree(two.root / "repositories")
        (tmp_path / "left").rename(two.root / "repositories")
        expected += [death] if is_done else []
        for platform in (three, one, two):
            assert messages(platform, shared_algorithm) == expected, death
    commit(two, shared_algorithm, "at last")
    expected.append("at last")
    monkeypatch.setattr(shared_repositories, "UNNAMED_SECONDS", -60)
    Pruning(one).run()
    assert stored(one) == named(one, shared_algorithm)
    assert messages(machine_at("four"), shared_algorithm) == expected


def test_what_may_still_be_named_is_not_pruned(
    machine_at: Machines, shared_algorithm: Algorithm, monkeypatch: pytest.MonkeyPatch
) -> None:
    one = machine_at("one")
    commit(one, shared_algorithm, "first")
    shared = one.shared_repositories
    assert shared
    name = shared.keep(shared_algorithm.id, one.repositories.path(shared_algorithm.id))
    Pruning(one).run()
    assert name in stored(one)
    now = time.time() - shared_repositories.UNNAMED_SECONDS
    assert not shared.replace(shared_algorithm.id, shared.current(shared_algorithm.id), name, now), (
        "it may be gone by then"
    )
    monkeypatch.setattr(shared_repositories, "UNNAMED_SECONDS", -60)
    listed = [removed.name for removed in Pruning(one, dry_run=True).run()]
    assert [each for each in listed if REPOSITORIES in each] == [f"shared repositories/{name}"]
    assert name in stored(one)
    Pruning(one).run()
    assert name not in stored(one)
    assert messages(machine_at("two"), shared_algorithm) == ["Initial commit", "first"]


def archive(**members: Any) -> bytes:
    return tar_archives.archive("w", **members)


@pytest.mark.parametrize(
    "content",
    [
        b"", b"no archive", archive(HEAD=b"", config=b"[core]\n\tfsmonitor = evil\n"),
        archive(HEAD=b"", **{"hooks/post-receive": b"evil"}), archive(HEAD=b"", **{"refs/../../../outside": b"x"}),
        archive(**{"/tmp/outside-of-a-repository": b"x"}), archive(HEAD=(tarfile.SYMTYPE, "/etc/passwd")),
        archive(HEAD=(tarfile.LNKTYPE, "/etc/passwd")), archive(HEAD=(tarfile.FIFOTYPE, "")),
        archive(HEAD=b"1", **{"refs/heads/a": b"1", "refs/heads/a/b": b"2"}), archive(HEAD=b"x" * 3000)[:2000],
        archive(HEAD=b"", **{"objects/info/alternates": b"/"}), archive(**{"packed-refs": b""}),
    ],
    ids=[
        "empty", "none", "settings", "hook", "up", "absolute", "link", "hard link", "pipe", "twice", "cut", "others",
        "no HEAD",
    ],
)  # fmt: skip
def test_what_is_stored_is_not_believed(content: bytes, tmp_path: Path) -> None:
    store = Store("memory", {}, tmp_path.name)
    incoming = Incoming(str(tmp_path / "incoming"))
    objects = StoreObjects(store.open(), store.uri(), "memory://", incoming, set, lambda: "platform")
    nothing: Any = None
    shared = SharedRepositories(objects, nothing, lambda: None)
    for number, digest in enumerate((hashlib.sha256(content).hexdigest(), "0" * 64)):
        put(objects, REPOSITORIES, f"{digest}.00", content)
        draft = tmp_path / str(number) / "bare"
        draft.parent.mkdir()
        with pytest.raises(StorageUnavailable, match="is damaged"):
            shared.fetch(f"{digest}.00", draft)
        assert not (draft / "HEAD").is_symlink()
    assert list(tmp_path.rglob("*outside*")) == []
    assert not Path("/tmp/outside-of-a-repository").exists()


def test_a_repository_that_is_gone_from_the_store_is_named(machine_at: Machines, shared_algorithm: Algorithm) -> None:
    one, two = machine_at("one"), machine_at("two")
    commit(one, shared_algorithm, "first")
    name, _ = named(one, shared_algorithm)
    one.objects.remove(REPOSITORIES, name)
    with pytest.raises(StorageUnavailable, match=f"not in the object store: .*{name}"):
        commit(two, shared_algorithm, "second")
    make_bare(two.repositories.path(shared_algorithm.id))  # of its own, from before
    two.share_builds()  # which it does not keep from what else begins with it
    commit(one, shared_algorithm, "second")  # who has a copy stores it again with the next change
    assert messages(two, shared_algorithm) == ["Initial commit", "first", "second"]


def test_repositories_from_before_the_object_store_are_shared(
    machine_at: Machines, shared_algorithm: Algorithm
) -> None:
    platform = machine_at("one", shares=False)
    commit(platform, shared_algorithm, "before")
    assert not list(platform.root.glob("repositories/*.shared")), "alone it is as it was"
    machine_at("one").share_builds()
    assert messages(machine_at("two"), shared_algorithm) == ["Initial commit", "before"]


def test_what_was_changed_while_nothing_was_shared_is_kept(
    machine_at: Machines, shared_algorithm: Algorithm, capsys: pytest.CaptureFixture[str]
) -> None:
    commit(machine_at("one"), shared_algorithm, "first")
    mine = commit(machine_at("one", shares=False), shared_algorithm, "mine")
    two, again = machine_at("two"), machine_at("one")
    commit(two, shared_algorithm, "second")
    for _ in range(2):
        assert messages(again, shared_algorithm) == ["Initial commit", "first", "second"]
    (kept,) = (again.root / "repositories").glob(f"{shared_algorithm.id}.own-*")
    assert str(kept) in capsys.readouterr().err
    with Repo(str(kept)) as repository:
        assert repository.head().decode() == mine


def test_a_deleted_algorithm_leaves_nothing(
    machine_at: Machines, shared_algorithm: Algorithm, monkeypatch: pytest.MonkeyPatch
) -> None:
    one, two = machine_at("one"), machine_at("two")
    commit(one, shared_algorithm, "first")
    messages(two, shared_algorithm)
    delete_algorithm(one, shared_algorithm, by="alice")
    assert stored(one) == []
    assert not list((one.root / "repositories").glob(f"{shared_algorithm.id}.*"))
    with pytest.raises(Missing):
        commit(two, shared_algorithm, "second")
    Pruning(two).run()
    assert two.repositories.path(shared_algorithm.id).is_dir(), "it may be one that is being restored"
    os.utime(two.repositories.path(shared_algorithm.id), (0, 0))
    Pruning(two).run()
    assert not list((two.root / "repositories").glob(f"{shared_algorithm.id}.*"))


def test_a_change_that_comes_after_a_move_is_refused(machine_at: Machines, shared_algorithm: Algorithm) -> None:
    one = machine_at("one")
    commit(one, shared_algorithm, "first")
    stop_writes(one.database, "elsewhere", None)
    with pytest.raises(StorageUnavailable, match="moved to elsewhere"):
        commit(one, shared_algorithm, "second")
    assert messages(one, shared_algorithm) == ["Initial commit", "first"]
    with pytest.raises(StorageUnavailable, match="moved to elsewhere"):
        Pruning(one).run()
    allow_writes(one.database)
    commit(one, shared_algorithm, "second")


def test_backups_of_all_machines_are_equal(machine_at: Machines, shared_algorithm: Algorithm, tmp_path: Path) -> None:
    one, two = machine_at("one"), machine_at("two")
    commit(one, shared_algorithm, "first")
    branch = Ref(b"refs/heads/\xff")
    one.repositories.change(shared_algorithm, lambda found: found.refs.set_if_equals(branch, None, found.head()))
    digests = set()
    for platform in (one, two):
        store = DirectoryStore(tmp_path / "backup")
        store.begin()
        manifest = Backup(platform, store, with_secrets=False, report=lambda size, path: None).run()
        assert manifest.missing == []
        digests.add(manifest.digest)
        shutil.rmtree(tmp_path / "backup")
    assert len(digests) == 1


def test_names_of_branches_are_bytes(tmp_path: Path) -> None:
    path, names = tmp_path / "bare", [os.fsdecode(b"refs/heads/\xff\xc3\xbc"), "/".join(["refs", *["deep" * 9] * 20])]
    make_bare(path)
    for name in ("HEAD", *names):
        (path / name).parent.mkdir(parents=True, exist_ok=True)
        (path / name).write_bytes(name.encode("utf-8", "surrogateescape"))
    with (tmp_path / "archive").open("w+b") as file:
        pack(path, file)
        file.seek(0)
        unpack(file, tmp_path / "copy")
    assert set(content_of(tmp_path / "copy")) == set(content_of(path))
    assert len(set(content_of(path))) == 3


def test_branches_and_directories_of_branches_follow_each_other(tmp_path: Path) -> None:
    states = [
        {"HEAD": b"1", "refs/heads/a": b"1", "objects/pack/pack-0.pack": b"p", "objects/pack/pack-0.idx": b"i"},
        {"HEAD": b"1", "refs/heads/a/b": b"2", "objects/pack/pack-0.pack": b"p", "objects/pack/pack-0.idx": b"i"},
        {"HEAD": b"2", "refs/heads/a": b"3", "packed-refs": b"x", f"objects/00/{'0' * 38}": b"o"},
        {"HEAD": b"2", "refs/tags/a/b/c": b"4"},
    ]
    path = tmp_path / "bare"
    for number, state in enumerate([*states, *reversed(states)]):
        draft = tmp_path / str(number)
        make_bare(draft)
        for name, content in state.items():
            (draft / name).parent.mkdir(parents=True, exist_ok=True)
            (draft / name).write_bytes(content)
        bring_to(path, draft)
        assert {name: (path / name).read_bytes() for name in content_of(path)} == state
    copy_to(path, tmp_path / "copy")
    (path / "HEAD.lock").touch()
    (path / "refs/heads/a.lock").touch()
    assert set(content_of(path)) == set(content_of(tmp_path / "copy")) == set(states[0])


# With git itself


@pytest.fixture
def serving(machine_at: Machines) -> Iterator[Callable[[Platform], str]]:
    """The address of a platform, with a key in it."""
    failures: list[str] = []
    with ExitStack() as ends:

        def serve(platform: Platform) -> str:
            listener = listen("127.0.0.1", 0)
            server = Server(Application(platform, on_failure=failures.append), listener, on_failure=failures.append)
            server.run()
            ends.callback(server.stop)
            ends.callback(platform.wait_for_background)
            key = platform.keys.create("alice", "test")[1]
            return f"http://git:{key}@127.0.0.1:{listener.getsockname()[1]}/git/alice/New.git"

        yield serve
    assert failures == []


def test_pushes_to_two_machines(
    machine_at: Machines,
    shared_algorithm: Algorithm,
    serving: Callable[[Platform], str],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    needs("git")
    environ = {
        "PATH": os.environ["PATH"], "HOME": str(tmp_path), "GIT_TERMINAL_PROMPT": "0", "LC_ALL": "C",
        **{f"GIT_{who}_{what}": "a@x.test" for who in ("AUTHOR", "COMMITTER") for what in ("NAME", "EMAIL")},
    }  # fmt: skip

    def git(*words: str, cwd: Path = tmp_path) -> subprocess.CompletedProcess[str]:
        return subprocess.run(["git", *words], cwd=cwd, env=environ, capture_output=True, text=True, check=False)

    platforms = [machine_at("one"), machine_at("two")]
    clones = [tmp_path / "clone-0", tmp_path / "clone-1"]
    for platform, clone in zip(platforms, clones, strict=True):
        assert git("clone", serving(platform), clone.name).returncode == 0
        (clone / "src" / "New.py").write_text(f"def apply(input):\n    return '{clone.name} ' + input\n")
        (clone / "requirements.txt").unlink()
        assert git("commit", "-qam", clone.name, cwd=clone).returncode == 0
    pushes = [
        subprocess.Popen(["git", "push"], cwd=clone, env=environ, stderr=subprocess.PIPE, text=True) for clone in clones
    ]
    said = [push.communicate()[1] for push in pushes]
    winner = [push.returncode for push in pushes].index(0)
    loser = 1 - winner
    assert pushes[loser].returncode != 0, said
    assert "fetch first" in said[loser]
    assert "Building alice/New" in said[winner]
    assert "Building" not in said[loser]
    assert git("pull", "-q", "--rebase", "-Xtheirs", cwd=clones[loser]).returncode == 0
    assert git("push", cwd=clones[loser]).returncode == 0
    assert git("push", "origin", "HEAD:refs/heads/other", cwd=clones[loser]).returncode == 0
    for platform in platforms:
        platform.wait_for_background()
        assert messages(platform, shared_algorithm)[1:] == [clones[winner].name, clones[loser].name]
        built = platform.registry.newest_build(shared_algorithm)
        assert built
        assert built.build.commit == platform.repositories.newest(shared_algorithm)
        build = platform.runnable(built)
        assert clones[loser].name in (build.source / "src" / "New.py").read_text()
    refused = git("push", "--force", "origin", "HEAD~1:master", cwd=clones[winner])
    assert refused.returncode != 0
    assert messages(machine_at("three"), shared_algorithm) == messages(platforms[winner], shared_algorithm)
    assert git("commit", "-qam", "late", "--allow-empty", cwd=clones[loser]).returncode == 0

    def fail(*given: Any) -> bool:
        raise StorageUnavailable("the database is away")

    with monkeypatch.context() as patch:
        patch.setattr(SharedRepositories, "replace", fail)
        assert git("push", cwd=clones[loser]).returncode != 0
    for platform in platforms:
        platform.wait_for_background()
    built = {build.status for build in platforms[0].builds.of(shared_algorithm)}
    assert built == {"succeeded"}, "a push that did not take effect leaves no build"
