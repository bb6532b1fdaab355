"""Schedules: called on time, once, over restarts, with the rights of their account."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from datetime import datetime
from pathlib import Path
from typing import Any

import pytest

from algo_core.errors import ExitCode
from algo_core.testing import SECONDS, Home
from algo_local.metadata.schedules import LATE_SECONDS, MOST, Schedule, next_time
from algo_local.platform import Platform
from algo_local.refusals import Invalid
from algo_local.serving.schedules import Clock, call_due
from algo_local.state import State

ON_BOTH_DATABASES = True


def moment(text: str) -> float:
    return datetime.fromisoformat(text).timestamp()


@pytest.mark.parametrize(
    ("cron", "zone", "before", "after"),
    [
        ("* * * * *", "UTC", "2026-01-01T00:00:00+00:00", "2026-01-01T00:01:00+00:00"),
        ("*/15 6 * * 1-5", "UTC", "2026-01-02T06:50:00+00:00", "2026-01-05T06:00:00+00:00"),
        ("0 6 * * *", "Europe/Berlin", "2026-07-01T00:00:00+00:00", "2026-07-01T04:00:00+00:00"),
        ("0 6 * * *", "Europe/Berlin", "2026-12-01T00:00:00+00:00", "2026-12-01T05:00:00+00:00"),
        ("0 0 29 2 *", "UTC", "2026-01-01T00:00:00+00:00", "2028-02-29T00:00:00+00:00"),
        ("0 0 * * SUN", "UTC", "2026-01-01T00:00:00+00:00", "2026-01-04T00:00:00+00:00"),
    ],
)
def test_the_next_time(cron: str, zone: str, before: str, after: str) -> None:
    assert next_time(cron, zone, moment(before)) == moment(after)


@pytest.mark.parametrize(
    ("cron", "zone"),
    [
        *((text, "UTC") for text in ("", "x", "* * * *", "* * * * * *", "60 * * * *", "* 24 * * *", "0 0 30 2 *", "@daily")),
        *(("* * * * *", zone) for zone in ("Nowhere", "", "../../etc/passwd", "/etc/localtime", "a" * 500, "\0")),
    ],
)  # fmt: skip
def test_what_means_no_time_is_refused(cron: str, zone: str) -> None:
    with pytest.raises(Invalid):
        next_time(cron, zone, time.time())


def schedule(platform: Platform, owner: str = "jane", algorithm: str = "demo/Hello", due: float = 0.0) -> Schedule:
    """A schedule whose time came so many seconds ago."""
    made = platform.schedules.create(owner, algorithm, "", "* * * * *", "UTC", ("text", "HAL"))
    with platform.database.write() as rows:
        rows.execute("UPDATE schedules SET next_at = ? WHERE id = ?", (time.time() - due, made.id))
    return made


def calls(platform: Platform) -> list[tuple[str, str]]:
    platform.wait_for_background()
    from algo_local.records.rows import Question

    found = platform.records.listed(Question(), 100)
    return [(record.account, record.state) for record in found]


def test_a_call_is_made_once_by_whichever_process(platform: Platform, root: Path) -> None:
    assert platform.account == "jane"
    made = schedule(platform)
    others = [Platform(State.of()) for _ in range(4)]
    claimed: list[Schedule] = []
    threads = [threading.Thread(target=lambda other=other: claimed.extend(other.schedules.claim())) for other in others]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    for other in others:
        other.close()
    assert [one.id for one in claimed] == [made.id]
    assert platform.schedules.get("jane", made.id).next_at > time.time()


def test_what_is_due_is_called_as_its_account_and_recorded(platform: Platform) -> None:
    assert platform.account == "jane"
    made = schedule(platform)
    assert (call_due(platform), call_due(platform)) == (1, 0)
    assert calls(platform) == [("jane", "done")]
    found = platform.schedules.get("jane", made.id)
    record = platform.records.find(found.last_request)
    assert record
    assert platform.records.content(record.output) == b'"Hello HAL"'
    assert (found.problem, found.missed) == ("", 0)


def test_what_was_missed_is_counted_and_not_made_up_for(platform: Platform) -> None:
    assert platform.account == "jane"
    late = schedule(platform, due=LATE_SECONDS * 5 + 30)
    found = platform.schedules.claim()
    again = platform.schedules.get("jane", late.id)
    assert again.missed in {5, 6}
    assert len(found) <= 1, "at most the one whose time has just come"
    ancient = schedule(platform, due=86400.0 * 365)
    assert ancient.id not in [one.id for one in platform.schedules.claim()]
    assert platform.schedules.get("jane", ancient.id).next_at > time.time() - 1


def test_a_schedule_that_cannot_be_called_says_so_and_stops_no_other(
    platform: Platform, publish: Callable[..., None]
) -> None:
    assert platform.account == "jane"
    publish("acme/Own", "def apply(input): return 1", public=False)
    hidden, gone, good = (schedule(platform, algorithm=name) for name in ("acme/Own", "acme/None", "demo/Hello"))
    assert call_due(platform) == 3
    problems = {one.id: one.problem for one in platform.schedules.of("jane")}
    assert "may not call it" in problems[hidden.id]
    assert "acme/None does not exist" in problems[gone.id]
    assert problems[good.id] == ""
    assert calls(platform) == [("jane", "done")]


def test_the_clock_calls_and_ends(platform: Platform) -> None:
    assert platform.account == "jane"
    made = schedule(platform)
    clock = Clock(platform)
    clock.start()
    deadline = time.monotonic() + SECONDS
    while not platform.schedules.get("jane", made.id).last_request:
        assert time.monotonic() < deadline
        time.sleep(0.01)
    clock.stop()
    assert calls(platform) == [("jane", "done")]


def test_an_account_has_so_many_and_takes_them_along(platform: Platform) -> None:
    platform.metadata.ensure_account("zoe")
    for _ in range(MOST):
        schedule(platform, "zoe")
    with pytest.raises(Invalid, match="may have"):
        schedule(platform, "zoe")
    from algo_local.retirement import delete_account

    delete_account(platform, platform.accounts.get("zoe"))
    assert platform.schedules.of("zoe") == []


def test_schedules_by_commands(algo_home: Home) -> None:
    algo_home.environ["LOGNAME"] = "jane"

    def algo(*arguments: str) -> Any:
        done = algo_home.run("schedules", *arguments)
        assert done.code == ExitCode.OK, done.stderr
        return done

    identifier = algo(
        "create", "demo/Hello", "0 6 * * 1-5", "-d", '{"a": 1}', "--timezone", "Europe/Berlin"
    ).text.strip()
    (row,) = algo("list", "--json").json
    assert (row["id"], row["algorithm"], row["input"], row["missed"]) == (identifier, "demo/Hello", {"a": 1}, 0)
    assert "0 6 * * 1-5 Europe/Berlin" in algo("list").text
    assert algo_home.run("schedules", "create", "demo/Hello", "at six").code == ExitCode.FAILURE
    assert algo_home.run("schedules", "create", "demo/None", "0 6 * * *").code == ExitCode.NOT_FOUND
    assert algo_home.run("schedules", "delete", "zzzz").code == ExitCode.NOT_FOUND
    assert algo_home.complete("schedules", "delete", "") == [identifier]
    assert algo("delete", identifier[:8]).text == f"Deleted the schedule {identifier}\n"
    assert algo("list", "--json").json == []
