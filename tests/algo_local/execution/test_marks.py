"""Marks of calls that workers have taken: each call has its own, whoever had it before."""

from __future__ import annotations

import os

from algo_local.execution.relay.marks import MARKS, Marks


def test_each_call_of_each_front_end_has_a_mark_of_its_own() -> None:
    marks = Marks(3)
    shares = [marks.share(number) for number in range(3)]
    taken = {place: share for share in shares for _ in range(MARKS) if (place := share.take()) is not None}
    assert len(taken) == 3 * MARKS
    assert [share.take() for share in shares] == [None, None, None]
    marks.set(chosen := next(iter(taken)))
    assert [place for place, share in taken.items() if share.is_set(place)] == [chosen]


def test_a_mark_that_is_given_back_is_free_and_says_nothing_about_the_next_call() -> None:
    marks = Marks(1)
    share = marks.share(0)
    places = [share.take() for _ in range(MARKS)]
    place = places[7]
    assert place is not None
    marks.set(place)
    share.give_back(place)
    assert share.take() == place
    assert not share.is_set(place)
    assert share.take() is None


def test_what_an_engine_has_marked_is_seen_after_its_death() -> None:
    marks = Marks(2)
    share = marks.share(1)
    place = share.take()
    assert place is not None
    engine = os.fork()
    if not engine:
        marks.set(place)
        os._exit(0)
    os.waitpid(engine, 0)
    assert share.is_set(place)
