"""How many calls are under way at once, against a simulated platform and clock."""

from __future__ import annotations

import heapq
import itertools

import pytest

from algo_run.batch.concurrency import FIRST, AdaptiveConcurrency, Rate


class Simulated:
    """A platform that takes `latency` seconds for a call and carries out `workers` at once."""

    def __init__(self, latency: float, workers: int = 1000) -> None:
        self.now = 0.0
        self._latency = latency
        self._free = [0.0] * workers
        self.concurrency = AdaptiveConcurrency(None, clock=lambda: self.now)
        self._under_way: list[float] = []
        self.done = 0

    def run(self, until: float, stall: tuple[float, float] = (-1.0, -1.0)) -> int:
        """Calls until a time; those that would end within `stall` end at its end. The concurrency then."""
        while self.now < until:
            while len(self._under_way) < self.concurrency.wanted:
                end = max(self.now, heapq.heappop(self._free)) + self._latency
                end = stall[1] if stall[0] <= end < stall[1] else end
                heapq.heappush(self._free, end)
                heapq.heappush(self._under_way, end)
            self.now = heapq.heappop(self._under_way)
            self.done += 1
            self.concurrency.ended(self.done)
        return self.concurrency.wanted


@pytest.mark.parametrize(("latency", "until"), [(0.002, 0.7), (0.02, 0.8), (0.2, 1.5), (2.0, 15.0)])
def test_it_soon_has_as_many_under_way_as_pay(latency: float, until: float) -> None:
    assert Simulated(latency).run(until) == 80


@pytest.mark.parametrize("workers", [1, 4, 10])
def test_it_does_not_pile_up_calls_where_that_is_no_faster(workers: int) -> None:
    assert workers <= Simulated(0.02, workers).run(5.0) <= max(2 * FIRST, 4 * workers)


def test_one_hiccup_does_not_settle_it() -> None:
    assert Simulated(0.02).run(2.0, stall=(0.15, 0.35)) == 80


def test_refusals_halve_it_once_for_all_that_were_under_way_and_it_grows_again_slowly() -> None:
    platform = Simulated(0.02)
    platform.run(2.0)
    for _ in range(20):
        platform.concurrency.refused()
    assert platform.concurrency.wanted == 40
    assert 41 <= platform.run(2.5) <= 46
    assert platform.run(30.0) == 80
    platform.concurrency.refused()
    platform.run(31.0)
    platform.concurrency.refused()
    assert 20 <= platform.concurrency.wanted <= 30


def test_what_is_given_stays() -> None:
    concurrency = AdaptiveConcurrency(7, clock=lambda: 1.0)
    concurrency.refused()
    concurrency.ended(1000)
    assert concurrency.wanted == 7


def test_a_rate_is_kept_evenly() -> None:
    now = [100.0]
    rate, began = Rate(50, clock=lambda: now[0]), []
    while len(began) < 100:
        if delay := rate.delay():
            now[0] += delay
        began.append(now[0])
        rate.begun()
    assert {round(later - earlier, 6) for earlier, later in itertools.pairwise(began)} == {0.02}
    assert Rate(None).delay() == 0
