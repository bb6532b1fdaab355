"""Who is next and how many workers there are, decided in simulated time: no processes, no waiting."""

from __future__ import annotations

import heapq
import itertools
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import pytest

from algo_local.execution.payload import Failure
from algo_local.execution.scaling import Scaling
from algo_local.execution.scheduler import HOLD_SECONDS, LONG_SECONDS, MANY, Scheduler, Start, Ticket
from algo_local.execution.workers.crashes import LONGEST_PAUSE, TOLERATED, Crashes


@dataclass(eq=False)
class Worker:
    account: str
    key: str
    idle_since: float = 0.0


@dataclass
class Simulation:
    """Calls with a duration on workers that take `start` seconds to come."""

    scaling: Scaling
    start: float = 0.1
    now: float = 0.0
    events: list[tuple[float, int, Callable[[], None]]] = field(default_factory=list)
    served: list[tuple[float, Ticket[Worker]]] = field(default_factory=list)
    workers: int = 0
    most_workers: int = 0
    starts: int = 0

    def __post_init__(self) -> None:
        self.scheduler: Scheduler[Worker] = Scheduler(self.scaling)
        self._numbers = itertools.count()

    def at(self, moment: float, event: Callable[[], None]) -> None:
        heapq.heappush(self.events, (moment, next(self._numbers), event))

    def call(
        self, key: str, account: str, seconds: float, *, depth: int = 0, then: Callable[[], None] = lambda: None
    ) -> Ticket[Worker]:
        ticket: Any = Ticket(key, account, depth, self.now)
        ticket.seconds, ticket.then = seconds, then
        self.scheduler.arrive(ticket)
        self.plan()
        self.at(self.now + HOLD_SECONDS, self.plan)
        self.at(self.now + HOLD_SECONDS + LONG_SECONDS, self.plan)
        return ticket

    def plan(self) -> None:
        plan = self.scheduler.plan(self.now)
        for ticket in plan.given:
            assert ticket.worker
            assert (ticket.worker.account, ticket.worker.key) == (ticket.account, ticket.key), (
                "a worker is one account's"
            )
            self.served.append((self.now, ticket))
            seconds = ticket.seconds  # type: ignore[attr-defined]  # put there above
            if seconds is not None:
                self.at(self.now + seconds, lambda ticket=ticket: self.end(ticket))
        for start in plan.starts:
            self.starts += 1
            self.workers += 1 if start.instead_of is None else 0
            self.most_workers = max(self.most_workers, self.workers)
            self.at(self.now + self.start, lambda start=start: self.started(start))

    def started(self, start: Start[Worker]) -> None:
        self.scheduler.started(start, Worker(start.ticket.account, str(start.ticket.key)), self.now)
        self.plan()
        self.at(self.now + HOLD_SECONDS, self.plan)

    def end(self, ticket: Ticket[Worker]) -> None:
        assert ticket.worker
        ticket.worker.idle_since = self.now
        began = next(at for at, served in self.served[::-1] if served is ticket)
        self.scheduler.ended(ticket, self.now - began, keep=True)
        ticket.then()  # type: ignore[attr-defined]  # put there above
        self.plan()

    def loop(self, key: str, account: str, seconds: float) -> None:
        """A caller that calls again as soon as it has an answer."""
        self.call(key, account, seconds, then=lambda: self.loop(key, account, seconds))

    def run(self, until: float = 1e9) -> None:
        while self.events and self.events[0][0] <= until:
            self.now, _, event = heapq.heappop(self.events)
            event()

    def rate(self, since: float) -> Counter[str]:
        return Counter(ticket.account for at, ticket in self.served if at >= since)


def test_eighty_callers_get_a_worker_each_where_there_is_room() -> None:
    simulation = Simulation(Scaling(total=256, most=192))
    for _ in range(80):
        simulation.loop("sleeper", "jane", 0.2)
    simulation.run(20.0)
    assert simulation.rate(10.0)["jane"] >= 0.95 * 400 * 10
    assert simulation.workers == 80


def test_calls_are_served_in_the_order_in_which_they_came() -> None:
    simulation = Simulation(Scaling(total=4, most=4))
    tickets = [simulation.call("a", "jane", 0.5) for _ in range(40)]
    simulation.run()
    assert [ticket for _, ticket in simulation.served] == tickets


