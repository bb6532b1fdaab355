"""Workers follow what is published and set: none of a state that is no more, and none too many, is left."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
import requests
from support.embedded import embedded_session
from support.sandbox import wait_until
from support.serving import Served

from algo_local.callers import CallContext
from algo_local.execution.payload import Payload
from algo_local.execution.workers.keeper import Keeper, keeper_of
from algo_local.execution.workers.local_pool import LocalPool
from algo_local.metadata.keys import ADMINISTRATOR_KEY
from algo_local.opening import open_platform
from algo_local.platform import Platform
from algo_local.retirement import delete_algorithm
from algo_local.web.app import Application
from algo_local.worker_updates import review, review_and_prepare

CODE = """
import os, time
kept = []
def apply(input):
    kept.append(input)
    while input and not os.path.exists(input):
        time.sleep(0.01)
    return [os.getpid(), len(kept), os.environ.get("TOKEN")]
"""
SECRET = {"owner_type": "algorithm", "short_name": "token", "secret_key": "TOKEN", "secret_value": "new"}


@pytest.fixture
def warm(
    platform: Platform, publish: Callable[..., None], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> Iterator[Any]:
    """`warm()` is a block in which three calls of jane/State, by bob, are under way; three workers are there."""
    monkeypatch.setenv("ALGO_LOCAL_SANDBOX", "off")
    publish("jane/State", CODE)
    platform.metadata.ensure_account("bob")
    with ThreadPoolExecutor(3) as callers:

        @contextlib.contextmanager
        def warm() -> Iterator[None]:
            gate = tmp_path / "gate"
            algorithm = platform.registry.algorithm("jane", "State")
            assert algorithm
            build = platform.runnable(platform.registry.versions(algorithm)[0])

            def call(number: int) -> object:
                context = CallContext("bob", ("jane", "State"), "s", f"req-{number}")
                return platform.executor.call(build, Payload("json", str(gate)), timeout=60, context=context)

            calls = [callers.submit(call, number) for number in range(3)]
            assert wait_until(lambda: platform.executor.describe().busy == 3)
            yield
            gate.touch()
            assert all(found.result().result for found in calls)  # type: ignore[attr-defined]

        yield warm


CHANGES: dict[str, tuple[str, str, dict[str, Any], int]] = {
    "a limit": ("PUT", "algorithms/jane/State", {"settings": {"max_workers": 1}}, 1),
    "a higher limit": ("PUT", "algorithms/jane/State", {"settings": {"max_workers": 9}}, 3),
    "a description": ("PUT", "algorithms/jane/State", {"details": {"summary": "Other words"}}, 3),
    "network access": ("PUT", "algorithms/jane/State", {"settings": {"network_access": "isolated"}}, 0),
    "resources": ("PUT", "algorithms/jane/State", {"settings": {"cpus": 2}}, 0),
    "a secret": ("POST", "algorithms/jane/State/secrets", SECRET, 0),
    "no version": ("DELETE", "algorithms/jane/State/versions/1.0.0", {}, 0),
    "no algorithm": ("DELETE", "algorithms/jane/State?sudo=true", {}, 0),
    "no such account": ("DELETE", "users/bob?sudo=true", {}, 0),
}


@pytest.mark.parametrize(
    ("change", "is_busy"),
    [
        *((change, False) for change in CHANGES),
        *((change, True) for change in ("a limit", "a secret", "no such account")),
    ],
)
def test_workers_end_when_their_state_does(
    platform: Platform, embedded: Any, warm: Any, change: str, is_busy: bool
) -> None:
    method, path, body, left = CHANGES[change]

    def make() -> None:
        answer = embedded(method, path, json=body) if body else embedded(method, path)
        assert answer.ok, answer.text

    with warm():
        if is_busy:
            make()
            assert platform.executor.describe().busy == 3, "calls go on"
    if not is_busy:
        assert wait_until(lambda: platform.executor.describe().busy == 0)
        make()
    assert wait_until(lambda: platform.executor.describe()[:2] == (left, 0))


def test_what_no_version_keeps_any_more_ends_when_idle(
    platform: Platform, embedded: Any, publish: Callable[..., None], warm: Any
) -> None:
    embedded("PUT", "algorithms/jane/State", json={"settings": {"min_workers": 3}})
    with warm():
        pass
    pool: Any = platform.executor
    object.__setattr__(pool.scaling, "idle", 0.0)
    review(platform)
    assert pool.describe().workers == 3
    publish("jane/State", CODE + "# other\n", version="1.0.1")
    review(platform)
    assert pool.describe().workers == 0, "only the newest version keeps workers"


def test_builds_without_a_version_are_left_alone(platform: Platform, embedded: Any, warm: Any) -> None:
    with warm(), platform.database.write() as rows:
        rows.execute("DELETE FROM versions")
    review(platform)
    assert platform.executor.describe().workers == 3


def test_a_served_platform_follows_at_once_and_from_other_processes(
    serve: Callable[..., Served], platform: Platform, publish: Callable[..., None]
) -> None:
    publish("jane/Ready", "def apply(input):\n    return input\n")
    jane = platform.keys.create(platform.metadata.ensure_account("jane"), "test")[1]
    served = serve()

    def workers() -> int:
        text = requests.get(f"{served.address}/metrics", headers={"Authorization": f"Bearer {admin}"}, timeout=60).text
        return next(int(float(line.split()[1])) for line in text.splitlines() if line.startswith("algo_workers "))

    admin = platform.keys.create(platform.account, "monitor", kind=ADMINISTRATOR_KEY)[1]
    for settings, expected in (({"min_workers": 2}, 2), ({"min_workers": 1, "max_workers": 1}, 1)):
        answer = requests.put(
            f"{served.address}/v1/algorithms/jane/Ready",
            json={"settings": settings},
            headers={"Authorization": f"Simple {jane}"},
            timeout=60,
        )
        assert answer.ok, answer.text
        assert wait_until(lambda expected=expected: workers() == expected)  # type: ignore[misc]
    algorithm = platform.registry.algorithm("jane", "Ready")
    assert algorithm
    delete_algorithm(platform, algorithm, by="jane")
    assert wait_until(lambda: workers() == 0)


@pytest.mark.parametrize(
    ("method", "path", "body", "left"),
    [
        ("PUT", "algorithms/jane/State", {"settings": {"max_workers": 1}}, []),
        ("DELETE", "algorithms/jane/State?sudo=true", None, []),
        ("DELETE", "users/bob?sudo=true", None, []),
        ("PUT", "algorithms/jane/Other", {"settings": {"max_workers": 1}}, ["jane/State"]),
    ],
)
def test_workers_between_commands_follow_as_well(
    platform: Platform,
    publish: Callable[..., None],
    monkeypatch: pytest.MonkeyPatch,
    method: str,
    path: str,
    body: Any,
    left: list[str],
) -> None:
    monkeypatch.setenv("ALGO_LOCAL_SANDBOX", "off")
    for variable, value in (("CI", ""), ("ALGO_LOCAL_KEEP_SECONDS", "60")):
        monkeypatch.setenv(variable, value)
    publish("jane/State", CODE)
    publish("jane/Other", CODE)
    platform.metadata.ensure_account("bob")
    keeper: Keeper | None = keeper_of(platform.root)
    assert keeper
    with contextlib.closing(open_platform(platform.state, keeps_workers=True)) as command:
        session = embedded_session(Application(command, trusted=True))
        try:
            with session as one:
                assert one.post("local:/v1/algo/jane/State", json=0).ok
            command.rest()
            kept = keeper.status()
            assert kept
            assert [found["algorithm"] for found in kept["workers"]] == ["jane/State"]
            monkeypatch.setenv("ALGO_LOCAL_KEEP_SECONDS", "0")  # which is this command's own wish
            with session as one:
                assert one.request(method, f"local:/v1/{path}", json=body).ok
            found = keeper.status()
            assert [one["algorithm"] for one in (found or {"workers": []})["workers"]] == left
        finally:
            keeper.stop()


def test_workers_are_reserved_for_a_caller_before_a_call(
    platform: Platform, publish: Callable[..., None], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("ALGO_LOCAL_SANDBOX", "off")
    publish("jane/State", CODE)
    platform.metadata.ensure_account("bob")
    body = {"username": "jane", "algoname": "State", "calling_user": "bob", "version_type": "latest", "num_slots": 2}
    with embedded_session(Application(platform, trusted=True)) as session:
        made = session.post("local:/v1/admin/reservations?sudo=true", json=body).json()
        review_and_prepare(platform)
        pool = platform.executor
        assert isinstance(pool, LocalPool)
        assert wait_until(lambda: pool.describe().workers == 2)
        (key,) = pool._scheduler.pools
        assert pool._scheduler.accounts(key) == ["bob"]
        assert pool._scheduler.retirable(float("inf")) == []
        publish("jane/State", CODE + "#", "2.0.0")
        review_and_prepare(platform)
        assert wait_until(
            lambda: any("bob" in pool._scheduler.accounts(each) for each in pool._scheduler.pools if each != key)
        )
        assert [each for each, _ in pool._scheduler.retirable(float("inf"))] == [key] * 2, (
            "the latest is another one now"
        )
        session.delete(f"local:/v1/admin/reservations/{made['reservation_id']}?sudo=true")
        review_and_prepare(platform)
        assert wait_until(lambda: len(pool._scheduler.retirable(float("inf"))) == 4)
