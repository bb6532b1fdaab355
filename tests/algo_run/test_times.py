"""Times on the command line: ISO 8601 and ages; anything else is refused before the platform is asked."""

from __future__ import annotations

from datetime import datetime, timedelta, timezone

import click
import pytest

from algo_core.errors import ExitCode
from algo_core.testing import Home
from algo_run.times import Time


@pytest.mark.parametrize(
    ("age", "expected"),
    [("45s", timedelta(seconds=45)), ("30m", timedelta(minutes=30)), ("2h", timedelta(hours=2)),
     ("7d", timedelta(days=7)), ("1w", timedelta(weeks=1)), ("0s", timedelta())],
)  # fmt: skip
def test_an_age_is_counted_back_from_now(age: str, expected: timedelta) -> None:
    before = datetime.now(timezone.utc)
    found = datetime.fromisoformat(Time(ages=True).convert(age, None, None).replace("Z", "+00:00"))
    assert before - expected - timedelta(seconds=1) <= found <= datetime.now(timezone.utc) - expected


@pytest.mark.parametrize(
    "time", ["2026-01-31", "2026-01-31T12:00:00Z", "2026-01-31 12:00:00", "2026-01-31T12:00:00+02:00"]
)
@pytest.mark.parametrize("ages", [True, False])
def test_a_time_is_passed_on_as_it_was_given(time: str, ages: bool) -> None:
    assert Time(ages=ages).convert(f" {time} ", None, None) == time


@pytest.mark.parametrize(
    "text",
    ["", "yesterday", "2", "h", "-2h", "2.5h", "2H", "2h 3m", "٢h", "9" * 30 + "w", "2026-13-01", "12:00", "now"],
)
@pytest.mark.parametrize("ages", [True, False])
def test_anything_else_is_refused(text: str, ages: bool) -> None:
    with pytest.raises(click.BadParameter, match="is not a time: write 2026-01-31"):
        Time(ages=ages).convert(text, None, None)


def test_the_commands_say_what_a_time_is(algo_home: Home) -> None:
    for words in (("requests", "list"), ("replay", "demo/Hello")):
        result = algo_home.run(*words, "--since", "yesterday")
        assert result.code == ExitCode.USAGE
        assert "'yesterday' is not a time: write 2026-01-31 or 2026-01-31T12:00:00Z" in result.stderr
    assert "2h" in algo_home.run("requests", "list", "--since", "x").stderr
    assert "2h" not in algo_home.run("replay", "demo/Hello", "--since", "2h").stderr.replace("'2h'", "")
    assert algo_home.run("requests", "list", "--since", "2h").code == ExitCode.OK
