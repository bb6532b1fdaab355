"""How many workers a version of an algorithm keeps, and may have."""

from __future__ import annotations

import json
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import requests
from prometheus_client.parser import text_string_to_metric_families
from support.sandbox import wait_until
from support.serving import Served

from algo_local.algorithms.build import Build
from algo_local.callers import CallContext
from algo_local.execution.payload import Outcome, Payload
from algo_local.execution.scaling import Scaling
from algo_local.execution.scheduler import HOLD_SECONDS, STARTS, BuildWorkers, Scheduler, Ticket
from algo_local.execution.workers.local_pool import LocalPool
from algo_local.metadata.keys import ADMINISTRATOR_KEY
from algo_local.platform import Platform

CONTEXT = CallContext("jane", ("demo", "Hello"), "s-1", "req-1")
LOADED = """
import os, time
with open({path!r}, "a") as file:
    file.write("loaded\\n")
print("loading")
def apply(input):
    time.sleep(input)
    return os.environ["ALGORITHMIA_API_KEY"]
"""


class Worker:
    def __init__(self, account: str) -> None:
        self.account = account
        self.idle_since = 0.0


def ticket(account: str = "jane", *, depth: int = 0, least: int = 0, most: int = 0) -> Ticket[Worker]:
    return Ticket("build", account, depth, 0.0, least=least, most=most)


def calls(scheduler: Scheduler[Worker], count: int, **options: Any) -> int:
    """How many workers so many calls get, all of which have ended then."""
    for _ in range(count):
        scheduler.arrive(ticket(**options))
    now, started = 0.0, 0
    given: list[Ticket[Worker]] = []
    while True:
        plan = scheduler.plan(now)
        given += plan.given
        for start in plan.starts:
            started += 1
            scheduler.started(start, Worker(start.ticket.account), now)
        now += 2 * HOLD_SECONDS
        if not plan.starts and not plan.given:
            break
    while given:
        scheduler.ended(given.pop(), 0.1, keep=True)
        given += scheduler.plan(now).given
    return started


@pytest.mark.parametrize(
    ("options", "expected"),
    [({}, 6), ({"most": 2}, 2), ({"most": 1}, 1), ({"most": 100}, 6), ({"most": 2, "depth": 1}, 4)],
    ids=str,
)
def test_no_version_has_more_than_it_may(options: dict[str, int], expected: int) -> None:
    assert calls(Scheduler(Scaling(total=20, most=6)), 10, **options) == expected


@pytest.mark.parametrize(
    ("least", "most", "total", "expected"),
    [(3, 0, 20, 3), (3, 2, 20, 2), (9, 0, 20, STARTS), (3, 0, 1, 1), (0, 0, 9, 0)],
)
def test_workers_are_started_ahead_within_the_limits(least: int, most: int, total: int, expected: int) -> None:
    scheduler: Scheduler[Worker] = Scheduler(Scaling(total=total, most=min(total, 12)))
    wanted = ticket(least=least, most=most)
    starts = scheduler.ahead(wanted)
    assert len(starts) == expected
    assert scheduler.ahead(wanted) == [], "those that are being started count"
    for start in starts:
        scheduler.slows(start)
        scheduler.started(start, None, 0.0)
    assert scheduler.pools == {}, "none of them came"


def test_the_least_number_is_kept_when_idle() -> None:
    scheduler: Scheduler[Worker] = Scheduler(Scaling(total=20, most=12))
    assert calls(scheduler, 4, least=2, most=5) == 4
    assert scheduler.builds() == [BuildWorkers("", 4, 0, 2, 5)]
    assert len(scheduler.retirable(1.0)) == 2


def test_reserved_workers_are_kept_for_their_account_and_given_up_to_nobody() -> None:
    scheduler: Scheduler[Worker] = Scheduler(Scaling(total=3, most=3))
    scheduler.reserved = {("build", "bob"): 2}
    starts = scheduler.ahead(ticket("bob"))
    assert len(starts) == 2
    for start in starts:
        scheduler.started(start, Worker("bob"), 0.0)
    assert scheduler.ahead(ticket("bob")) == []
    assert scheduler.retirable(1.0) == []
    assert calls(scheduler, 5) == 1, "jane has the rest"
    assert scheduler.accounts("build") == ["bob", "jane"]
    assert [worker.account for _, worker in scheduler.retirable(1.0)] == ["jane"]
    scheduler.reserved = {}
    assert calls(scheduler, 5) == 2
    assert scheduler.accounts("build") == ["jane"]


@pytest.fixture
def pool(processes: Path, monkeypatch: pytest.MonkeyPatch) -> Any:
    monkeypatch.setenv("ALGO_LOCAL_SANDBOX", "off")

    class Endpoint:
        address = "http://127.0.0.1:9"

        def serve_also(self, listener: Any) -> Callable[[], None]:
            return lambda: listener.close()

        def close(self) -> None:
            pass

    pool = LocalPool(Endpoint, processes, Scaling(idle=0.1))
    yield pool
    pool.close()


