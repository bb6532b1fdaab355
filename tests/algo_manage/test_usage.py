"""`algo usage` counts what a platform has on record."""

from __future__ import annotations

import csv
import io
from datetime import datetime, timezone
from typing import Any
from urllib.parse import parse_qsl

import pytest
from support.stub import StubPlatform, json_answer

from algo_core.errors import ExitCode
from algo_core.testing import Home


def entry(account: str, version: str, calls: int, errors: int = 0, seconds: float = 0.5) -> dict[str, Any]:
    names = {"caller": account, "algorithm_owner": "demo", "algorithm_called": "Hello", "algorithm_version": version}
    return {**names, "total_calls": str(calls), "total_errors": errors, "total_duration": seconds}


def queries(stub: StubPlatform) -> list[dict[str, str]]:
    return [dict(parse_qsl(seen.path.partition("?")[2])) for seen in stub.seen]


def test_days_are_asked_one_by_one_and_added_up(home: Home, stub: StubPlatform) -> None:
    stub.on("GET", "/v1/admin/usage", json_answer({"results": [entry("bob", "1.0.0", 2, 1), entry("ann", "1.1.0", 3)]}))
    done = home.run("usage", "--since", "2021-02-28", "--until", "2021-03-01", "--csv")
    assert done.code == ExitCode.OK, done.stderr
    assert list(csv.reader(io.StringIO(done.text))) == [
        ["day", "account", "algorithm", "version", "calls", "errors", "seconds"],
        ["2021-02-28", "ann", "demo/Hello", "1.1.0", "3", "0", "0.5"],
        ["2021-02-28", "bob", "demo/Hello", "1.0.0", "2", "1", "0.5"],
        ["2021-03-01", "ann", "demo/Hello", "1.1.0", "3", "0", "0.5"],
        ["2021-03-01", "bob", "demo/Hello", "1.0.0", "2", "1", "0.5"],
    ]
    spans = [(query["start_date"], query["end_date"]) for query in queries(stub)]
    assert spans == [
        ("2021-02-28T00:00:00Z", "2021-03-01T00:00:00Z"),
        ("2021-03-01T00:00:00Z", "2021-03-02T00:00:00Z"),
    ]


def test_without_days_one_span_is_asked_page_by_page(home: Home, stub: StubPlatform) -> None:
    first = json_answer({"results": [entry("bob", "1.0.0", 2, 1)], "next_marker": "m"})
    stub.on("GET", "/v1/admin/usage", first, json_answer({"results": [entry("bob", "2.0.0", 5, 2, 1.5)]}))
    done = home.run("usage", "--by", "algorithm", "--by", "account", "--account", "bob", "--account", "ann", "--json")
    assert done.json == [{"account": "bob", "algorithm": "demo/Hello", "calls": 7, "errors": 3, "seconds": 2.0}]
    assert [query.get("marker") for query in queries(stub)] == [None, "m"]
    assert stub.seen[0].path.count("user=") == 2


@pytest.mark.parametrize(
    "given",
    [
        ["--since", "2021-02-02", "--until", "2021-02-01"],
        ["--since", "2019-01-01", "--until", "2021-02-01"],
        ["--since", "yesterday"],
        ["--csv", "--json"],
        ["--by", "week"],
    ],
)
def test_what_cannot_be_counted_is_refused_before_anything_is_asked(
    home: Home, stub: StubPlatform, given: list[str]
) -> None:
    assert home.run("usage", *given).code == ExitCode.USAGE
    assert stub.seen == []


def test_calls_of_today_on_a_real_platform(algo_home: Home) -> None:
    algo_home.environ["LOGNAME"] = "jane"
    assert algo_home.run("usage").code == ExitCode.OK
    algo_home.run("run", "demo/Hello", "-d", "x")
    (row,) = algo_home.run("usage", "--json").json
    assert (row["account"], row["algorithm"], row["version"], row["calls"], row["errors"]) == (
        *("jane", "demo/Hello", "1.0.0"),
        *(1, 0),
    )
    assert abs((datetime.now(timezone.utc).date() - datetime.fromisoformat(row["day"]).date()).days) <= 1
