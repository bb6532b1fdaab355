"""Keys over the API: made, limited, changed, exchanged, revoked; and none that may do more than the one that made it."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

import pytest
from support.world import World

from algo_local.metadata.keys import Permissions
from algo_local.refusals import Invalid

NOTHING = {"allow_data": False, "allow_data_write": False, "allow_algo": False, "allow_web_algo": False, "algo_acl": []}
ALL = {
    "allow_data": True, "allow_data_write": True, "allow_algo": True, "allow_web_algo": True,
    "allow_algo_management": True, "algo_acl": ["algo://*"],
}  # fmt: skip


def make(world: World, caller: str = "alice", **body: Any) -> dict[str, Any]:
    """A key of alice's, which the world knows by its label afterwards."""
    answer = world.ask("POST", "users/alice/keys", caller, {"key_label": "new", **body})
    assert answer.status == 200, answer.body
    made: dict[str, Any] = answer.json
    world.keys[made["key_label"]] = made["api_key"]
    return made


def test_a_key_is_shown_once_and_kept_as_a_hash(fresh: Callable[[], World]) -> None:
    world = fresh()
    made = make(world)
    assert (len(made["api_key"]), made["api_key"][:3]) == (28, "sim")
    listed = world.ask("GET", "users/alice/keys", "alice")
    (found,) = (key for key in listed.json if key["key_label"] == "new")
    assert found["api_key"] == found["api_key_mask"] == f"{made['api_key'][:5]}...{made['api_key'][-4:]}"
    assert made["api_key"].encode() not in listed.body
    world.platform.close()
    stored = b"".join(path.read_bytes() for path in world.platform.root.glob("platform.sqlite3*"))
    assert made["api_key"].encode() not in stored


def test_a_key_made_without_a_word_calls_algorithms_and_reads_no_data(fresh: Callable[[], World]) -> None:
    world = fresh()
    make(world)
    assert world.ask("POST", "algo/alice/Algo", "new", "x").json["result"] == "x"
    assert world.ask("GET", "data/.my/private", "new").status == 403
    assert world.ask("GET", "data/", "new").json["folders"][0] == {"name": "alice"}
    assert world.ask("POST", "users/alice/keys", "new", {}).status == 403


@pytest.mark.parametrize(
    ("acl", "allowed", "denied"),
    [
        (["algo://*"], ["alice/Algo", "acme/Team", "demo/Hello"], []),
        (["algo://alice/*"], ["alice/Algo", "ALICE/algo/1.0.0"], ["acme/Team", "demo/Hello"]),
        (["algo://Alice/ALGO/*"], ["alice/Algo", "alice/Algo/latest"], ["alice/Secret/1.0.0", "demo/Hello"]),
        (["algo://acme/Own/*", "algo://demo/*"], ["acme/Own/1.0.0", "demo/Hello"], ["acme/Team", "alice/Algo"]),
        ([], [], ["alice/Algo", "demo/Hello"]),
    ],
)
def test_which_algorithms_a_key_calls(
    fresh: Callable[[], World], acl: list[str], allowed: list[str], denied: list[str]
) -> None:
    world = fresh()
    make(world, permissions={**NOTHING, "allow_algo": True, "algo_acl": acl})
    for reference in allowed:
        assert world.ask("POST", f"algo/{reference}", "new", "x").status == 200, reference
    for reference in denied:
        answer = world.ask("POST", f"algo/{reference}", "new", "x")
        assert (answer.status, answer.error["code"]) == (403, 2001)
    identifier = world.ask("GET", "algorithms/alice/Algo", "alice").json["id"]
    by_id = world.ask("POST", f"algo/{identifier}", "new", "x").status
    assert by_id == (200 if "alice/Algo" in allowed else 403)