def test_a_call_finds_a_worker_that_has_loaded(pool: LocalPool, build: Callable[..., Build], tmp_path: Path) -> None:
    loads = tmp_path / "loads"
    loads.touch()
    loads.chmod(0o666)
    made = replace(build(LOADED.format(path=str(loads))), min_workers=2)
    pool.prepare(made, CONTEXT)
    assert wait_until(lambda: pool.describe().workers == 2)
    pool.prepare(made, CONTEXT)
    outcome = pool.call(made, Payload("json", 0), timeout=60, context=CONTEXT)
    assert outcome.result, outcome
    assert outcome.stdout == "loading\n", "what loading prints belongs to the first call"
    assert loads.read_text() == "loaded\n" * 2
    assert pool.builds() == [BuildWorkers("demo/Hello", 2, 0, 2, pool.scaling.most)]
    other = pool.call(made, Payload("json", 0), timeout=60, context=replace(CONTEXT, caller="bob")).result
    assert other
    assert other.data != outcome.result.data, "another account gets none of them"
    assert wait_until(lambda: pool.describe().workers == 2), "the others end when they are idle"


def test_what_does_not_load_leaves_nothing(pool: LocalPool, build: Callable[..., Build], processes: Path) -> None:
    made = replace(build("raise ValueError('no')\ndef apply(input):\n    return input\n"), min_workers=1)
    for _ in range(2):
        pool.prepare(made, CONTEXT)
        assert wait_until(lambda: not pool.builds() and not list(processes.glob("p-*")))
    outcome = pool.call(made, Payload("json", 0), timeout=60, context=CONTEXT)
    assert outcome.failure
    assert outcome.failure.error_type == "LoadingError"
    pool.close()
    pool.prepare(made, CONTEXT)
    assert not pool.builds()


@pytest.mark.parametrize("conf", ["{}", '{"replicas": "fork"}'])
def test_what_loads_slowly_keeps_nobody_else_from_starting(
    pool: LocalPool, build: Callable[..., Build], processes: Path, conf: str
) -> None:
    slow = build("import time\ntime.sleep(600)\ndef apply(input):\n    return 1\n", **{"algorithmia.conf": conf})
    pool.prepare(replace(slow, min_workers=STARTS), CONTEXT)
    assert wait_until(lambda: list(processes.glob("p-*")))
    quick = pool.call(build("def apply(input):\n    return 2\n"), Payload("json", 0), timeout=60, context=CONTEXT)
    assert quick.result, quick
    pool.close()
    assert wait_until(lambda: not list(processes.glob("p-*"))), "what was being loaded has been ended"


def test_calls_share_the_workers_that_there_may_be(pool: LocalPool, build: Callable[..., Build]) -> None:
    made = replace(build(LOADED.format(path="/dev/null")), max_workers=2)

    def call(number: int) -> Outcome:
        context = replace(CONTEXT, request_id=f"req-{number}")
        return pool.call(made, Payload("json", 0.2), timeout=60, context=context)

    with ThreadPoolExecutor(8) as callers:
        outcomes = list(callers.map(call, range(8)))
    assert all(outcome.result for outcome in outcomes)
    assert len({outcome.result.data for outcome in outcomes if outcome.result}) == 2


def test_a_served_platform_keeps_workers_ready_and_shows_them(
    serve: Callable[..., Served], platform: Platform, publish: Callable[..., None]
) -> None:
    conf = json.dumps({"min_workers": 2, "max_workers": 3})
    publish("jane/Ready", "def apply(input):\n    return input\n", **{"algorithmia.conf": conf})
    admin = platform.keys.create(platform.account, "monitor", kind=ADMINISTRATOR_KEY)[1]
    served = serve()

    def shown() -> dict[str, float]:
        answer = requests.get(f"{served.address}/metrics", headers={"Authorization": f"Bearer {admin}"}, timeout=60)
        return {
            sample.name.removeprefix("algo_algorithm_workers"): sample.value
            for family in text_string_to_metric_families(answer.text)
            for sample in family.samples
            if sample.labels.get("algorithm") == "jane/Ready"
        }

    assert wait_until(lambda: shown() == {"": 2, "_busy": 0, "_min": 2, "_max": 3})


@pytest.mark.parametrize(
    ("settings", "status"),
    [
        ({"min_workers": 2, "max_workers": 4}, 200),
        ({"min_workers": 0}, 200),
        ({"max_workers": 0}, 200),
        ({"min_workers": -1}, 400),
        ({"max_workers": 1001}, 400),
        ({"max_workers": "many"}, 400),
        ({"min_workers": 5, "max_workers": 4}, 400),
    ],
    ids=str,
)
def test_they_are_settings(embedded: Any, publish: Callable[..., None], settings: dict[str, Any], status: int) -> None:
    publish("jane/Set", "def apply(input):\n    return input\n", **{"algorithmia.conf": '{"min_workers": 1}'})
    assert embedded("GET", "algorithms/jane/Set").json()["settings"]["min_workers"] == 1
    answer = embedded("PUT", "algorithms/jane/Set", json={"settings": settings})
    assert answer.status_code == status, answer.text
    if status == 200:
        found = embedded("GET", "algorithms/jane/Set").json()["settings"]
        assert found["min_workers"] == settings.get("min_workers", 1)
        assert found.get("max_workers", 0) == settings.get("max_workers", 0)