def test_short_calls_start_no_more_workers_than_pay() -> None:
    simulation = Simulation(Scaling(total=256, most=192))
    for _ in range(10):
        simulation.loop("quick", "jane", 0.001)
    simulation.run(5.0)
    assert simulation.workers <= 4


@pytest.mark.parametrize(("workers", "late", "starts"), [(MANY, 0.0, 0), (MANY - 1, 0.0, 1), (MANY, 1.0, 1)])
def test_a_late_call_is_no_reason_for_a_worker_where_there_are_many_and_few_are_late(
    workers: int, late: float, starts: int
) -> None:
    scheduler: Scheduler[Worker] = Scheduler(Scaling(total=256, most=192))
    for _ in range(workers):
        scheduler.arrive(Ticket("a", "jane", 0, 0.0))
    now = 0.0
    while plan := scheduler.plan(now):
        if not plan.starts and not plan.given:
            break
        now += 2 * HOLD_SECONDS
        for start in plan.starts:
            scheduler.started(start, Worker("jane", "a"), now)
    scheduler.pools["a"].late = late
    scheduler.arrive(Ticket("a", "jane", 0, now))
    assert len(scheduler.plan(now + 1.5 * HOLD_SECONDS).starts) == starts
    assert len(scheduler.plan(now + LONG_SECONDS).starts) == 1 - starts


def test_one_call_behind_long_ones_gets_a_worker_though_calls_were_quick_before() -> None:
    simulation = Simulation(Scaling(total=256, most=192), start=0.1)
    for _ in range(2 * MANY):
        simulation.call("a", "jane", 1.0)
    simulation.run(10.0)
    assert simulation.workers >= 2 * MANY - 1
    for number in range(500):
        simulation.at(10.0 + number / 100, lambda: simulation.call("a", "jane", 0.001))
    simulation.run(20.0)
    for _ in range(simulation.workers):
        simulation.call("a", "jane", 1000.0)
    last = simulation.call("a", "jane", 0.001)
    simulation.run(30.0)
    waited = next(at for at, ticket in simulation.served if ticket is last) - last.arrived
    assert LONG_SECONDS < waited <= 2 * (HOLD_SECONDS + LONG_SECONDS)


@pytest.mark.parametrize(("total", "seconds", "until"), [(48, 0.2, 30.0), (10, 0.2, 60.0), (4, 0.1, 120.0)])
def test_accounts_get_equal_shares_however_many_calls_they_make(total: int, seconds: float, until: float) -> None:
    simulation = Simulation(Scaling(total=total, most=total))
    for number in range(10):
        for _ in range(8 if number else 80):
            simulation.loop("a", f"account{number}", seconds)
    simulation.run(until)
    shares = list(simulation.rate(until / 3).values())
    assert len(shares) == 10
    jain = sum(shares) ** 2 / (10 * sum(share**2 for share in shares))
    assert jain >= 0.98, shares
    assert sum(shares) >= 0.8 * total / seconds * until * 2 / 3, "changing hands costs little"
    assert simulation.most_workers <= total


def test_no_account_waits_for_ever_behind_one_that_was_busy_alone() -> None:
    simulation = Simulation(Scaling(total=2, most=2))
    for _ in range(20):
        simulation.loop("a", "heavy", 0.1)
    simulation.run(100.0)
    late = simulation.call("a", "late", 0.1)
    simulation.run(105.0)
    assert late.worker
    simulation.call("a", "heavy", 0.1)
    assert simulation.rate(104.0)["heavy"] > 0


def test_one_algorithm_leaves_room_for_another() -> None:
    """Also of the same account: what waits for a build that has all it may have holds up no other."""
    simulation = Simulation(Scaling(total=8, most=6))
    for _ in range(80):
        simulation.call("slow", "jane", 1000.0)
    quick = simulation.call("quick", "jane", 0.1)
    simulation.run(2.0)
    assert quick.worker