@pytest.mark.parametrize(
    ("headers", "status"),
    [
        ({"origin": "https://page.test"}, 200),
        ({"origin": "https://PAGE.test"}, 200),
        ({"origin": "http://page.test:8080"}, 200),
        ({"referer": "https://page.test/some/page?x=1"}, 200),
        ({"origin": "https://other.test", "referer": "https://page.test/"}, 403),
        ({"origin": "https://page.test.other.test"}, 403),
        ({"origin": "https://other.test/page.test"}, 403),
        ({"referer": "https://user@page.test/x"}, 200),
        ({"referer": "https://page.test@other.test/"}, 403),
        ({"origin": "null"}, 403),
        ({}, 403),
    ],
)
def test_calls_from_pages_come_from_the_host_that_the_key_names(
    world: World, headers: dict[str, str], status: int
) -> None:
    assert world.ask("POST", "web/algo/alice/Algo", "page", "x", **headers).status == status
    assert world.ask("POST", "algo/alice/Algo", "page", "x", **headers).status == 403


def test_a_key_for_native_clients_is_none_for_pages(world: World) -> None:
    assert world.ask("POST", "web/algo/alice/Algo", "one algorithm", "x").status == 403
    assert world.ask("POST", "web/algo/alice/Algo", "alice", "x").status == 200


WIDER = [
    {"allow_data": True},
    {"allow_algo": True},
    {"allow_web_algo": True},
    {"allow_algo": True, "algo_acl": ["algo://alice/*"]},
    ALL,
]


@pytest.mark.parametrize("wider", WIDER, ids=lambda given: "+".join(given))
def test_no_key_makes_one_that_may_do_more(fresh: Callable[[], World], wider: dict[str, Any]) -> None:
    """Neither a new one, nor by changing or exchanging one that there is, itself included."""
    world = fresh()
    mine = make(world, permissions={**NOTHING, "allow_algo_management": True})
    other = make(world, key_label="other", permissions={**NOTHING, **wider})
    body = {"permissions": {**NOTHING, **wider}}
    for method, path, sent in [
        ("POST", "users/alice/keys", body),
        ("PUT", f"users/alice/keys/{mine['key_id']}", body),
        ("PUT", f"users/alice/keys/{mine['key_id']}", {"permissions": {**ALL, **wider}}),
        ("POST", f"users/alice/keys/{other['key_id']}/rotate", None),
        ("POST", "users/alice/keys", {"key_type": "PlatformAdminKey"}),
        ("POST", "organizations/acme/keys", {"key_label": "x", **body}),
        ("POST", "organizations/acme/members/mia/keys", body),
    ]:
        answer = world.ask(method, path, "new", sent)
        assert (answer.status, answer.error["code"]) == (403, 2001), (method, path)
    assert world.ask("GET", "data/.my/private", "new").status == 403


def test_a_key_makes_one_that_may_do_as_much_or_less(fresh: Callable[[], World]) -> None:
    world = fresh()
    make(world, permissions={**ALL, "algo_acl": ["algo://alice/*"], "allow_web_algo": False})
    for acl in (["algo://alice/*"], ["algo://alice/Algo/*"], ["algo://ALICE/x", "algo://alice/Algo/*"], []):
        make(world, "new", key_label="narrower", permissions={**ALL, "algo_acl": acl, "allow_web_algo": False})
    body = {"permissions": {**NOTHING, "algo_acl": ["algo://*"]}}
    assert world.ask("POST", "users/alice/keys", "new", body).status == 200, "nothing is called with it"


@pytest.mark.parametrize("account", ["alice", "bob"])
def test_only_administrators_make_keys_for_administrators(fresh: Callable[[], World], account: str) -> None:
    world = fresh()
    for kind in ("PlatformAdminKey", "ManagementKey"):
        assert world.ask("POST", f"users/{account}/keys", account, {"key_type": kind}).status == 403
        answer = world.ask("POST", f"admin/users/{account}/keys", "administrator", {"key_type": kind})
        assert answer.status == 403, "the account is no administrator's"
    assert world.ask("PUT", f"users/{account}", account, {"is_administrator": True}).status == 403
    assert world.ask("PUT", f"users/{account}", "administrator", {"is_administrator": True}).status == 200
    made = world.ask("POST", f"admin/users/{account}/keys", "administrator", {"key_type": "ManagementKey"}).json
    assert made["key_type"] == "PlatformAdminKey"
    world.keys["second"] = made["api_key"]
    assert world.ask("GET", "users", "second").status == 200
    assert world.ask("POST", "algo/alice/Algo", "second", "x").status == 403, "it is for administration"
    assert world.ask("PUT", f"users/{account}", "administrator", {"is_administrator": False}).status == 200
    assert world.ask("GET", "users", "second").status == 403


