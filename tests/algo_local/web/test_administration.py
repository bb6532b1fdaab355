"""People, switches, invites, reservations and configuration."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from support.world import World

from algo_local.metadata.vault import Vault

ZOE = {"username": "zoe", "email": "zoe@x.test"}


def test_people_are_made_changed_and_listed(fresh: Callable[[], World]) -> None:
    world = fresh()
    body = {**ZOE, "fullname": "Zoe", "passwordHash": "secret-hash", "shouldCreateHello": True}
    made = world.ask("POST", "users", "administrator", body)
    assert made.status == 200
    assert (made.json["username"], made.json["resource_type"]) == ("zoe", "user")
    assert b"secret-hash" not in made.body
    assert world.ask("GET", f"users/{made.json['id']}", "administrator").json == made.json
    changed = world.ask("PUT", "users/zoe", "administrator", {"company_name": "X", "email": "zoe@x.test"}).json
    assert changed == {**made.json, "company_name": "X"}
    names = [user["username"] for user in world.ask("GET", "users", "administrator").json["results"]]
    assert {"alice", "zoe"} <= set(names)
    assert "acme" not in names
    for body, status, code in [
        ({**ZOE, "username": "ALICE"}, 409, 3003),
        ({**ZOE, "username": "acme"}, 409, 3003),
        ({**ZOE, "username": "other", "email": "ZOE@x.test"}, 409, 3004),
        ({**ZOE, "username": "temp", "email": "t@x.test"}, 400, 2015),
        ({"username": "other"}, 400, 3001),
        ({**ZOE, "username": "x y"}, 400, 3001),
    ]:
        answer = world.ask("POST", "users", "administrator", body)
        assert (answer.status, answer.error["code"]) == (status, code), body
    for body, code in [({"email": "new@x.test"}, 3008), ({"username": "other"}, 3007), ({"email": "x"}, 3001)]:
        answer = world.ask("PUT", "users/zoe", "administrator", body)
        assert (answer.status, answer.error["code"]) == (400, code)


def test_people_see_and_change_their_own_account(fresh: Callable[[], World]) -> None:
    world = fresh()
    assert world.ask("PUT", "users/bob", "bob", {"email": "bob@x.test", "fullname": "Bob"}).json["fullname"] == "Bob"
    assert world.ask("GET", "users/.my", "bob").json["email"] == "bob@x.test"
    assert world.ask("GET", "users/alice", "bob").status == 403
    assert world.ask("GET", "users/acme", "alice").error["code"] == 3000


def test_an_account_is_deleted_with_all_that_it_had(fresh: Callable[[], World]) -> None:
    world = fresh()
    world.ask("PUT", "data/.algo/alice/Algo/perm/f", "bob", b"bob's")
    world.ask("POST", "data/.my", "bob", {"name": "mine"})
    world.ask("PUT", "data/.my/mine/f", "bob", b"bob's")
    assert world.ask("DELETE", "users/bob", "administrator").status == 204
    assert world.ask("GET", "data/", "bob").status == 401
    assert world.ask("GET", "users/bob", "administrator").error["code"] == 3000
    assert not [path for path in world.platform.root.rglob("*") if path.is_file() and path.read_bytes() == b"bob's"]
    world.ask("POST", "users", "administrator", {"username": "bob", "email": "other@x.test"})
    made = world.ask("POST", "admin/users/bob/keys", "administrator", {"permissions": {"allow_data": True}}).json
    world.keys["bob"] = made["api_key"]
    assert world.ask("GET", "data/.algo/alice/Algo/perm/f", "bob").status == 404
    assert world.ask("GET", "data/.my", "bob").json["folders"] == []
    answer = world.ask("DELETE", f"users/{world.platform.account}", "administrator")
    assert answer.status == 403


@pytest.mark.parametrize(
    ("feature", "method", "path", "body"),
    [
        ("web_calls", "POST", "web/algo/alice/Algo", "x"),
        ("create_algorithms", "POST", "algorithms/alice", {"name": "New", "details": {"label": "x"}, "settings": {
            "source_visibility": "closed", "license": "apl", "network_access": "full", "pipeline_enabled": True}}),
        ("create_organizations", "POST", "organizations", {
            "org_name": "zebra", "org_label": "Z", "org_contact_name": "A", "org_email": "a@z.test",
            "type_id": "d0c85ea6-ddfa-11ea-a0c8-12a811be4db3"}),
        ("invites", "POST", "invites/invited-one", ZOE),
    ],
)  # fmt: skip
def test_what_is_turned_off_is_not_done(
    fresh: Callable[[], World], feature: str, method: str, path: str, body: Any
) -> None:
    world = fresh()
    switches = {found["name"]: found["enabled"] for found in world.ask("GET", "admin/features", "administrator").json}
    assert set(switches.values()) == {True}
    assert world.ask("PUT", f"admin/features/{feature}", "administrator", {"enabled": False}).status == 204
    answer = world.ask(method, path, "alice", body)
    assert (answer.status, answer.error["code"]) == (403, 2001)
    assert "Turned off" in answer.error["message"]
    if feature != "invites":
        world.ask("PUT", f"admin/features/{feature}?username=ALICE", "administrator", {"enabled": True})
        assert world.ask(method, path, "alice", body).status < 300
        switches = world.ask("GET", "admin/features?username=bob", "administrator").json
        assert {"name": feature, "enabled": False} in [{k: s[k] for k in ("name", "enabled")} for s in switches]
    for unknown in ("admin/features/nothing", f"admin/features/{feature}?username=nobody"):
        assert world.ask("PUT", unknown, "administrator", {"enabled": True}).status == 404


def test_an_invite_makes_an_account_with_a_key(fresh: Callable[[], World]) -> None:
    world = fresh()
    body = {"inviteCode": "for-zoe-only", "comments": "friend", "expiresAt": "2199-01-01"}
    assert world.ask("POST", "admin/invites", "administrator", body).json["comments"] == "friend"
    assert world.ask("POST", "admin/invites", "administrator", body).status == 409
    assert world.ask("POST", "invites/unknown-code", "nobody", ZOE).error["code"] == 3009
    answer = world.ask("POST", "invites/for-zoe-only", "nobody", ZOE)
    assert answer.status == 201
    assert answer.json["key_label"] == "default-key"
    world.keys["zoe"] = answer.json["api_key"]
    assert world.ask("GET", "users/zoe", "zoe").json["email"] == "zoe@x.test"
    assert world.ask("POST", "invites/for-zoe-only", "nobody", {**ZOE, "username": "alice"}).status == 409
    assert world.ask("DELETE", "admin/invites/for-zoe-only", "administrator").status == 200
    assert world.ask("POST", "invites/for-zoe-only", "nobody", {"username": "yan", "email": "y@x.test"}).status == 404
    expired = {"inviteCode": "long-ago", "expiresAt": "2001-01-01T00:00:00Z"}
    assert world.ask("POST", "admin/invites", "administrator", expired).status == 200
    assert world.ask("POST", "invites/long-ago", "nobody", ZOE).status == 404
    answer = world.ask(
        "POST", "invites/invited-one", "nobody", {**ZOE, "username": "x", "email": "x@x.test", "is_administrator": True}
    )
    assert answer.status == 201
    assert not world.platform.metadata.is_administrator("x"), "an invite makes no administrator"


def test_reservations_name_what_there_is(fresh: Callable[[], World]) -> None:
    world = fresh()
    body = {"username": "alice", "algoname": "Algo", "calling_user": "bob", "version_type": "latest", "num_slots": 1}
    for changes, status, code in [
        ({"algoname": "Nothing"}, 404, 1000),
        ({"calling_user": "nobody"}, 404, 3000),
        ({"version_type": "semantic_version"}, 400, 6001),
        ({"version_type": "semantic_version", "version_identifier": "9.9.9"}, 400, 1014),
        ({"num_slots": 0}, 400, 6001),
    ]:
        answer = world.ask("POST", "admin/reservations", "administrator", {**body, **changes})
        assert (answer.status, answer.error["code"]) == (status, code), changes
    made = world.ask("POST", "admin/reservations", "administrator", body).json
    assert made["version_hash"] == world.ask("GET", "algorithms/alice/Algo", "bob").json["version_info"]["git_hash"]
    path = f"admin/reservations/{made['reservation_id']}"
    assert [world.ask("DELETE", path, "administrator").status for _ in range(2)] == [200, 404]


def test_configuration_is_read_by_everybody(fresh: Callable[[], World]) -> None:
    world = fresh()
    assert world.ask("PUT", "config/frontend/brand.colour-1", "administrator", {"value": "#fff ü"}).status == 200
    assert world.ask("GET", "config/frontend/brand.colour-1", "nobody").json["value"] == "#fff ü"
    names = [entry["keyname"] for entry in world.ask("GET", "config/frontend", "nobody").json["results"]]
    assert names == ["brand.colour-1", "title"]
    for name in ("x", "-x", "x" * 65, "a%20b"):
        answer = world.ask("PUT", f"config/frontend/{name}", "administrator", {"value": ""})
        assert (answer.status, answer.error["code"]) == (400, 6001)
    assert world.ask("PUT", "config/frontend/ab", "administrator", {"keyname": "cd", "value": ""}).status == 400
    assert [world.ask("DELETE", "config/frontend/title", "administrator").status for _ in range(2)] == [204, 404]
    assert world.ask("GET", "config/frontend/title", "nobody").error["code"] == 5004


@pytest.mark.parametrize("kind", ["favicon", "logo"])
def test_images_are_what_they_say(fresh: Callable[[], World], kind: str) -> None:
    world = fresh()
    path = f"config/{kind}"
    plain = world.ask("GET", path, "nobody")
    assert plain.headers["Content-Type"] == "image/svg+xml"
    png = b"\x89PNG\r\n\x1a\n" + b"x" * 100
    assert world.ask("POST", path, "administrator", png).status == 201
    shown = world.ask("GET", path, "nobody")
    assert (shown.body, shown.headers["Content-Type"]) == (png, "image/png")
    assert shown.headers["X-Content-Type-Options"] == "nosniff"
    for body in (b"", b"<svg onload='alert(1)'/>", b"<html>", b"GIF"):
        answer = world.ask("POST", path, "administrator", body)
        assert (answer.status, answer.error["code"]) == (400, 3106)
    answer = world.ask("POST", path, "administrator", png + bytes(2 << 20))
    assert (answer.status, answer.error["code"]) == (400, 3105 if kind == "favicon" else 3107)
    assert world.ask("GET", path, "nobody").body == png
    assert world.ask("DELETE", path, "administrator").status == 204
    assert world.ask("GET", path, "nobody").body == plain.body


def test_connectors_are_changed_and_removed_by_their_owners(fresh: Callable[[], World]) -> None:
    world = fresh()
    path = f"users/alice/connectors/{world.values['connectorUuid']}"
    body = {"protocol": "s3", "label": "second", "is_default": True, "cred_type": "iam",
            "cred_data": '{"access_key_id": "x", "secret_access_key": "topsecret"}'}  # fmt: skip
    second = world.ask("POST", "users/alice/connectors", "alice", body)
    assert second.status == 200
    assert b"topsecret" not in second.body
    assert not world.ask("GET", path, "alice").json["is_default"]
    changed = world.ask("PATCH", path, "alice", {"is_default": True, "writeable": True, "path": "a/*"}).json
    assert (changed["is_default"], changed["writeable"], changed["path"]) == (True, True, "a/*")
    assert changed["permissions"] == ["read", "write"]
    assert not world.ask("GET", f"users/alice/connectors/{second.json['connector_id']}", "alice").json["is_default"]
    credentials = {"cred_type": "iam", "cred_data": {"access_key_id": "new", "secret_access_key": "new"}}
    assert world.ask("PATCH", path, "alice", credentials).status == 200
    (found,) = [each for each in world.platform.connectors.of("alice") if each.id == world.values["connectorUuid"]]
    assert found.options
    assert b"new" not in found.options
    assert '"new"' in Vault(world.platform.root, world.platform.database).decrypt(found.options)
    for body, status in [({"cred_data": {}}, 400), ({"cred_type": "iam"}, 400), ({"writeable": "yes"}, 400)]:
        assert world.ask("PATCH", path, "alice", body).status == status
    assert [world.ask("DELETE", path, "alice").status for _ in range(2)] == [204, 404]


def test_listeners_keep_their_credentials_to_themselves(fresh: Callable[[], World]) -> None:
    world = fresh()
    path = f"users/alice/event-listeners/{world.values['eventListenerId']}"
    changed = world.ask("PUT", path, "alice", {"algoVersion": "1.0.0", "algoTimeoutSeconds": 20}).json
    assert (changed["algoVersion"], changed["algoTimeoutSeconds"], changed["algoName"]) == ("1.0.0", 20, "Algo")
    assert world.ask("GET", path, "alice").json == changed
    assert world.ask("GET", f"users/bob/event-listeners/{changed['id']}", "bob").status == 404
    listener = {
        "algoName": "Secret",
        "algoOwner": "alice",
        "credentials": "x",
        "sourceType": "AmazonSQS",
        "sourceURI": "x",
    }
    assert world.ask("POST", "users/bob/event-listeners", "bob", listener).error["code"] == 1000
    assert [world.ask("DELETE", path, "alice").status for _ in range(2)] == [200, 404]
