"""Other services call an algorithm without a key, at an address that an account has made for that."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import pytest
from support.world import World

from algo_local.metadata.keys import EVERYTHING
from algo_local.serving.request_log import LoggedRequest, RequestLog


def make(world: World, algorithm: str = "alice/Algo", caller: str = "alice", account: str = "alice") -> Any:
    answer = world.ask("POST", f"users/{account}/incoming-webhooks", caller, {"algorithm": algorithm})
    assert answer.status == 201, answer.body
    return answer.json


def post(world: World, made: Any, body: Any, content_type: str = "application/json") -> Any:
    path = made["url"].removeprefix("http://platform.test/v1/")
    return world.ask("POST", path, "nobody", body, **{"content-type": content_type})


def result(world: World, identifier: str, caller: str = "alice") -> Any:
    return world.ask("GET", f"requests/{identifier}/result?wait=30", caller).json["result"]


@pytest.mark.parametrize(
    ("body", "content_type", "expected"),
    [
        ({"event": "push", "n": [1]}, "application/json; charset=utf-8", {"event": "push", "n": [1]}),
        (b"payload=%7B%7D", "application/x-www-form-urlencoded", "payload=%7B%7D"),
        ("ü".encode(), "text/plain", "ü"),
        (b"\x00\xff", "application/octet-stream", "AP8="),
    ],
)
def test_it_calls_the_algorithm_with_what_it_gets(
    fresh: Callable[[], World], body: Any, content_type: str, expected: Any
) -> None:
    world = fresh()
    made = make(world)
    answer = post(world, made, body, content_type)
    assert (answer.status, answer.json["async"]) == (200, "void")
    assert result(world, answer.json["request_id"]) == expected
    (shown,) = [
        found for found in world.ask("GET", "users/alice/incoming-webhooks", "alice").json["results"]
        if found["id"] == made["id"]
    ]  # fmt: skip
    assert shown["last_request_id"] == answer.json["request_id"]
    assert "url" not in shown, "its address was in the answer that made it"
    assert world.ask("GET", f"requests/{answer.json['request_id']}", "bob").status == 404, "the call is alice's"


def test_its_address_is_a_secret(fresh: Callable[[], World]) -> None:
    world = fresh()
    made = make(world)
    token = made["url"].rpartition("/")[2]
    assert len(token) == 48
    world.platform.close()
    assert not [file for file in world.platform.root.glob("platform.sqlite3*") if token.encode() in file.read_bytes()]
    lines: list[str] = []
    for style in ("text", "json"):
        log = RequestLog(lines.append, style)
        for prefix in ("/v1/webhooks/", "//v1//webhooks/", "http://platform.test/v1/webhooks/", "/v1/invites/"):
            log(LoggedRequest("127.0.0.1", "POST", f"{prefix}{token}?x=1", 200, 1, 0.1))
    assert len(lines) == 8
    assert not [line for line in lines if token in line or "..." not in line]
    for guess in ("", "x", token[:-1], token.upper(), "0" * 48, made["id"], "' OR 1=1 --"):
        answer = world.ask("POST", f"webhooks/{guess}", "nobody", {})
        assert answer.status == 404, guess


@pytest.mark.parametrize(
    ("caller", "algorithm", "status"),
    [
        ("alice", "acme/Own/1.0.0", 201),
        ("alice", "alice/Nobody", 404),
        ("alice", "x", 404),
        ("one algorithm", "alice/Algo", 403),
        ("manager", "alice/Algo", 403),
        ("bob", "alice/Algo", 403),
        ("nobody", "alice/Algo", 401),
    ],
)
def test_who_may_make_one_of_what(fresh: Callable[[], World], caller: str, algorithm: str, status: int) -> None:
    answer = fresh().ask("POST", "users/alice/incoming-webhooks", caller, {"algorithm": algorithm})
    assert answer.status == status, answer.body


def test_it_may_call_what_its_account_may_and_nothing_when_deleted(fresh: Callable[[], World]) -> None:
    world = fresh()
    world.keys["mia"] = world.platform.keys.create("mia", "all", permissions=EVERYTHING)[1]
    team, own = make(world, "acme/Own/1.0.0", "mia", "mia"), make(world)
    assert post(world, team, "x").status == 200
    assert world.ask("DELETE", "organizations/acme/members/mia", "alice").status == 204
    refused = post(world, team, "x")
    assert (refused.status, "may not call it" in refused.error["message"]) == (404, True), "mia has left"
    (shown,) = world.ask("GET", "users/mia/incoming-webhooks", "mia").json["results"]
    assert (shown["last_request_id"], "may not call it" in shown["problem"]) == (None, True)
    assert world.ask("DELETE", f"users/alice/incoming-webhooks/{team['id']}", "alice").status == 404, "it is mia's"
    assert post(world, own, b"{").status == 400
    assert post(world, own, b"x", "image/png").status == 415
    assert world.ask("DELETE", f"users/alice/incoming-webhooks/{own['id']}", "alice").status == 204
    assert post(world, own, "x").status == 404
    assert world.ask("DELETE", "users/mia", "administrator").status == 204
    assert post(world, team, "x").status == 404
    assert json.loads(post(world, team, "x").body)["error"]["message"] == "No such webhook"


def test_an_account_has_so_many(fresh: Callable[[], World], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("algo_local.metadata.incoming_webhooks.MOST", 4)
    world = fresh()
    for _ in range(2):
        make(world)
    answer = world.ask("POST", "users/alice/incoming-webhooks", "alice", {"algorithm": "alice/Algo"})
    assert (answer.status, answer.error["code"]) == (400, 6001)