def test_an_ordinary_key_of_an_administrator_has_to_ask(fresh: Callable[[], World]) -> None:
    world = fresh()
    world.keys["plain"] = world.platform.keys.create(world.platform.account, "plain")[1]
    assert world.ask("GET", "users", "plain").status == 403
    assert world.ask("GET", "users?sudo=true", "plain").status == 200
    assert world.ask("GET", "users?sudo=true", "alice").status == 403
    limited = Permissions(allow_data=True)
    world.keys["limited"] = world.platform.keys.create(world.platform.account, "limited", permissions=limited)[1]
    for path in ("users?sudo=true", "algorithms/alice/Secret/builds?sudo=true"):
        assert world.ask("GET", path, "limited").status == 403


def test_a_key_is_changed_exchanged_and_revoked_at_once(fresh: Callable[[], World]) -> None:
    world = fresh()
    made = make(world, permissions=ALL)
    path = f"users/alice/keys/{made['key_id']}"
    changed = world.ask("PUT", path, "alice", {"permissions": {"allow_data_write": False}}).json
    assert changed["permissions"] == {**ALL, "allow_data_write": False, "referer_host": ""}
    assert world.ask("GET", "data/.my/private/f", "new").status == 200
    assert world.ask("PUT", "data/.my/private/f", "new", b"x").status == 403
    rotated = world.ask("POST", f"{path}/rotate", "alice").json
    assert rotated["permissions"] == changed["permissions"]
    assert world.ask("GET", "data/.my/private/f", "new").status == 401
    world.keys["new"] = rotated["api_key"]
    assert world.ask("GET", "data/.my/private/f", "new").status == 200
    assert world.ask("DELETE", path, "alice").status == 204
    assert world.ask("GET", "data/.my/private/f", "new").status == 401
    for method in ("PUT", "DELETE"):
        assert world.ask(method, path, "alice", {"key_label": "x"}).status == 404


def test_keys_of_others_are_not_reached_by_their_numbers(world: World) -> None:
    number = world.values["keyId"]
    for path in (f"users/bob/keys/{number}", f"organizations/acme/keys/{number}"):
        caller = "bob" if "bob" in path else "alice"
        assert world.ask("DELETE", path, caller).status == 404
        assert world.ask("POST", f"{path}/rotate", caller).status == 404
    for number in ("0", "-1", "x", "9" * 30, "%C2%B2"):
        assert world.ask("DELETE", f"users/alice/keys/{number}", "alice").status == 404


def test_a_key_expires(fresh: Callable[[], World]) -> None:
    world = fresh()
    make(world, expires_at="2199-12-31T23:59:59+01:00")
    assert world.ask("GET", "data/", "new").status == 200
    (key,) = (found for found in world.platform.keys.of("alice") if found.label == "new")
    world.platform.keys.edit(key, label="new", permissions=key.permissions, expires_at=time.time() - 1)
    answer = world.ask("GET", "data/", "new")
    assert (answer.status, answer.error["code"]) == (401, 2002)
    assert "expired" in answer.error["message"]
    for text in ("soon", "2199-13-01", "", "1e400"):
        assert world.ask("POST", "users/alice/keys", "alice", {"expires_at": text}).status == 400


def test_the_last_use_of_a_key_is_known(fresh: Callable[[], World]) -> None:
    world = fresh()
    assert make(world)["last_used_at"] is None
    before = time.time()
    for _ in range(3):
        world.ask("GET", "data/", "new")
    (key,) = (found for found in world.platform.keys.of("alice") if found.label == "new")
    assert key.last_used_at
    assert before - 1 <= key.last_used_at <= time.time()
    used = world.ask("GET", "users/alice/keys", "alice").json[-1]["last_used_at"]
    assert used.startswith(time.strftime("%Y-", time.gmtime(before)))


