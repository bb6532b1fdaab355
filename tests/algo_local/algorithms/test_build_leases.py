"""Builds on several machines: one of an algorithm at a time, and each is recorded once."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from typing import Any

import pytest
from support.machines import Machines

from algo_local.algorithms import build_leases
from algo_local.algorithms.build import Build, BuildError
from algo_local.algorithms.build_leases import BuildLeases, LeaseLost
from algo_local.algorithms.builder import Builder
from algo_local.algorithms.builds import IN_PROGRESS, BuildRecord
from algo_local.algorithms.registry import Algorithm
from algo_local.algorithms.source_trees.archives import FILE, TreeEntry
from algo_local.platform import Platform
from algo_local.refusals import Missing
from algo_local.retirement import delete_algorithm

PATIENCE = 60.0


@pytest.fixture(autouse=True)
def _quickly(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(build_leases, "WAIT_SECONDS", 0.01)


@pytest.fixture
def built(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The algorithms that were built, on whichever machine."""
    built: list[str] = []
    build = Builder.build

    def counted(self: Builder, directory: Any, owner: str, name: str, **options: Any) -> Build:
        built.append(f"{owner}/{name}")
        return build(self, directory, owner, name, **options)

    monkeypatch.setattr(Builder, "build", counted)
    return built


def commit(platform: Platform, algorithm: Algorithm, code: str = "def apply(x):\n    return x\n") -> str:
    files = [TreeEntry("src/New.py", FILE, code.encode()), TreeEntry("src/__init__.py", FILE, b"")]
    return platform.repositories.commit(algorithm, files, "alice", "new")


def recorded(platform: Platform) -> list[tuple[str, str]]:
    """Ids and states of the algorithm's builds."""
    query = "SELECT b.id, b.status FROM builds b JOIN algorithms a ON a.id = b.algorithm WHERE a.name = 'New'"
    with platform.database.read() as rows:
        return [tuple(row) for row in rows.execute(f"{query} ORDER BY b.started_at").fetchall()]


def leased(platform: Platform, owner: str, algorithm: Algorithm, seconds: float) -> None:
    """Have another machine have the lease for that long."""
    query = (
        "INSERT INTO builders VALUES (?, ?, extract(epoch FROM clock_timestamp()) + ?)"
        " ON CONFLICT (algorithm) DO UPDATE SET owner = excluded.owner, expires_at = excluded.expires_at"
    )
    with platform.database.write() as rows:
        rows.execute(query, (algorithm.id, owner, seconds))


def in_thread(work: Callable[[], Any]) -> tuple[threading.Thread, list[Any]]:
    done: list[Any] = []

    def run() -> None:
        try:
            done.append(work())
        except BaseException as error:
            done.append(error)

    thread = threading.Thread(target=run)
    thread.start()
    return thread, done


def test_machines_that_build_at_once_build_once(
    machine_at: Machines, shared_algorithm: Algorithm, built: list[str]
) -> None:
    platforms = [machine_at(name) for name in ("one", "two", "two")]
    wanted = commit(platforms[0], shared_algorithm)
    begin = threading.Barrier(len(platforms))

    def build(platform: Platform) -> BuildRecord:
        begin.wait(PATIENCE)
        return platform.compiler.compile(shared_algorithm, wanted, is_trusted=True)

    threads = [in_thread(lambda platform=platform: build(platform)) for platform in platforms]  # type: ignore[misc]
    for thread, _ in threads:
        thread.join()
    (identifier,) = {done[0].id for _, done in threads}
    assert built == ["alice/New"]
    assert recorded(platforms[0]) == [(identifier, "succeeded")]
    with platforms[0].database.read() as rows:
        assert rows.execute("SELECT count(*) FROM builders").fetchone()[0] == 0
    for platform in platforms:
        version = platform.registry.build(shared_algorithm, wanted)
        assert version
        assert platform.runnable(version).source.is_dir()


