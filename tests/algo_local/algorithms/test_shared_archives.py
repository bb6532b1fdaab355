"""What a change of a shared repository costs: requests and bytes, and the archives that the store has then."""

from __future__ import annotations

import collections
import hashlib
import random
from collections.abc import Callable
from typing import Any

import pytest
from dulwich.refs import Ref
from dulwich.repo import Repo
from support import tar_archives
from support.machines import Machines

from algo_local.algorithms.registry import Algorithm
from algo_local.algorithms.repository_files import content_of
from algo_local.algorithms.source_trees.archives import FILE, TreeEntry
from algo_local.data import shared_repositories
from algo_local.data.contract import put
from algo_local.data.shared_repositories import REPOSITORIES
from algo_local.platform import Platform

SMALL = 100 << 10
MODEL = random.Random(16).randbytes(20 << 20)


def commit(platform: Platform, algorithm: Algorithm, text: str, model: bytes = b"") -> str:
    """Replace all files; the commit."""
    files = {"src/New.py": text.encode(), "model": model}
    entries = [TreeEntry(name, FILE, content) for name, content in files.items()]
    return platform.repositories.commit(algorithm, entries, "alice", text)


def messages(platform: Platform, algorithm: Algorithm) -> list[str]:
    """Those of all commits, the oldest first."""
    return [each.message.decode().strip() for each in reversed(platform.repositories.log(algorithm))]


def named(platform: Platform, algorithm: Algorithm) -> list[str]:
    """The objects that the repository is made of."""
    assert platform.shared_repositories
    return (platform.shared_repositories.current(algorithm.id) or "").split()


class Traffic:
    """The requests of a platform to its store, and their bytes; a store in memory is asked more often for attributes."""

    def __init__(self, platform: Platform, monkeypatch: pytest.MonkeyPatch) -> None:
        self.requests: collections.Counter[str] = collections.Counter()
        self.sent = self.received = 0
        storage: Any = platform.objects._storage  # type: ignore[attr-defined]
        for name in ("write", "write_if", "open", "read_small", "list", "list_after", "remove"):
            if whole := getattr(storage, name, None):
                monkeypatch.setattr(storage, name, self._counting(name, whole))

    def _counting(self, name: str, whole: Callable[..., Any]) -> Callable[..., Any]:
        def counted(uri: Any, *given: Any, **options: Any) -> Any:
            self.requests[name] += 1
            done = whole(uri, *given, **options)
            if name.startswith("write"):
                self.sent += given[1]
            if name == "open":
                self.received += done.entry.size
            return done

        return counted

    def taken(self) -> tuple[dict[str, int], int, int]:
        """Requests, bytes sent and bytes received since it was last asked."""
        taken = dict(self.requests), self.sent, self.received
        self.requests.clear()
        self.sent = self.received = 0
        return taken


def branch(repository: Repo, name: str) -> bool:
    return repository.refs.set_if_equals(Ref(f"refs/heads/{name}".encode()), None, repository.head())


def test_a_change_costs_what_is_new(
    machine_at: Machines, shared_algorithm: Algorithm, monkeypatch: pytest.MonkeyPatch
) -> None:
    one, two = machine_at("one"), machine_at("two")
    first = commit(one, shared_algorithm, "first", MODEL)
    messages(two, shared_algorithm)
    here, there = Traffic(one, monkeypatch), Traffic(two, monkeypatch)

    def small(change: Callable[[], Any]) -> None:
        change()
        requests, sent, received = here.taken()
        assert requests == {"write": 1, "list": 1}
        assert 0 < sent < SMALL
        assert not received
        assert messages(two, shared_algorithm) == messages(one, shared_algorithm)
        requests, sent, received = there.taken()
        assert requests == {"open": 1}
        assert not sent
        assert received < SMALL

    def many_branches(repository: Repo) -> None:
        for number in range(300):
            branch(repository, f"branch-{number}")

    small(lambda: commit(one, shared_algorithm, "second", MODEL))
    small(lambda: one.repositories.change(shared_algorithm, many_branches))
    small(lambda: commit(one, shared_algorithm, "third", MODEL))
    with machine_at("three").repositories.checkout(shared_algorithm, first) as directory:
        assert (directory / "model").read_bytes() == MODEL
    assert one.objects.names(REPOSITORIES) == sorted(named(one, shared_algorithm))
    copies = [platform.repositories.path(shared_algorithm.id) for platform in (one, two, machine_at("three"))]
    assert len({tuple(sorted(content_of(copy))) for copy in copies}) == 1


