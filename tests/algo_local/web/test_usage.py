"""Calls on record are counted, and those that failed are listed (API section 3.11)."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from support.world import World, publish

from algo_local.records import rows

FAILS = "def apply(input):\n    if input == 'x':\n        raise ValueError('no luck')\n    return input\n"
SPAN = "start_date=2021-01-01T00:00:00Z&end_date=2199-01-01T00:00:00Z&page_size=100"


@pytest.fixture
def called(fresh: Callable[[], World], tmp_path: Path) -> World:
    """A world in which algorithms were called, some in vain."""
    world = fresh()
    publish(world.platform, tmp_path, "alice/Fails", public=True, code=FAILS)
    publish(world.platform, tmp_path, "acme/Fails", public=True, code=FAILS)
    for caller, reference, data in (
        ("bob", "alice/Fails", "x"), ("bob", "alice/Fails", "y"), ("alice", "alice/Fails", "x"), ("mia", "acme/Fails", "x"),
    ):  # fmt: skip
        world.ask("POST", f"algo/{reference}", caller, data)
    return world


def test_calls_are_counted_by_caller_algorithm_and_version(called: World) -> None:
    def counted(path: str, query: str = "") -> list[Any]:
        answer = called.ask("GET", f"admin/usage{path}?{SPAN}{query}", "administrator")
        assert answer.status == 200, answer.body
        return [entry for entry in answer.json["results"] if entry.get("algorithm_called", "Fails") == "Fails"]

    rows = {(row["caller"], row["algorithm_owner"]): row for row in counted("")}
    assert set(rows) == {("bob", "alice"), ("alice", "alice"), ("mia", "acme")}
    bob = rows["bob", "alice"]
    assert (bob["total_calls"], bob["total_errors"], bob["algorithm_version"]) == ("2", 1, "1.0.0")
    assert bob["machine_type"] == "cpu"
    assert 0 < bob["total_error_duration"] < bob["total_duration"]
    assert {(row["algorithm_owner"], row["total_calls"]) for row in counted("/algorithms")} == {
        ("alice", "3"),
        ("acme", "1"),
    }
    assert {row["caller"] for row in counted("/users", "&user=bob&user=mia")} == {"bob", "mia"}
    assert counted("", "&user=nobody") == []
    past = "start_date=2021-01-01T00:00:00Z&end_date=2021-02-01T00:00:00Z&page_size=5"
    assert called.ask("GET", f"admin/usage?{past}", "administrator").json == {"results": []}


def test_counts_come_in_pages(called: World) -> None:
    span = SPAN.replace("page_size=100", "page_size=2")
    first = called.ask("GET", f"admin/usage?{span}", "administrator").json
    rest = called.ask("GET", f"admin/usage?{SPAN}&marker={first['next_marker']}", "administrator").json
    everything = called.ask("GET", f"admin/usage?{SPAN}", "administrator").json["results"]
    assert first["results"] + rest["results"] == everything
    assert "next_marker" not in rest


@pytest.mark.parametrize(
    ("query", "code"),
    [
        ("", 4010),
        ("start_date=2021-01-01T00:00:00Z&page_size=1", 4010),
        ("start_date=x&end_date=y&page_size=1", 6001),
        (SPAN.replace("100", "0"), 5003),
        (SPAN.replace("100", "many"), 5003),
        (f"{SPAN}&marker=!", 5002),
    ],
)
def test_questions_that_make_no_sense(world: World, query: str, code: int) -> None:
    answer = world.ask("GET", f"admin/usage?{query}", "administrator")
    assert (answer.status, answer.error["code"]) == (400, code)


def test_failed_calls_are_listed_for_who_owns_the_algorithm(called: World) -> None:
    found = called.ask("GET", "algorithms/alice/Fails/errors", "alice").json
    assert [entry["billable_to"] for entry in found] == ["alice", "bob"], "newest first"
    assert found[0]["created_at"] >= found[1]["created_at"] > 1_600_000_000_000
    assert {(entry["username"], entry["algoname"], entry["algoversion"]) for entry in found} == {
        ("alice", "Fails", "1.0.0")
    }
    assert {(entry["error"], entry["error_type"]) for entry in found} == {("no luck", "AlgorithmError")}
    assert [entry.get("input") for entry in found] == ['"x"', None], "what others send is theirs"
    assert called.ask("GET", "algorithms/alice/Fails/errors", "bob").status == 403
    identifier = called.platform.accounts.get("alice").id
    assert called.ask("GET", f"users/{identifier}/errors", "alice").json == found
    (team,) = called.ask("GET", "organizations/acme/errors", "mia").json
    assert (team["username"], team["billable_to"]) == ("acme", "mia")


def test_inputs_of_failed_calls_are_fetched_at_once(called: World, monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[set[str]] = []
    fetch = rows.contents

    def counting(connection: Any, digests: set[str]) -> dict[str, bytes]:
        asked.append(digests)
        return fetch(connection, digests)

    monkeypatch.setattr(rows, "contents", counting)
    monkeypatch.delattr(rows, "content")
    found = called.ask("GET", "algorithms/alice/Fails/errors?sudo=true", "administrator").json
    assert [entry["input"] for entry in found] == ['"x"', '"x"']
    assert [len(digests) for digests in asked] == [1]