def test_calls_of_algorithms_never_wait_for_those_who_wait_for_them() -> None:
    """Every worker that there may be serves a call that calls itself, 24 deep."""
    simulation = Simulation(Scaling(total=3, most=2))
    ended: list[int] = []

    def nested(number: int, depth: int) -> None:
        ticket: Any = simulation.call(f"a{number % 2}", "jane", None, depth=depth)  # type: ignore[arg-type]  # no end

        def when_served() -> None:
            if ticket.worker is None:
                simulation.at(simulation.now + 0.01, when_served)
            elif depth < 24:
                nested(number, depth + 1)
                waits(ticket)
            else:
                ended.append(number)
                done.add(depth_of(number, depth))
                simulation.end(ticket)

        def waits(outer: Any) -> None:
            if depth_of(number, depth + 1) in done:
                done.add(depth_of(number, depth))
                simulation.end(outer)
            else:
                simulation.at(simulation.now + 0.01, lambda: waits(outer))

        simulation.at(simulation.now, when_served)

    done: set[tuple[int, int]] = set()

    def depth_of(number: int, depth: int) -> tuple[int, int]:
        return number, depth

    for number in range(8):
        nested(number, 0)
    simulation.run(1000.0)
    assert sorted(ended) == list(range(8))
    assert simulation.scheduler.waiting == 0


def test_an_idle_worker_of_others_gives_way_and_a_wanted_one_does_not_at_once() -> None:
    simulation = Simulation(Scaling(total=1, most=1))
    simulation.call("a", "jane", 0.1)
    simulation.run()
    simulation.call("b", "bob", 0.1)
    simulation.run()
    assert [ticket.account for _, ticket in simulation.served] == ["jane", "bob"]
    assert simulation.most_workers == 1
    for account in ("jane", "bob", "jane", "bob", "jane", "bob"):
        simulation.call("a", account, 0.01)
    starts = simulation.starts
    simulation.run()
    assert simulation.scheduler.waiting == 0
    assert simulation.starts - starts <= 3, "not one for each change of hands"


def test_what_waits_no_longer_is_forgotten() -> None:
    simulation = Simulation(Scaling(total=1, most=1))
    simulation.call("a", "jane", 1.0)
    given_up = simulation.call("a", "jane", 1.0)
    simulation.call("a", "jane", 1.0)
    simulation.scheduler.withdraw(given_up)
    simulation.run()
    assert len(simulation.served) == 2
    assert given_up.worker is None


def test_workers_are_kept_as_long_and_as_many_as_is_said() -> None:
    simulation = Simulation(Scaling(total=8, most=8, least=2))
    for _ in range(5):
        simulation.call("a", "jane", 1.0)
    simulation.run()
    retired = simulation.scheduler.retirable(simulation.now)
    assert len(retired) == 3
    for key, worker in retired:
        simulation.scheduler.retire(key, worker)
    assert simulation.scheduler.retirable(simulation.now) == []
    assert len(list(simulation.scheduler.idle())) == 2


def test_a_start_that_failed_leaves_nothing() -> None:
    scheduler: Scheduler[Worker] = Scheduler(Scaling())
    ticket: Ticket[Worker] = Ticket("a", "jane", 0, 0.0)
    scheduler.arrive(ticket)
    (start,) = scheduler.plan(0.0).starts
    assert scheduler.plan(0.0).starts == [], "one is on its way"
    scheduler.started(start, None, 0.0)
    scheduler.withdraw(ticket)
    assert scheduler.pools == {}
    assert scheduler.waiting == 0


def test_a_build_that_cannot_be_loaded_is_tried_ever_more_rarely() -> None:
    crashes, failure = Crashes(), Failure("no such module", "LoadingError")
    now, pauses = 0.0, []
    for _ in range(TOLERATED - 1):
        crashes.failed("a", failure, now)
        assert crashes.failure("a", now) is None
    for _ in range(9):
        crashes.failed("a", failure, now)
        assert crashes.failure("a", now) is failure
        pause = 1.0
        while crashes.failure("a", now + pause):
            pause *= 2
        pauses.append(pause)
        now += pause
    assert pauses == [1.0, 2.0, 4.0, 8.0, 16.0, 32.0, 64.0, 64.0, 64.0]
    assert crashes.failure("a", now + LONGEST_PAUSE) is None
    assert crashes.failure("b", now) is None
    crashes.forget("a")
    crashes.failed("a", failure, now)
    assert crashes.failure("a", now) is None


def test_settings_are_read_and_wrong_ones_are_told() -> None:
    scaling = Scaling.of({"ALGO_LOCAL_WORKERS": "16", "ALGO_LOCAL_WORKERS_KEPT": "1"})
    assert (scaling.total, scaling.most, scaling.least) == (16, 12, 1)
    assert Scaling.of({"ALGO_LOCAL_WORKERS": "1"}).most == 1
    assert Scaling.of({}).total >= 8
