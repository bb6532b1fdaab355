"""Builds that pushes ask for: each ends, also if the processes that build it end before."""

from __future__ import annotations

import threading
import time
from typing import Any, NamedTuple

import pytest
from support.machines import Machines

from algo_local.algorithms.build_leases import BuildLeases
from algo_local.algorithms.builder import Builder
from algo_local.algorithms.builds import IN_PROGRESS, MOST_ATTEMPTS, UNBUILT_SECONDS, BuildRecord
from algo_local.algorithms.lifecycle import create
from algo_local.algorithms.registry import Algorithm
from algo_local.algorithms.source_trees.archives import FILE, TreeEntry
from algo_local.metadata.write_stop import allow_writes, stop_writes
from algo_local.platform import Platform
from algo_local.refusals import StorageUnavailable
from algo_local.retirement import delete_algorithm

CODE = "def apply(x):\n    return x\n"
NOWHERE = "0" * 40
ID = "00000000-0000-4000-8000-000000000000"


@pytest.fixture
def alices_new(platform: Platform) -> Algorithm:
    platform.metadata.ensure_account("alice")
    return create(platform.registry, "alice", "New", {"source_visibility": "closed", "license": "apl"})


def commit(platform: Platform, algorithm: Algorithm, code: str = CODE) -> str:
    files = [TreeEntry("src/New.py", FILE, code.encode()), TreeEntry("src/__init__.py", FILE, b"")]
    return platform.repositories.commit(algorithm, files, "alice", "new")


def left(
    platform: Platform, algorithm: Algorithm, commit: str, attempts: int | None, log: str = "", since: float = 0.0
) -> None:
    """Leave a build on record as an ended process does."""
    query = "INSERT INTO builds (id, algorithm, commit_hash, status, started_at, log, attempts) VALUES (?, ?, ?, ?, ?, ?, ?)"
    with platform.database.write() as rows:
        rows.execute(query, (ID, algorithm.id, commit, IN_PROGRESS, time.time() - since, log, attempts))


def take_up(platform: Platform) -> None:
    """Do what a served platform does again and again."""
    platform.pending_builds.begin_all()
    platform.wait_for_background()


def states(builds: list[BuildRecord]) -> list[tuple[str, str]]:
    return [(build.id, build.status) for build in builds]


class Case(NamedTuple):
    attempts: int | None
    log: str = ""
    is_commit: bool = True
    since: float = 0.0
    is_looked_at: bool = False
    """Whether somebody looks at the builds before a served platform does."""
    status: str | None = "succeeded"
    said: str = "Source "


CASES = {
    "not begun": Case(0),
    "not begun, and looked at": Case(0, is_looked_at=True),
    "ended once": Case(1, "half a log", said="The process that built this has ended: it is built again\nSource "),
    "ended once, and looked at": Case(1, is_looked_at=True, said="The process that built this has ended"),
    "ended once, after a long time": Case(1, since=2 * UNBUILT_SECONDS, said="The process that built this has ended"),
    "ended each time": Case(MOST_ATTEMPTS, "half a log\n", status="failed", said="half a log\nERROR: the platform ended"),
    "a commit that was not pushed": Case(0, is_commit=False, status=None),
    "a commit that was not pushed, begun": Case(1, is_commit=False, status=None),
    "nobody builds it": Case(0, since=2 * UNBUILT_SECONDS, is_looked_at=True, status="failed", said="ERROR: the platform"),
    "not requested": Case(None, status="in-progress", said=""),
    "not requested, and looked at": Case(None, is_looked_at=True, status="failed", said="ERROR: the platform ended"),
}  # fmt: skip


@pytest.mark.parametrize("case", CASES.values(), ids=CASES)
def test_a_build_that_was_left_ends(platform: Platform, alices_new: Algorithm, case: Case) -> None:
    wanted = commit(platform, alices_new) if case.is_commit else NOWHERE
    left(platform, alices_new, wanted, case.attempts, case.log, case.since)
    if case.is_looked_at:
        platform.builds.of(alices_new)
    take_up(platform)
    found = platform.builds._read(alices_new)
    assert states(found) == ([(ID, case.status)] if case.status else [])
    assert all(build.log.startswith(case.said) for build in found)
    take_up(platform)
    assert platform.builds._read(alices_new) == found, "it has ended"
    assert all(build.status != IN_PROGRESS for build in platform.builds.of(alices_new))


def test_what_was_built_by_other_means_is_not_built_again(platform: Platform, alices_new: Algorithm) -> None:
    wanted = commit(platform, alices_new)
    made = platform.compiler.compile(alices_new, wanted, is_trusted=True)
    left(platform, alices_new, wanted, 0)
    take_up(platform)
    assert platform.builds.of(alices_new) == [made]
    platform.builds.request(alices_new, wanted)
    assert platform.builds.of(alices_new) == [made]


