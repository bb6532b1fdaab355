"""Organizations: their members, roles, invitations, and what belongs to all of them (API section 7)."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from support.world import BASIC, World, publish

NEW = {"org_name": "zebra", "org_label": "Zebra", "org_contact_name": "Bob", "org_email": "b@z.test", "type_id": BASIC}


def members(world: World) -> dict[str, str]:
    return {
        found["username"]: found["role"]
        for found in world.ask("GET", "organizations/acme/members", "alice").json["results"]
    }


def test_whoever_makes_one_owns_it(fresh: Callable[[], World]) -> None:
    world = fresh()
    made = world.ask("POST", "organizations", "bob", {**NEW, "org_url": "https://z.test", "external_id": None}).json
    assert made["owner_ids"] == [world.platform.accounts.get("bob").id]
    assert (made["org_name"], made["org_url"], made["resource_type"]) == ("zebra", "https://z.test", "organization")
    assert len(made["org_created_at"]) == len("2021-10-22T16:41:32")
    assert world.ask("GET", "organizations/ZEBRA", "bob").json == made
    assert world.ask("GET", f"organizations/{made['id']}", "bob").json == made
    assert [found["org_name"] for found in world.ask("GET", "organizations", "bob").json["results"]] == ["zebra"]
    assert [found["org_name"] for found in world.ask("GET", "organizations", "ivan").json["results"]] == ["acme"]
    assert len(world.ask("GET", "organizations", "administrator").json["results"]) == 2


@pytest.mark.parametrize(
    ("changes", "status", "code"),
    [
        ({"org_name": "ACME"}, 409, 3101),
        ({"org_name": "alice"}, 409, 3101),
        ({"org_name": "temp"}, 400, 2015),
        ({"org_name": "no-name"}, 400, 3103),
        ({"org_email": "nobody"}, 400, 3103),
        ({"org_label": None}, 400, 3103),
        ({"type_id": "00000000-0000-0000-0000-000000000000"}, 400, 3108),
        ({"type_id": "basic"}, 400, 3103),
        ({"external_id": "elsewhere"}, 409, 3101),
        ({"owner_ids": ["00000000-0000-0000-0000-000000000000"]}, 404, 3000),
    ],
)
def test_what_cannot_be_an_organization(world: World, changes: dict[str, Any], status: int, code: int) -> None:
    answer = world.ask("POST", "organizations", "bob", {**NEW, **changes})
    assert (answer.status, answer.error["code"]) == (status, code)
    assert world.ask("GET", "organizations", "bob").json["results"] == []


def test_nobody_is_made_an_owner_unasked(fresh: Callable[[], World]) -> None:
    world = fresh()
    ids = [world.platform.accounts.get(name).id for name in ("mia", "bob")]
    assert world.ask("POST", "organizations", "bob", {**NEW, "owner_ids": ids}).status == 403
    assert world.ask("POST", "organizations", "administrator", {**NEW, "owner_ids": ids}).status == 200
    organization = world.platform.accounts.get("acme").id
    answer = world.ask("POST", "organizations", "administrator", {**NEW, "org_name": "x", "owner_ids": [organization]})
    assert (answer.status, answer.error["code"]) == (400, 3104)


def test_owners_invite_and_the_invited_accept_or_decline(fresh: Callable[[], World]) -> None:
    world = fresh()
    path = "organizations/acme/members"
    assert world.ask("PUT", f"{path}/bob", "alice").json["role"] == "invited"
    assert world.ask("GET", "organizations/acme", "bob").status == 403, "no rights before it is accepted"
    assert world.ask("GET", "algorithms/acme/Own", "bob").status == 404
    for role in ("member", "owner"):
        assert world.ask("PUT", f"{path}/bob", "alice", {"role": role}).status == 403, "it is bob who accepts"
    assert world.ask("PUT", f"{path}/bob", "bob", {"role": "owner"}).status == 403
    assert world.ask("PUT", f"{path}/ivan", "bob").status == 403
    assert world.ask("PUT", f"{path}/bob", "bob").json["role"] == "member"
    assert world.ask("GET", "algorithms/acme/Own", "bob").status == 200
    assert world.ask("DELETE", f"{path}/ivan", "ivan").status == 204
    assert members(world) == {"alice": "owner", "bob": "member", "mia": "member"}
    assert world.ask("PUT", f"{path}/ivan", "ivan").status == 403


def test_members_change_nobody_but_may_leave(fresh: Callable[[], World]) -> None:
    world = fresh()
    path = "organizations/acme/members"
    for method, member in [("PUT", "mia"), ("PUT", "bob"), ("PUT", "ivan"), ("DELETE", "alice"), ("DELETE", "ivan")]:
        assert world.ask(method, f"{path}/{member}", "mia", {"role": "owner"}).status == 403, (method, member)
    assert world.ask("DELETE", f"{path}/mia", "mia").status == 204
    assert world.ask("GET", "algorithms/acme/Own", "mia").status == 404
    assert world.ask("DELETE", f"{path}/bob", "alice").status == 404
    assert world.ask("PUT", f"{path}/nobody", "alice").error["code"] == 3000


def test_the_last_owner_stays(fresh: Callable[[], World]) -> None:
    world = fresh()
    path = "organizations/acme/members"
    for method, body in [("DELETE", None), ("PUT", {"role": "member"}), ("PUT", {"role": "invited"})]:
        answer = world.ask(method, f"{path}/alice", "alice", body)
        assert (answer.status, answer.error["code"]) == (400, 3102)
    assert world.ask("DELETE", "users/alice", "administrator").error["code"] == 3102
    assert world.ask("PUT", f"{path}/mia", "alice", {"role": "owner"}).json["role"] == "owner"
    assert world.ask("DELETE", f"{path}/alice", "alice").status == 204
    assert members_as(world, "mia") == {"ivan": "invited", "mia": "owner"}


def members_as(world: World, caller: str) -> dict[str, str]:
    found = world.ask("GET", "organizations/acme/members", caller).json["results"]
    return {entry["username"]: entry["role"] for entry in found}


def test_administrators_add_members_at_once(fresh: Callable[[], World]) -> None:
    world = fresh()
    answer = world.ask("PUT", "organizations/acme/members/bob", "administrator")
    assert (answer.status, answer.json["role"]) == (200, "member")
    assert (
        world.ask("PUT", "organizations/acme/members/ivan", "administrator", {"role": "owner"}).json["role"] == "owner"
    )
    answer = world.ask("PUT", "organizations/acme/members/acme", "administrator")
    assert (answer.status, answer.error["code"]) == (400, 3104)


def test_what_belongs_to_it_belongs_to_its_members(fresh: Callable[[], World]) -> None:
    world = fresh()
    assert world.ask("POST", "data/acme", "mia", {"name": "shared", "acl": {"read": []}}).status == 200
    assert world.ask("PUT", "data/acme/shared/f", "mia", b"ours").status == 200
    assert world.ask("GET", "data/acme/shared/f", "alice").body == b"ours"
    for caller in ("bob", "ivan"):
        assert world.ask("GET", "data/acme/shared/f", caller).status == 403
        assert world.ask("PUT", "data/acme/shared/f", caller, b"x").status == 403
        assert world.ask("POST", "algo/acme/Own/1.0.0", caller, "x").status == 404
    assert world.ask("POST", "algo/acme/Own/1.0.0", "mia", "x").json["result"] == "x"
    assert "acme" in {found["username"] for found in world.ask("GET", "hostedData", "mia").json["result"]}
    settings = {"source_visibility": "closed", "license": "apl", "network_access": "full", "pipeline_enabled": True}
    body = {"name": "Made", "details": {"label": "x"}, "settings": settings}
    assert world.ask("POST", "algorithms/acme", "mia", body).status == 201
    assert world.ask("POST", "algorithms/acme", "ivan", body).status == 403
    assert world.ask("PUT", "algorithms/acme/Made", "alice", {"details": {"summary": "y"}}).status == 200


def test_its_keys_act_for_it_and_those_of_a_member_for_this_member(fresh: Callable[[], World]) -> None:
    world = fresh()
    rights = {"allow_data": True, "allow_data_write": True, "allow_algo": True, "allow_algo_management": True}
    ours = world.ask("POST", "organizations/acme/keys", "alice", {"key_label": "ours", "permissions": rights}).json
    hers = world.ask("POST", "organizations/acme/members/mia/keys", "alice", {"permissions": rights})
    assert hers.status == 201
    assert (hers.json["username"], hers.json["owner_name"]) == ("mia", "acme")
    world.keys |= {"ours": ours["api_key"], "hers": hers.json["api_key"]}
    for key in ("ours", "hers"):
        assert world.ask("GET", "data/", key).json["folders"][0] == {"name": "acme"}
        assert world.ask("POST", "algo/acme/Own/1.0.0", key, "x").status == 200
        assert world.ask("GET", "data/alice/private/f", key).status == 403
    assert world.ask("PUT", "organizations/acme/members/bob", "hers").status == 403, "mia is no owner"
    assert world.ask("PUT", "organizations/acme/members/bob", "ours").status == 200
    assert world.ask("POST", "organizations/acme/members/bob/keys", "alice", {}).status == 404, "only invited"
    assert world.ask("DELETE", "organizations/acme/members/mia", "alice").status == 204
    assert world.ask("GET", "data/", "hers").status == 401, "it ended with the membership"


def test_it_is_edited_and_deleted_with_all_that_it_had(fresh: Callable[[], World], tmp_path: Any) -> None:
    world = fresh()
    changed = {**NEW, "org_name": "acme", "org_label": "ACME", "external_id": "new", "external_admin_group": "admins"}
    assert world.ask("PUT", "organizations/acme", "alice", {**changed, "org_name": "other"}).status == 204
    assert world.ask("GET", "organizations/other", "alice").status == 404, "its name stays"
    found = world.ask("GET", "organizations/externalId/new", "administrator").json
    assert (found["org_label"], found["external_admin_group"]) == ("ACME", "admins")
    world.ask("POST", "data/acme", "mia", {"name": "shared"})
    assert world.ask("DELETE", "organizations/acme", "mia").status == 403
    assert world.ask("DELETE", "organizations/acme", "alice").status == 403, "acme/Team is public"
    assert world.ask("DELETE", "algorithms/acme/Team/versions/1.0.0", "alice").status == 204
    assert world.ask("DELETE", "organizations/acme", "alice").status == 204
    assert world.ask("GET", "organizations/acme", "alice").error["code"] == 3100
    assert world.ask("GET", "algorithms/acme/Own", "alice").status == 404
    assert not list(world.platform.root.glob("data/acme/*"))
    assert world.ask("POST", "organizations", "bob", {**NEW, "org_name": "acme"}).status == 200
    assert world.ask("GET", "organizations/acme/members", "bob").json["results"][0]["username"] == "bob"
    publish(world.platform, tmp_path, "acme/Own", public=True)
    assert world.ask("GET", "users/acme/algorithms", "alice").json[0]["algoname"] == "Own"


def test_types_are_made_and_removed(fresh: Callable[[], World]) -> None:
    world = fresh()
    types = {found["name"]: found["id"] for found in world.ask("GET", "organization/types", "bob").json}
    assert types["basic"] == BASIC
    assert {"legacy", "pro"} <= set(types)
    assert world.ask("POST", "organization/types", "administrator", {"name": "BASIC"}).error["code"] == 3109
    assert world.ask("DELETE", "organization/types/basic", "administrator").status == 400, "acme has it"
    assert world.ask("DELETE", "organization/types/spare", "administrator").status == 204
    assert world.ask("DELETE", "organization/types/spare", "administrator").error["code"] == 3108
