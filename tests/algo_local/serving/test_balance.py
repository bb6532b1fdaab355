"""Which of several front ends accepts a connection."""

from __future__ import annotations

import pytest

from algo_local.serving.http import connection_balance as balance
from algo_local.serving.http.connection_balance import LEFT_SECONDS, ConnectionBalance


@pytest.mark.parametrize(
    ("counts", "accept"),
    [
        ((0, 0), (True, True)),
        ((1, 0), (False, True)),
        ((5, 5), (True, True)),
        ((2, 3, 2), (True, False, True)),
        ((7, None), (True, None)),
        ((7, None, 6), (False, None, True)),
    ],
)
def test_those_accept_that_have_the_fewest(counts: tuple[int | None, ...], accept: tuple[bool | None, ...]) -> None:
    shared = ConnectionBalance(len(counts))
    shares = [None if count is None else shared.share(number) for number, count in enumerate(counts)]
    for share, count in zip(shares, counts, strict=True):
        if share and count is not None:
            share.note(count)
    assert tuple(share and share.accepts() for share in shares) == accept


def test_one_that_died_or_hangs_keeps_no_connection_from_being_accepted(monkeypatch: pytest.MonkeyPatch) -> None:
    now = 0.0
    monkeypatch.setattr(balance.time, "monotonic", lambda: now)
    shared = ConnectionBalance(2)
    busy, other = shared.share(0), shared.share(1)
    busy.note(3)
    assert not busy.accepts()
    now += LEFT_SECONDS
    assert busy.accepts(), "the other one does not take it"
    now += 10 * LEFT_SECONDS
    assert not busy.accepts(), "each has its chance again"
    shared.forget(1)
    assert busy.accepts()
    other.note(9)
    assert busy.accepts()