@pytest.mark.parametrize(
    "pattern", ["", "*", "algo://", "algo://a b/*", "algo://alice/Algo/1.0.0", "data://*", "algo://*/Algo", "algo://**"]
)
def test_patterns_that_name_no_algorithms_are_refused(world: World, pattern: str) -> None:
    body = {"permissions": {**ALL, "algo_acl": [pattern]}}
    assert world.ask("POST", "users/alice/keys", "alice", body).status == 400
    with pytest.raises(Invalid):
        Permissions.of({"algo_acl": [pattern]})


def test_a_known_key_is_imported_once(fresh: Callable[[], World]) -> None:
    world = fresh()
    key = "sim" + "Known" * 5
    for account, status in [("bob", 200), ("alice", 409)]:
        answer = world.ask("POST", f"admin/users/{account}/keys", "administrator", {"api_key": key})
        assert answer.status == status
    world.keys["known"] = key
    assert world.ask("GET", "users/bob", "known").status == 200
    for text in ("sim", "sim" + "x" * 24, "key" + "x" * 25, "sim" + "ü" * 25, "sim" + "x" * 25 + "\n"):
        answer = world.ask("POST", "admin/users/bob/keys", "administrator", {"api_key": text})
        assert answer.status == 400


def test_an_algorithm_manages_nothing_for_whom_it_serves(fresh: Callable[[], World]) -> None:
    """It has its caller's data and calls, and no more."""
    from support.world import publish

    world = fresh()
    code = """
import json, os, urllib.error, urllib.request

def apply(request):
    method, path = request
    sent = urllib.request.Request(os.environ["ALGORITHMIA_API"] + "/v1/" + path, method=method, data=b"{}")
    sent.add_header("Authorization", os.environ["ALGORITHMIA_API_KEY"])
    sent.add_header("Content-Type", "application/json")
    try:
        return urllib.request.urlopen(sent).status
    except urllib.error.HTTPError as error:
        return error.code
"""
    publish(world.platform, world.platform.root.parent / "asking", "bob/Asks", public=True, code=code)

    def asks(method: str, path: str) -> Any:
        return world.ask("POST", "algo/bob/Asks", "alice", [method, path]).json["result"]

    assert asks("GET", "data/alice/private/f") == 200
    for method, path in [
        ("POST", "users/alice/keys"),
        ("GET", "users/alice/keys"),
        ("DELETE", "algorithms/alice/Secret"),
        ("GET", "algorithms/alice/Algo/secrets"),
        ("PUT", "organizations/acme/members/bob"),
        ("POST", "users/alice/connectors"),
        ("GET", "users?sudo=true"),
    ]:
        assert asks(method, path) == 403, (method, path)
    world.platform.executor.close()


def test_no_key_makes_one_that_is_valid_for_longer(fresh: Callable[[], World]) -> None:
    """Neither a new one, nor by changing or exchanging one that there is, itself included."""
    world = fresh()
    ends, later = "2190-01-01T00:00:00.000Z", "2191-01-01T00:00:00Z"
    mine = make(world, permissions=ALL, expires_at=ends)
    for_good = make(world, key_label="for good", permissions=ALL)
    world.keys["other"] = world.keys.pop("for good")
    for method, path, sent in [
        ("POST", "users/alice/keys", {"expires_at": later}),
        ("PUT", f"users/alice/keys/{mine['key_id']}", {"expires_at": later}),
        ("PUT", f"users/alice/keys/{for_good['key_id']}", {"key_label": "x"}),
        ("POST", f"users/alice/keys/{for_good['key_id']}/rotate", None),
        ("POST", "organizations/acme/keys", {"key_label": "x", "permissions": NOTHING, "expires_at": later}),
    ]:
        answer = world.ask(method, path, "new", sent)
        assert (answer.status, answer.error["code"]) == (403, 2001), (method, path)
    made = [
        make(world, "new", key_label="child"),
        make(world, "new", key_label="short", expires_at="2180-01-01T00:00:00Z"),
    ]
    assert [key["expires_at"] for key in made] == [ends, "2180-01-01T00:00:00.000Z"]
    assert world.ask("POST", f"users/alice/keys/{mine['key_id']}/rotate", "new").json["expires_at"] == ends