def test_many_changes_are_few_archives(
    machine_at: Machines, shared_algorithm: Algorithm, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(shared_repositories, "MOST_ARCHIVES", 4)
    one, two = machine_at("one"), machine_at("two")
    commit(one, shared_algorithm, "model", MODEL[: 4 * SMALL])
    traffic = Traffic(one, monkeypatch)
    texts = [str(number) for number in range(9)]
    for text in texts:
        commit(one, shared_algorithm, text, MODEL[: 4 * SMALL])
        if text in {"1", "6"}:
            assert messages(two, shared_algorithm)[-1] == text
        assert len(named(one, shared_algorithm)) <= 4
    assert traffic.sent < SMALL, "the smaller ones become one"
    assert one.objects.names(REPOSITORIES) == sorted(named(one, shared_algorithm))
    for platform in (two, machine_at("three")):
        assert messages(platform, shared_algorithm) == ["Initial commit", "model", *texts]


def as_before(platform: Platform, algorithm: Algorithm) -> str:
    """Store a repository as one archive with everything, as it was done once; its name there."""
    path = platform.repositories.path(algorithm.id)
    content = tar_archives.archive("w", **{name: (path / name).read_bytes() for name in content_of(path)})
    name = f"{hashlib.sha256(content).hexdigest()}.{'0' * 16}"
    put(platform.objects, REPOSITORIES, name, content)
    with platform.database.write() as rows:
        rows.execute("UPDATE repositories SET content = ? WHERE algorithm = ?", (name, algorithm.id))
    for each in platform.objects.names(REPOSITORIES):
        if each != name:
            platform.objects.remove(REPOSITORIES, each)
    return name


def test_whole_archives_of_before_are_read_and_continued(
    machine_at: Machines, shared_algorithm: Algorithm, monkeypatch: pytest.MonkeyPatch
) -> None:
    one, two = machine_at("one"), machine_at("two")
    commit(one, shared_algorithm, "first", MODEL[: 4 * SMALL])
    name = as_before(one, shared_algorithm)
    assert messages(two, shared_algorithm) == ["Initial commit", "first"]
    traffic = Traffic(two, monkeypatch)
    commit(two, shared_algorithm, "second", MODEL[: 4 * SMALL])
    assert traffic.sent < SMALL
    assert named(two, shared_algorithm)[0] == name
    monkeypatch.setattr(shared_repositories, "MOST_ARCHIVES", 2)
    for text in ("third", "fourth"):
        commit(one, shared_algorithm, text, MODEL[: 4 * SMALL])
    assert messages(machine_at("three"), shared_algorithm) == ["Initial commit", "first", "second", "third", "fourth"]
    assert one.objects.names(REPOSITORIES) == sorted(named(one, shared_algorithm))


def pack_all(repository: Repo) -> None:
    """As `git gc` does."""
    repository.object_store.pack_loose_objects()


def lose(platform: Platform, algorithm: Algorithm) -> None:
    platform.objects.remove(REPOSITORIES, named(platform, algorithm)[0])


def damage(platform: Platform, algorithm: Algorithm) -> None:
    smallest = named(platform, algorithm)[-1]
    put(platform.objects, REPOSITORIES, smallest, b"")


def repack_the_copy(platform: Platform, algorithm: Algorithm) -> None:
    with Repo(str(platform.repositories.path(algorithm.id))) as repository:
        pack_all(repository)


def repack_for_all(platform: Platform, algorithm: Algorithm) -> None:
    def work(repository: Repo) -> None:
        pack_all(repository)
        branch(repository, "packed")

    platform.repositories.change(algorithm, work)


@pytest.mark.parametrize(
    ("event", "most"),
    [(lose, 2), (lose, 32), (damage, 2), (repack_the_copy, 2), (repack_the_copy, 32), (repack_for_all, 32)],
)
def test_the_store_has_all_whatever_became_of_copies_and_archives(
    event: Callable[[Platform, Algorithm], None],
    most: int,
    machine_at: Machines,
    shared_algorithm: Algorithm,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """A damaged archive is noticed when it is made one with others; until then, by those who fetch it."""
    monkeypatch.setattr(shared_repositories, "MOST_ARCHIVES", most)
    one, two = machine_at("one"), machine_at("two")
    commit(one, shared_algorithm, "first")
    messages(two, shared_algorithm)
    event(one, shared_algorithm)
    commit(one, shared_algorithm, "second")
    for platform in (two, machine_at("three")):
        assert messages(platform, shared_algorithm) == ["Initial commit", "first", "second"]
        copy = platform.repositories.path(shared_algorithm.id)
        with Repo(str(copy)) as repository:
            for identifier in repository.object_store:
                repository.object_store[identifier].check()
    assert one.objects.names(REPOSITORIES) == sorted(named(one, shared_algorithm))
