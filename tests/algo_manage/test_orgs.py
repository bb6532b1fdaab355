"""`algo orgs`: what is sent for each command, and an organization from its creation to its end."""

from __future__ import annotations

import json
from typing import Any

import pytest
from support.stub import StubPlatform, json_answer

from algo_core.errors import ExitCode
from algo_core.testing import Home

BASIC, PRO = "d0c85ea6-ddfa-11ea-a0c8-12a811be4db3", "d0c9d825-ddfa-11ea-a0c8-12a811be4db3"
ACME = {
    "id": "1", "org_name": "acme", "org_label": "Acme", "org_contact_name": "alice", "org_email": "ops@acme.com",
    "org_url": "http://acme.com", "type_id": BASIC, "external_id": None, "external_admin_group": ["a"], "owner_ids": [],
    "org_created_at": "2021-10-22T16:41:32", "self_link": "x", "resource_type": "organization",
}  # fmt: skip
KEPT = {
    "org_name": "acme", "org_label": "Acme", "org_contact_name": "alice", "org_email": "ops@acme.com",
    "org_url": "http://acme.com", "type_id": BASIC, "external_admin_group": ["a"],
}  # fmt: skip
NEW = {"org_name": "new", "org_label": "new", "org_contact_name": "alice", "org_email": "a@b.com", "type_id": BASIC}


@pytest.fixture
def organizations(stub: StubPlatform) -> StubPlatform:
    """A platform with the organization `acme`, two types, and members `alice` and `jane`."""
    stub.on("GET", "/v1/organization/types", json_answer([{"id": BASIC, "name": "basic"}, {"id": PRO, "name": "Pro"}]))
    stub.on("GET", "/v1/organizations", json_answer({"results": [ACME], "marker": None}))
    stub.on("GET", "/v1/organizations/acme", json_answer(ACME))
    members = [{"username": "alice", "role": "owner"}, {"username": "jane", "role": "invited"}]
    stub.on("GET", "/v1/organizations/acme/members", json_answer({"results": members, "marker": None}))
    return stub


@pytest.mark.parametrize(
    ("arguments", "method", "path", "body"),
    [
        ("create new --email a@b.com", "POST", "organizations", NEW),
        ("create new --email a@b.com --type PRO --label L --contact c --url u --external-id 7", "POST", "organizations",
         {**NEW, "type_id": PRO, "org_label": "L", "org_contact_name": "c", "org_url": "u", "external_id": "7"}),
        (f"create new --email a@b.com --type {PRO}", "POST", "organizations", {**NEW, "type_id": PRO}),
        ("update acme --label L", "PUT", "organizations/acme", {**KEPT, "org_label": "L"}),
        ("update acme --type pro --url u", "PUT", "organizations/acme", {**KEPT, "type_id": PRO, "org_url": "u"}),
        ("delete acme --yes", "DELETE", "organizations/acme", None),
        ("join acme", "PUT", "organizations/acme/members/alice", {}),
        ("leave acme", "DELETE", "organizations/acme/members/alice", None),
        ("add acme bob --role member", "PUT", "organizations/acme/members/bob", {"role": "member"}),
        ("create-type x", "POST", "organization/types", {"name": "x"}),
        ("delete-type x", "DELETE", "organization/types/x", None),
    ],
)  # fmt: skip
def test_what_is_sent(
    home: Home, organizations: StubPlatform, arguments: str, method: str, path: str, body: Any
) -> None:
    is_empty = method == "DELETE" or path == "organizations/acme"
    organizations.on(method, f"/v1/{path}", organizations.answer(204) if is_empty else json_answer(ACME))
    done = home.run("orgs", *arguments.split(), "--json")
    assert done.code == ExitCode.OK, done.stderr
    assert isinstance(done.json, dict)
    sent = [(seen.method, seen.path, json.loads(seen.body) if seen.body else None) for seen in organizations.seen]
    assert [each for each in sent if each[0] != "GET"] == [(method, f"/v1/{path}", body)]