def test_a_person_builds_what_was_requested_and_left(platform: Platform, alices_new: Algorithm) -> None:
    wanted = commit(platform, alices_new)
    platform.builds.request(alices_new, wanted)
    platform.builds.request(alices_new, wanted)
    (requested,) = platform.builds.of(alices_new)
    made = platform.compiler.compile(alices_new, wanted, is_trusted=True)
    assert states([made]) == [(requested.id, "succeeded")]
    assert platform.builds.of(alices_new) == [made]


def test_all_that_is_requested_at_once_is_built_one_after_the_other(
    platform: Platform, alices_new: Algorithm, monkeypatch: pytest.MonkeyPatch
) -> None:
    commits = [commit(platform, alices_new, f"{CODE}# {number}\n") for number in range(6)]
    running: list[int] = []
    build = Builder.build

    def alone(self: Builder, *given: Any, **options: Any) -> Any:
        running.append(1)
        assert len(running) == 1
        try:
            return build(self, *given, **options)
        finally:
            running.pop()

    monkeypatch.setattr(Builder, "build", alone)
    threads = [threading.Thread(target=platform.pending_builds.request, args=(alices_new, each)) for each in commits]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    platform.wait_for_background()
    found = platform.builds.of(alices_new)
    assert {build.commit for build in found} == set(commits)
    assert {build.status for build in found} == {"succeeded"}


def test_a_build_that_fails_is_not_repeated_and_one_of_a_deleted_algorithm_is_gone(
    platform: Platform, alices_new: Algorithm, monkeypatch: pytest.MonkeyPatch
) -> None:
    platform.pending_builds.request(alices_new, commit(platform, alices_new, "def apply(:"))
    platform.wait_for_background()
    (failed,) = platform.builds.of(alices_new)
    assert failed.status == "failed"
    take_up(platform)
    assert platform.builds.of(alices_new) == [failed]
    build = Builder.build

    def deleting(self: Builder, *given: Any, **options: Any) -> Any:
        delete_algorithm(platform, alices_new, by="alice")
        return build(self, *given, **options)

    monkeypatch.setattr(Builder, "build", deleting)
    platform.pending_builds.request(alices_new, commit(platform, alices_new))
    platform.wait_for_background()
    assert platform.builds.waiting() == []


def test_nothing_is_built_of_a_platform_that_is_being_moved(platform: Platform, alices_new: Algorithm) -> None:
    left(platform, alices_new, commit(platform, alices_new), 1)
    stop_writes(platform.database, "elsewhere", None)
    with pytest.raises(StorageUnavailable, match="moved to elsewhere"):
        platform.pending_builds.begin_all()
    platform.pending_builds.begin(alices_new.id)
    platform.wait_for_background()
    assert states(platform.builds._read(alices_new)) == [(ID, IN_PROGRESS)]
    allow_writes(platform.database)
    take_up(platform)
    assert states(platform.builds.of(alices_new)) == [(ID, "succeeded")]


def test_another_machine_repeats_the_build_of_a_dead_one(machine_at: Machines, shared_algorithm: Algorithm) -> None:
    one, two = machine_at("one"), machine_at("two")
    wanted = commit(one, shared_algorithm)
    left(one, shared_algorithm, wanted, 1)

    def leased(seconds: float) -> None:
        query = "INSERT INTO builders VALUES (?, 'dead', extract(epoch FROM clock_timestamp()) + ?)"
        with one.database.write() as rows:
            rows.execute("DELETE FROM builders")
            rows.execute(query, (shared_algorithm.id, seconds))

    leased(3600)
    take_up(two)
    assert states(two.builds.of(shared_algorithm)) == [(ID, IN_PROGRESS)], "its machine may be alive"
    leased(-1)
    take_up(two)
    assert states(one.builds.of(shared_algorithm)) == [(ID, "succeeded")]
    assert one.registry.build(shared_algorithm, wanted)


def test_who_dies_while_it_takes_its_lease_is_followed_in_its_directory_at_once(
    machine_at: Machines, shared_algorithm: Algorithm, monkeypatch: pytest.MonkeyPatch
) -> None:
    one = machine_at("one")
    left(one, shared_algorithm, commit(one, shared_algorithm), 0)
    take = BuildLeases._take

    class Dead(BaseException):
        pass

    def dying(self: BuildLeases, *given: Any) -> bool:
        take(self, *given)
        raise Dead

    for _ in range(2):
        with monkeypatch.context() as patch, pytest.raises(Dead):
            patch.setattr(BuildLeases, "_take", dying)
            one.builds.is_free(shared_algorithm)
    take_up(one)
    assert states(one.builds.of(shared_algorithm)) == [(ID, "succeeded")]
