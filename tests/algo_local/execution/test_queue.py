"""The queue of calls: what an account may have in it, and what becomes of those that do not get in."""

from __future__ import annotations

import threading
from collections import Counter
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
import requests
from support.sandbox import wait_until

from algo_local.execution.concurrency import CONCURRENT
from algo_local.execution.payload import Outcome, Payload
from algo_local.execution.scaling import Scaling
from algo_local.execution.scheduler import Scheduler, Ticket
from algo_local.execution.workers.local_pool import LocalPool
from algo_local.platform import Platform
from algo_local.refusals import TooManyCalls

HOLD = """
import os, time
def apply(input):
    while not os.path.exists(input):
        time.sleep(0.01)
    return "done"
"""


class Worker:
    account = ""
    idle_since = 0.0


@pytest.mark.parametrize("accounts", [1, 2, 10, 50])
@pytest.mark.parametrize("size", [1, 20, 100])
def test_each_account_has_its_share_of_the_queue(accounts: int, size: int) -> None:
    """Whoever comes first takes all that there is; each later one still gets an even share."""
    scheduler: Scheduler[Worker] = Scheduler(Scaling(queue=size))
    waiting: Counter[str] = Counter()
    for number in range(accounts):
        name = f"account{number}"
        while not scheduler.is_full_for(name):
            scheduler.arrive(Ticket("build", name, 0, 0.0))
            waiting[name] += 1
        assert waiting[name] >= max(1, size // (number + 1))
        assert scheduler.is_full_for("account0"), "who has more than their share adds nothing"
    assert waiting["account0"] == size


def test_the_queue_counts_who_waits_and_nobody_else() -> None:
    scheduler: Scheduler[Worker] = Scheduler(Scaling(queue=2))
    tickets = [Ticket[Worker]("build", name, 0, 0.0) for name in ("ann", "ann", "bob")]
    for ticket in tickets:
        scheduler.arrive(ticket)
    assert scheduler.is_full_for("ann")
    scheduler.withdraw(tickets[0])
    (start, *_) = scheduler.plan(1.0).starts
    worker = Worker()
    worker.account = start.ticket.account
    scheduler.started(start, worker, 1.0)
    assert len(scheduler.plan(1.0).given) == 1
    assert scheduler.waiting == 1
    assert not scheduler.is_full_for("ann")
    assert not scheduler.is_full_for("bob")


def test_ten_accounts_go_on_beside_one_that_floods(
    platform: Platform,
    account: Callable[[str], Any],
    publish: Callable[..., None],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("ALGO_LOCAL_SANDBOX", "off")
    scaling = Scaling(total=1, most=1, queue=20)
    pool = LocalPool(lambda: platform._callback, platform.root / "processes", scaling)
    platform.parts["executor"] = pool
    publish("jane/Hold", HOLD)
    gate = tmp_path / "gate"

    def call(client: Any) -> requests.Response:
        headers = {"Content-Type": "text/plain", "Authorization": client.session.headers["Authorization"]}
        url = f"{client.address}/v1/algo/jane/Hold"
        answer: requests.Response = requests.post(url, data=str(gate), headers=headers, timeout=60)
        return answer

    flood, *others = [account(f"account{number}") for number in range(10)]
    refused = threading.Semaphore(0)

    def flooding(_: int) -> requests.Response:
        answer = call(flood)
        if answer.status_code == 429:
            refused.release()
        return answer

    with ThreadPoolExecutor(100) as callers:
        much = [callers.submit(flooding, 0)]
        assert wait_until(lambda: pool.describe().busy == 1)
        much += [callers.submit(flooding, number) for number in range(CONCURRENT + 1)]
        expected = CONCURRENT + 2 - scaling.queue - 1
        for _ in range(expected):
            assert refused.acquire(timeout=60)
        few = [callers.submit(call, client) for client in others for _ in range(2)]
        assert wait_until(lambda: pool.describe().waiting == scaling.queue + len(few))
        gate.touch()
        found = Counter(answer.result().status_code for answer in much)
        assert found == {200: scaling.queue + 1, 429: expected}
        assert {
            answer.result().headers.get("Retry-After") for answer in much if answer.result().status_code == 429
        } == {"1"}
        assert [answer.result().status_code for answer in few] == [200] * len(few)


def test_what_was_accepted_gets_in_later(
    platform: Platform, embedded: Any, publish: Callable[..., None], monkeypatch: pytest.MonkeyPatch
) -> None:
    publish("jane/Echo", "def apply(input):\n    return input\n")
    refusals = iter([True, True, False])
    monkeypatch.setattr("algo_local.web.handlers.invoke.QUEUE_SECONDS", 0.01)
    call = platform.executor.call

    def full(build: Any, payload: Payload, **options: Any) -> Outcome:
        if next(refusals, True):
            raise TooManyCalls("Too many calls wait for a worker; try again")
        return call(build, payload, **options)

    monkeypatch.setattr(platform.executor, "call", full)
    identifier = embedded.run("jane/Echo?output=void", b"x").json()["request_id"]
    assert embedded("GET", f"requests/{identifier}/result?wait=60").json()["result"] == "x"
    answer = embedded.run("jane/Echo", b"x")
    assert answer.status_code == 429
    late = embedded.run("jane/Echo?output=void&timeout=0.05", b"x").json()["request_id"]
    found = embedded("GET", f"requests/{late}/result?wait=60").json()
    assert found["error"]["message"] == "Too many calls wait for a worker; try again", "it is told what became of it"
    platform.wait_for_background()