@pytest.mark.parametrize("is_near", [True, False])
def test_a_builder_that_died_is_followed_by_another(
    is_near: bool, machine_at: Machines, shared_algorithm: Algorithm, built: list[str]
) -> None:
    """In the directory of the dead one at once, elsewhere when the lease has expired by the database's clock."""
    one, two = machine_at("one"), machine_at("two")
    wanted = commit(one, shared_algorithm)
    identifier = "00000000-0000-4000-8000-000000000000"
    leased(one, "dead", shared_algorithm, 3600)
    with one.database.write() as rows:
        query = "INSERT INTO builds (id, algorithm, commit_hash, status, started_at) VALUES (?, ?, ?, ?, 1)"
        rows.execute(query, (identifier, shared_algorithm.id, wanted, IN_PROGRESS))
    (one.root / "repositories" / f"{shared_algorithm.id}.builder").write_text("dead")
    assert [build.status for build in two.builds.of(shared_algorithm)] == [IN_PROGRESS]
    if not is_near:
        thread, done = in_thread(lambda: two.compiler.compile(shared_algorithm, wanted, is_trusted=True))
        for _ in range(3):
            assert [build.status for build in two.builds.of(shared_algorithm)] == [IN_PROGRESS]
        assert built == []
        leased(one, "dead", shared_algorithm, -1)
        thread.join(PATIENCE)
    else:
        assert [build.status for build in one.builds.of(shared_algorithm)] == ["failed"]
        done = [one.compiler.compile(shared_algorithm, wanted, is_trusted=True)]
    assert done[0].status == "succeeded"
    assert recorded(one) == [(identifier, "failed"), (done[0].id, "succeeded")]
    assert [build.status for build in two.builds.of(shared_algorithm)] == ["succeeded", "failed"]


@pytest.mark.parametrize("is_failure", [False, True])
def test_what_a_builder_did_that_was_taken_for_dead_is_not_recorded(
    is_failure: bool, machine_at: Machines, shared_algorithm: Algorithm, monkeypatch: pytest.MonkeyPatch
) -> None:
    one, two = machine_at("one"), machine_at("two")
    wanted = commit(one, shared_algorithm)
    others: list[BuildRecord] = []
    build = Builder.build

    def slow(self: Builder, *given: Any, **options: Any) -> Build:
        made = build(self, *given, **options)
        if self is one.builder and not others:
            leased(two, "gone", shared_algorithm, -1)  # it was not heard of
            others.append(two.compiler.compile(shared_algorithm, wanted, is_trusted=True))
            if is_failure:
                raise BuildError("It did not work here")
        return made

    monkeypatch.setattr(Builder, "build", slow)
    found = one.compiler.compile(shared_algorithm, wanted, is_trusted=True)
    assert found == others[0]
    assert found.status == "succeeded"
    states = recorded(one)
    assert [status for _, status in states] == ["failed", "succeeded"]
    assert states[1][0] == found.id


def test_an_algorithm_that_is_deleted_while_it_is_built_is_missing(
    machine_at: Machines, shared_algorithm: Algorithm, monkeypatch: pytest.MonkeyPatch
) -> None:
    one, two = machine_at("one"), machine_at("two")
    wanted = commit(one, shared_algorithm)
    build = Builder.build

    def deleting(self: Builder, *given: Any, **options: Any) -> Build:
        made = build(self, *given, **options)
        delete_algorithm(two, shared_algorithm, by="alice")
        return made

    monkeypatch.setattr(Builder, "build", deleting)
    with pytest.raises(Missing):
        one.compiler.compile(shared_algorithm, wanted, is_trusted=True)
    with pytest.raises(Missing):
        two.compiler.compile(shared_algorithm, wanted, is_trusted=True)
    assert recorded(one) == []


def test_a_lease_is_renewed_as_long_as_it_is_held(
    machine_at: Machines, shared_algorithm: Algorithm, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(build_leases, "RENEW_SECONDS", 0.01)
    one, two = machine_at("one"), machine_at("two")
    leases = BuildLeases(one.database, one.root)

    def expires() -> float:
        with two.database.read() as rows:
            return float(rows.execute("SELECT expires_at FROM builders").fetchone()[0])

    with leases.held(shared_algorithm.id, wait=True) as is_held:
        assert is_held
        first, ends = expires(), time.monotonic() + PATIENCE
        while expires() == first:
            assert time.monotonic() < ends
        with BuildLeases(two.database, two.root).held(shared_algorithm.id, wait=False) as is_held:
            assert not is_held
        with two.database.write() as rows:
            leases.check(rows, shared_algorithm.id)
    with pytest.raises(LeaseLost), two.database.write() as rows:
        leases.check(rows, shared_algorithm.id)
