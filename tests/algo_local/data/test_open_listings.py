"""Listings that are kept between two pages: how many, for how long, and what they may hold."""

from __future__ import annotations

import pytest

from algo_local.data import open_listings
from algo_local.data.open_listings import OPEN_ENTRIES, OPEN_LISTINGS, OpenListings


def test_a_listing_is_handed_out_once() -> None:
    listings: OpenListings[str] = OpenListings()
    listings.keep("a", "rest", 5)
    assert [listings.take("a"), listings.take("a"), listings.take("b")] == ["rest", None, None]


def test_the_oldest_listings_make_room_for_newer_ones() -> None:
    listings: OpenListings[int] = OpenListings()
    for number in range(OPEN_LISTINGS + 2):
        listings.keep(str(number), number)
    assert [listings.take(str(number)) for number in (0, 1, 2, OPEN_LISTINGS + 1)] == [None, None, 2, OPEN_LISTINGS + 1]


def test_entries_in_memory_are_bounded() -> None:
    listings: OpenListings[str] = OpenListings()
    half = OPEN_ENTRIES // 2
    for key in ("a", "b", "b", "c"):  # one that is kept again counts once
        listings.keep(key, key, half)
    assert [listings.take(key) for key in "abc"] == [None, "b", "c"]
    listings.keep("d", "d", half)
    listings.keep("e", "e", half)
    assert [listings.take(key) for key in "de"] == ["d", "e"]
    listings.keep("f", "f", half)
    listings.keep("huge", "huge", OPEN_ENTRIES + 1)  # a directory of any size has its listing
    assert [listings.take("f"), listings.take("huge")] == [None, "huge"]


def test_a_listing_that_was_given_up_is_dropped(monkeypatch: pytest.MonkeyPatch) -> None:
    now = [1000.0]
    monkeypatch.setattr(open_listings.time, "monotonic", lambda: now[0])
    listings: OpenListings[str] = OpenListings()
    listings.keep("a", "a", 5)
    now[0] += open_listings.IDLE_SECONDS - 1
    listings.keep("b", "b", 5)
    now[0] += 2
    assert [listings.take("a"), listings.take("b")] == [None, "b"]