@pytest.mark.parametrize(
    ("arguments", "code", "hint"),
    [
        ("create new", ExitCode.USAGE, "Give one: algo orgs create new --email ADDRESS"),
        ("create 7new --email a@b.com", ExitCode.USAGE, "Write letters, digits and underscores, a letter first"),
        ("create ne-w --email a@b.com", ExitCode.USAGE, "Write letters, digits and underscores, a letter first"),
        ("create new --email a@b.com --type basik", ExitCode.NOT_FOUND, "Did you mean basic?"),
        ("create new --email a@b.com --type zzz", ExitCode.NOT_FOUND, "The types are: basic, Pro"),
        ("update acme", ExitCode.USAGE, "Give at least one option: algo orgs update --help"),
        ("update acmee --label x", ExitCode.NOT_FOUND, "Did you mean acme?"),
        ("delete acme", ExitCode.USAGE, "Confirm it with: algo orgs delete acme --yes"),
        ("delete amce --yes", ExitCode.NOT_FOUND, "Did you mean acme?"),
        ("join acm", ExitCode.NOT_FOUND, "Did you mean acme?"),
        ("leave zzz", ExitCode.NOT_FOUND, "List yours with: algo orgs list"),
        ("remove acme jame", ExitCode.NOT_FOUND, "Did you mean jane?"),
        ("add acme alic --role owner", ExitCode.NOT_FOUND, "Did you mean alice?"),
        ("delete-type bsic", ExitCode.NOT_FOUND, "Did you mean basic?"),
    ],
)
def test_what_fails_says_what_to_do(
    home: Home, organizations: StubPlatform, arguments: str, code: int, hint: str
) -> None:
    words = arguments.split()
    for path in (f"organizations/{words[1]}", f"organizations/{words[1]}/members/alice"):
        if words[1] != "acme":
            missing = json_answer({"error": {"message": f"No organization {words[1]}"}}, status=404)
            for method in ("GET", "PUT", "DELETE"):
                organizations.on(method, f"/v1/{path}", missing)
    no_account = json_answer({"error": {"message": "No account of that name"}}, status=404)
    organizations.on("DELETE", "/v1/organizations/acme/members/jame", no_account)
    organizations.on("PUT", "/v1/organizations/acme/members/alic", no_account)
    organizations.on(
        "DELETE", "/v1/organization/types/bsic", json_answer({"error": {"message": "No type"}}, status=404)
    )
    done = home.run("orgs", *words, "--json")
    assert (done.code, done.stdout) == (code, b""), done.stderr
    assert done.error["hint"] == hint


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        (["update", "a"], ["acme"]),
        (["delete", ""], ["acme"]),
        (["create", "x", "--type", ""], ["basic", "Pro"]),
        (["create", "x", "--type", "p"], ["Pro"]),
        (["delete-type", "b"], ["basic"]),
        (["remove", "acme", ""], ["alice", "jane"]),
        (["add", "acme", "j"], ["jane"]),
        (["join", "ac"], ["acme"]),
    ],
)
def test_names_are_completed(home: Home, organizations: StubPlatform, words: list[str], expected: list[str]) -> None:
    assert home.complete("orgs", *words) == expected


def test_the_life_of_an_organization(algo_home: Home) -> None:
    def algo(*words: str) -> str:
        done = algo_home.run("orgs", *words)
        assert done.code == ExitCode.OK, done.stderr
        return done.text

    algo_home.environ["LOGNAME"] = "alice"
    assert algo("create", "acme", "--email", "ops@acme.com", "--external-id", "7") == "Created acme\n"
    assert algo("update", "acme", "--label", "Acme Corp.", "--type", "pro") == "Updated acme\n"
    shown = json.loads(algo("show", "acme", "--json"))
    assert (shown["org_label"], shown["type_id"], shown["external_id"]) == ("Acme Corp.", PRO, "7")
    assert algo("join", "acme") == "alice is owner of acme\n"
    assert algo_home.run("orgs", "leave", "acme").code == ExitCode.FAILURE, "nobody else owns it"
    assert algo("types").split()[::2] == ["Type", "basic", "legacy", "pro"]
    assert algo("delete", "acme", "--yes") == "Deleted acme\n"
    assert algo_home.run("orgs", "show", "acme").code == ExitCode.NOT_FOUND
