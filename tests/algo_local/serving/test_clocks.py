"""Machines whose clocks are wrong: what several share goes by the clock of the database, or of the store."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest
from support.postgresql import PostgresqlServer

from algo_local.metadata.write_stop import check_writable, stop_writes
from algo_local.platform import Platform
from algo_local.records import shared_presence
from algo_local.refusals import StorageUnavailable
from algo_local.serving.schedules import call_due
from algo_local.state import State
from algo_local.webhooks import rows as table

DAYS = [20.0, 0.002, -0.002, -20.0]


@pytest.fixture
def clocked(
    postgresql: PostgresqlServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Iterator[tuple[Platform, Platform]]:
    """Two, with directories of their own, over one database."""
    monkeypatch.setattr(shared_presence, "BEAT_SECONDS", 3600.0)
    url = postgresql.lend()
    with ExitStack() as ends:
        found = [Platform(State(tmp_path / name, url)) for name in ("one", "two")]
        for each in found:
            ends.callback(each.close)
            each.metadata.ensure_account("jane")
        yield found[0], found[1]
    postgresql.take_back(url)


@pytest.fixture(params=DAYS, ids=lambda days: f"{days:+} days")
def shift(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> Callable[[], None]:
    """Have the clock of this machine be wrong from now on."""
    right = time.time

    def shift() -> None:
        monkeypatch.setattr(time, "time", lambda: right() + request.param * 86400)

    return shift


def record(platform: Platform, identifier: str, age: float) -> None:
    """Put a call on record that has ended."""
    with platform.database.write() as rows:
        rows.execute(
            "INSERT INTO requests (id, account, algorithm, owner, name, version, created_at, state, parent, is_void,"
            " platform, worker, printed, error, key_digest)"
            " VALUES (?, 'jane', '', '', '', '', ?, 'done', '', 0, '', '', '', '', '')",
            (identifier, platform.database.now() - age),
        )


def test_a_schedule_is_called_once_and_on_time(clocked: tuple[Platform, Platform], shift: Callable[[], None]) -> None:
    right, wrong = clocked
    moment = time.time()
    shift()
    made = wrong.schedules.create("jane", "demo/Hello", "", "0 0 1 1 *", "UTC", ("text", "x"))
    assert 0 < made.next_at - moment < 366 * 86400
    assert wrong.schedules.claim() == right.schedules.claim() == [], "its time has not come"
    with right.database.write() as rows:
        rows.execute("UPDATE schedules SET next_at = ?", (moment - 1,))
    claimed = wrong.schedules.claim() + right.schedules.claim()
    assert [one.id for one in claimed] == [made.id]
    after = right.schedules.get("jane", made.id)
    assert (after.missed, after.next_at) == (0, made.next_at)
    assert call_due(wrong) == 0


def test_a_platform_that_is_moved_is_changed_by_nobody(
    clocked: tuple[Platform, Platform], shift: Callable[[], None]
) -> None:
    right, wrong = clocked
    stop_writes(right.database, "elsewhere", 60.0)
    shift()
    with pytest.raises(StorageUnavailable, match="is being moved"):
        wrong.check_writable()
    stop_writes(wrong.database, "elsewhere", -1.0)
    check_writable(right.database, "here")


def test_a_notification_is_sent_by_one(clocked: tuple[Platform, Platform], shift: Callable[[], None]) -> None:
    right, wrong = clocked
    record(right, "ended", 60)
    webhook = table.Webhook("ended", "jane", "http://127.0.0.1:1/", "", with_output=False)
    right.records.change(right.webhooks.accept(webhook))
    (claimed,) = right.records.change(lambda rows: table.claim(rows, right.records.now(), 60.0, 8))
    assert claimed.request == webhook.request
    shift()
    assert not wrong.webhooks._deliver()


def test_calls_are_kept_as_long_as_the_platform_says(
    clocked: tuple[Platform, Platform], shift: Callable[[], None]
) -> None:
    right, wrong = clocked
    record(right, "new", 60)
    record(right, "old", 8 * 86400)
    shift()
    wrong.records.sweep(always=True)
    with right.database.read() as rows:
        assert rows.execute("SELECT id FROM requests").fetchall() == [("new",)]
