"""Algorithms are created, described, searched, taken back and deleted (API section 6)."""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from support.world import World, publish

SETTINGS = {"source_visibility": "closed", "license": "apl", "network_access": "full", "pipeline_enabled": True}
NEW = {"name": "New", "details": {"label": "A new one"}, "settings": SETTINGS}
PYTHON = "6f55bf02-13b6-454c-a867-909aba60a897"


def test_an_algorithm_is_there_before_it_has_a_version(fresh: Callable[[], World]) -> None:
    world = fresh()
    body = {
        **NEW,
        "details": {"label": "Greeting", "summary": "It greets", "tagline": "Hello", "tags": ["text"]},
        "settings": {**SETTINGS, "algorithm_environment": PYTHON, "source_visibility": "open", "license": "mit"},
        "version_info": {"sample_input": '"Jane"'},
        "source": {"scm": "internal"},
        "scmsCredentials": None,
    }
    answer = world.ask("POST", "algorithms/alice", "alice", body)
    assert answer.status == 201
    made = answer.json
    assert made["details"] == {"label": "Greeting", "summary": "It greets", "tagline": "Hello", "tags": ["text"]}
    assert made["settings"]["algorithm_environment"] == PYTHON
    assert made["settings"]["algorithm_callability"] == "private"
    assert (made["source"]["scm"]["id"], made["resource_type"]) == ("internal", "algorithm")
    assert made["self_link"] == "http://platform.test/v1/algorithms/alice/New"
    assert "build" not in made
    assert world.ask("GET", "algorithms/alice/new", "alice").json == made
    assert world.ask("GET", f"algorithms/{made['id']}", "alice").json == made
    assert world.ask("GET", "algorithms/alice/New", "bob").status == 404
    assert world.ask("GET", "algorithms/alice/New/versions", "alice").json["results"] == []
    assert world.ask("POST", "algo/alice/New", "alice", "x").status == 404
    answer = world.ask("POST", "algorithms/alice", "alice", {**NEW, "name": "NEW"})
    assert (answer.status, answer.error["code"]) == (409, 1002)


@pytest.mark.parametrize(
    ("changes", "code"),
    [
        ({"name": "1st"}, 6001),
        ({"name": "a-b"}, 6001),
        ({"name": "x" * 31}, 6001),
        ({"name": None}, 6001),
        ({"details": {}}, 6001),
        ({"details": {"label": 7}}, 6001),
        ({"settings": {}}, 6001),
        ({"settings": {**SETTINGS, "license": "wtfpl"}}, 6001),
        ({"settings": {**SETTINGS, "license": "mit"}}, 6001),
        ({"settings": {**SETTINGS, "pipeline_enabled": "yes"}}, 6001),
        ({"settings": {**SETTINGS, "royalty_microcredits": 10**30}}, 6001),
        ({"settings": {**SETTINGS, "royalty_microcredits": 1}}, 6001),
        ({"settings": {**SETTINGS, "language": "cobol"}}, 4001),
        ({"settings": {**SETTINGS, "language": "java11"}}, 4002),
        ({"settings": {**SETTINGS, "package_set": "nothing"}}, 4006),
        ({"settings": {**SETTINGS, "algorithm_environment": "00000000-0000-0000-0000-000000000000"}}, 1003),
        ({"settings": {**SETTINGS, "algorithm_environment": "717d36e0-222c-44a0-9aa8-06f4ebc1b82a"}}, 4002),
    ],
)
def test_what_cannot_be_an_algorithm(world: World, changes: dict[str, Any], code: int) -> None:
    answer = world.ask("POST", "algorithms/alice", "alice", {**NEW, **changes})
    assert (answer.status, answer.error["code"]) == (400, code)


def test_settings_and_texts_are_changed_one_by_one(fresh: Callable[[], World]) -> None:
    world = fresh()
    path = "algorithms/alice/Algo"
    before = world.ask("GET", path, "alice").json
    for body in ({}, {"details": {}, "settings": {}, "version_info": {}, "source": {}, "scmsCredentials": {}}):
        assert world.ask("PUT", path, "alice", body).json == before
    changed = world.ask(
        "PUT", path, "alice", {"details": {"summary": "It echoes"}, "version_info": {"sample_input": "1"}}
    ).json
    assert changed["details"] == {**before["details"], "summary": "It echoes"}
    assert changed["version_info"]["sample_input"] == "1"
    changed = world.ask("PUT", path, "alice", {"settings": {"source_visibility": "open", "license": "gpl3"}}).json
    assert (changed["settings"]["license"], changed["details"]["summary"]) == ("gpl3", "It echoes")
    assert world.ask("PUT", path, "alice", {"settings": {"source_visibility": "closed"}}).status == 400
    identifier = before["id"]
    assert world.ask("PUT", f"algorithms/{identifier}", "alice", {"details": {"tags": ["a"]}}).json["details"][
        "tags"
    ] == ["a"]


def test_resources_of_workers_are_set_one_by_one(fresh: Callable[[], World]) -> None:
    world = fresh()
    path, before = "algorithms/alice/Algo", fresh().ask("GET", "algorithms/alice/Algo", "alice").json["settings"]

    def after(**settings: Any) -> dict[str, Any]:
        answer = world.ask("PUT", path, "alice", {"settings": settings})
        assert answer.status == 200, answer.text
        found: dict[str, Any] = world.ask("GET", path, "alice").json["settings"]
        assert found == answer.json["settings"]
        return {name: value for name, value in found.items() if name not in before}

    assert after(cpus=2, memory="4g", resources={"ssd": 1, "net": 0.5}) == {
        "cpus": 2,
        "memory": 4 << 30,
        "resources": {"ssd": 1, "net": 0.5},
    }
    assert after(gpus=0) == {"cpus": 2, "gpus": 0, "memory": 4 << 30, "resources": {"ssd": 1, "net": 0.5}}
    assert after(cpus="default", resources={"tpu": 3}) == {"gpus": 0, "memory": 4 << 30, "resources": {"tpu": 3}}
    assert after(license="apl")["memory"] == 4 << 30
    assert after(cpus=None, memory=1000)["memory"] == 1000, "null is left out"
    assert after(gpus="default", memory="default", resources="default") == {}
    version = world.ask("GET", f"{path}/versions", "alice").json["results"][0]["version_info"]["semantic_version"]
    after(cpus=0.25)
    assert world.ask("GET", f"{path}/versions/{version}", "alice").json["settings"]["cpus"] == 0.25
    found = world.platform.registry.algorithm("alice", "Algo")
    assert found
    assert world.platform.registry.versions(found)[0].build.resources == (("cpus", 0.25),)


@pytest.mark.parametrize(
    ("settings", "wanted"),
    [
        ({"cpus": 1.5}, "'cpus' must be a number from 0 to 1, or a whole one, not 1.5"),
        ({"cpus": "2"}, "'cpus' must be a number from 0 to 1, or a whole one, not"),
        ({"cpus": -1}, "'cpus' must be a number from 0 to 1, or a whole one, not -1"),
        ({"cpus": True}, "settings.cpus must be number or string"),
        ({"gpus": 1e300}, "'gpus' must be a number"),
        ({"memory": "much"}, "'memory' must be a size such as 2G, or bytes"),
        ({"memory": -1}, "'memory' must be a size such as 2G, or bytes"),
        ({"resources": {"GPU": 1}}, "'resources' must be names that nodes declare"),
        ({"resources": {"a b": 1}}, "'resources' must be names that nodes declare"),
        ({"resources": {"ssd": 2.5}}, "'ssd' must be a number from 0 to 1, or a whole one, not 2.5"),
        ({"resources": {f"r{number}": 1 for number in range(51)}}, "'resources' must be an object of at most 50"),
        ({"resources": "ssd"}, "'resources' must be an object"),
    ],
)
def test_resources_that_no_worker_can_take(world: World, settings: dict[str, Any], wanted: str) -> None:
    answer = world.ask("PUT", "algorithms/alice/Algo", "alice", {"settings": settings})
    assert (answer.status, answer.error["code"]) == (400, 6001)
    assert wanted in answer.error["message"]
    answer = world.ask("POST", "algorithms/alice", "alice", {**NEW, "settings": {**SETTINGS, **settings}})
    assert answer.status == 400


def test_a_client_that_sends_a_form_changes_nothing(world: World) -> None:
    """Its nested members are lost on the way (API section 6.3)."""
    before = world.ask("GET", "algorithms/alice/Algo", "alice").json
    form = {"content-type": "application/x-www-form-urlencoded"}
    answer = world.ask("PUT", "algorithms/alice/Algo", "alice", b"details=label&settings=environment", **form)
    assert (answer.status, answer.json) == (200, before)


def test_algorithms_are_found_by_words_owners_and_tags(fresh: Callable[[], World]) -> None:
    world = fresh()
    world.ask(
        "PUT", "algorithms/alice/Algo", "alice", {"details": {"summary": "Finds Faces", "tags": ["Vision", "ml"]}}
    )

    def found(query: str, caller: str = "bob") -> list[str]:
        answer = world.ask("GET", f"algorithms?{query}", caller)
        assert answer.status == 200
        return [f"{entry['owner']}/{entry['name']}" for entry in answer.json["results"]]

    assert found("") == ["acme/Team", "alice/Algo", "demo/Hello"]
    assert found("", "alice") == ["acme/Own", "acme/Team", "alice/Algo", "alice/Secret", "demo/Hello"]
    assert found("", "mia") == ["acme/Own", "acme/Team", "alice/Algo", "demo/Hello"]
    assert found("q=faces+finds") == found("q=FACE") == found("tag=vision") == found("owner=ALICE") == ["alice/Algo"]
    assert found("q=faces+hello") == found("owner=nobody") == found("tag=vis") == found("q=secret") == []
    page = world.ask("GET", "algorithms?limit=2&q=l", "alice").json
    assert len(page["results"]) == 2
    assert page["next_link"].startswith("http://platform.test/v1/algorithms?limit=2&q=l&marker=")
    rest = world.ask("GET", page["next_link"].removeprefix("http://platform.test/v1/"), "alice").json
    assert rest["marker"] is None
    assert {entry["id"] for entry in page["results"]}.isdisjoint(entry["id"] for entry in rest["results"])


def test_a_version_is_taken_back_for_good(fresh: Callable[[], World], tmp_path: Path) -> None:
    world = fresh()
    publish(world.platform, tmp_path, "alice/Algo", public=True, version="1.1.0")
    commit = world.ask("GET", "algorithms/alice/Algo/versions/1.1.0", "alice").json["version_info"]["git_hash"]
    assert world.ask("DELETE", "algorithms/alice/Algo/versions/1.1.0", "bob").status == 403
    assert world.ask("DELETE", "algorithms/alice/Algo/versions/1.1.0", "alice").status == 204
    assert world.ask("POST", "algo/alice/Algo/1.1.0", "alice", "x").status == 404
    assert world.ask("POST", "algo/alice/Algo", "bob", "x").json["result"] == "x"
    assert world.ask("POST", f"algo/alice/Algo/{commit}", "alice", "x").status == 200, "its build stays"
    assert world.ask("DELETE", "algorithms/alice/Algo/versions/1.1.0", "alice").error["code"] == 1014
    with pytest.raises(Exception, match="was withdrawn"):
        publish(world.platform, tmp_path, "alice/Algo", public=True, version="1.1.0")
    assert world.ask("DELETE", f"algorithms/alice/Algo/versions/{commit}", "alice").status == 204
    assert world.ask("GET", "algorithms/alice/Algo", "bob").status == 404, "it has no public version any more"
    assert len(world.ask("GET", "algorithms/alice/Algo/builds", "alice").json["results"]) == 1


def test_an_algorithm_is_deleted_with_all_that_it_had(fresh: Callable[[], World], tmp_path: Path) -> None:
    world = fresh()
    path = "algorithms/alice/Algo"
    world.ask("PUT", "data/.algo/alice/Algo/perm/f", "bob", b"bob's")
    answer = world.ask("DELETE", path, "alice")
    assert (answer.status, answer.error["code"]) == (403, 2001)
    assert "unpublish" in answer.error["message"]
    assert world.ask("DELETE", path, "administrator").status == 204
    assert world.ask("GET", path, "alice").status == 404
    assert world.ask("DELETE", path, "alice").status == 404
    assert world.ask("GET", "admin/reservations", "administrator").json == []
    publish(world.platform, tmp_path, "alice/Algo", public=True)
    assert world.ask("GET", "data/.algo/alice/Algo/perm/f", "bob").status == 404
    assert world.ask("GET", f"{path}/secrets", "alice").json["results"] == []
    assert world.ask("DELETE", "algorithms/alice/Secret", "alice").status == 204


def test_builds_are_listed_whatever_came_of_them(fresh: Callable[[], World]) -> None:
    world = fresh()
    algorithm = world.platform.registry.algorithm("alice", "Algo")
    assert algorithm
    now = time.time()
    with world.platform.database.write() as rows:
        for identifier, status, finished, log in [
            ("running", "in-progress", None, "so far"),
            ("failed", "failed", now + 20, "ERROR: no such package"),
            ("again", "failed", now + 10, ""),
        ]:
            rows.execute(
                "INSERT INTO builds (id, algorithm, commit_hash, status, log, started_at, finished_at)"
                " VALUES (?, ?, ?, ?, ?, ?, ?)",
                (identifier, algorithm.id, "f" * 40, status, log, (finished or now + 31) - 1, finished),
            )
    path = "algorithms/alice/Algo/builds"
    with world.platform.builds.turn(algorithm):  # as while a build runs; it counts those before as broken off
        with world.platform.database.write() as rows:
            rows.execute(
                "UPDATE builds SET status = 'in-progress', finished_at = NULL, log = 'so far' WHERE id = 'running'"
            )
        found = world.ask("GET", path, "alice").json["results"]
        assert [build["status"] for build in found] == ["in-progress", "failed", "failed", "succeeded"]
        assert "finished_at" not in found[0]
        assert "version_info" not in found[1]
        assert found[3]["version_info"] == {"semantic_version": "1.0.0"}
        answer = world.ask("GET", f"{path}/running/logs", "alice")
        assert (answer.status, answer.error["code"]) == (404, 1011)
        assert world.ask("GET", f"{path}/running/logs?partial=true", "alice").json == {"logs": "so far"}
    answer = world.ask("GET", f"{path}/running/logs", "alice")
    assert "the platform ended while this build ran" in answer.json["logs"], "its process was killed"
    assert world.ask("GET", f"{path}/running", "alice").json["status"] == "failed"
    assert world.ask("GET", f"{path}/failed/logs", "alice").json == {"logs": "ERROR: no such package"}
    assert world.ask("POST", f"algo/alice/Algo/{'f' * 40}", "alice", "x").status == 404, "it does not run"


CALLER = """
import json, os, urllib.error, urllib.request

def apply(reference):
    sent = urllib.request.Request(os.environ["ALGORITHMIA_API"] + "/v1/algo/" + reference, data=b'"x"')
    sent.add_header("Authorization", os.environ["ALGORITHMIA_API_KEY"])
    sent.add_header("Content-Type", "application/json")
    try:
        return json.load(urllib.request.urlopen(sent))["result"]
    except urllib.error.HTTPError as error:
        return json.load(error)["error"]["message"]
"""


def test_an_algorithm_that_may_not_call_others_does_not(fresh: Callable[[], World], tmp_path: Path) -> None:
    world = fresh()
    publish(world.platform, tmp_path, "alice/Calls", public=True, code=CALLER)
    assert world.ask("POST", "algo/alice/Calls", "bob", "alice/Algo").json["result"] == "x"
    world.ask("PUT", "algorithms/alice/Calls", "alice", {"settings": {"pipeline_enabled": False}})
    refused = world.ask("POST", "algo/alice/Calls", "bob", "alice/Algo").json["result"]
    assert refused == "alice/Calls may not call other algorithms"


def test_the_default_collection_of_an_algorithm(fresh: Callable[[], World], tmp_path: Path) -> None:
    world = fresh()
    code = (
        CALLER.replace("/v1/algo/", "/v1/data/")
        .replace("data=b'\"x\"'", "method='GET'")
        .replace('json.load(urllib.request.urlopen(sent))["result"]', "urllib.request.urlopen(sent).read().decode()")
    )
    publish(world.platform, tmp_path, "alice/Reads", public=True, code=code)

    def read(caller: str) -> Any:
        return world.ask("POST", "algo/alice/Reads", caller, ".algo/default/f").json["result"]

    assert "No collection is assigned" in read("alice")
    collection = world.values["collectionId"]
    assert world.ask("POST", f"algorithms/acme/Own/collections/{collection}", "alice").status == 403
    assert world.ask("POST", f"algorithms/alice/Reads/collections/{collection}", "alice").status == 204
    assert read("alice") == "secret"
    assert read("bob") == "Caller is not authorized to perform the operation", "its ACL still counts"
    world.ask("PATCH", "data/.my/private", "alice", {"acl": {"read": ["algo://.my/*"]}})
    assert read("bob") == "secret"
    unknown = "00000000-0000-0000-0000-000000000000"
    assert world.ask("POST", f"algorithms/alice/Reads/collections/{unknown}", "alice").status == 404


def test_owners_are_told_of_versions_that_others_publish(fresh: Callable[[], World], tmp_path: Path) -> None:
    world = fresh()
    publish(world.platform, tmp_path, "acme/Team", public=True, version="1.1.0")
    world.ask("DELETE", "algorithms/acme/Team/versions/1.1.0", "mia")

    def told(caller: str, kinds: str = "version_published,version_unpublished") -> list[tuple[str, str]]:
        identifier = world.platform.accounts.get(caller).id
        found = world.ask("GET", f"users/{identifier}/notifications?event_types={kinds}", caller).json
        return [(each["notification_type"], each["semantic_version"]) for each in found if each["algoname"] == "Team"]

    assert told("alice")[:2] == [("version_unpublished", "1.1.0"), ("version_published", "1.1.0")]
    assert told("mia")[0] == ("version_published", "1.1.0")
    assert told("alice", "version_unpublished") == [("version_unpublished", "1.1.0")]
    assert told("ivan") == told("bob") == []
    for query, code in [("", 8060), ("event_types=", 8060), ("event_types=x", 8061), ("event_types=version_published&limit=0", 5003),
                        ("event_types=version_published&since=x", 6001)]:  # fmt: skip
        answer = world.ask("GET", f"users/alice/notifications?{query}", "alice")
        assert (answer.status, answer.error["code"]) == (400, code)


FAILS = "def apply(input):\n    raise ValueError('no luck')\n"


@pytest.mark.parametrize("visibility", ["closed", "open"])
def test_source_is_for_its_owners_or_for_everybody(fresh: Callable[[], World], tmp_path: Path, visibility: str) -> None:
    """The files, the commits, and the lines of both in stack traces, also of calls on record."""
    world = fresh()
    publish(world.platform, tmp_path, "alice/Fails", public=True, code=FAILS)
    settings = {"settings": {"source_visibility": visibility}}
    assert world.ask("PUT", "algorithms/alice/Fails", "alice", settings).status == 200
    is_open = visibility == "open"
    for caller, sees in (("alice", True), ("bob", is_open)):
        for part in ("source", "log"):
            assert world.ask("GET", f"algorithms/alice/Fails/{part}", caller).status == (200 if sees else 403), caller
        failed = world.ask("POST", "algo/alice/Fails?stdout=true", caller, "x").json
        again = world.ask("GET", f"requests/{failed['request_id']}/result?stdout=true", caller).json
        for answer in (failed, again):
            assert ("stacktrace" in answer["error"]) is sees, caller
            assert ("stdout" in answer["metadata"]) is (caller == "alice"), "what is printed is the owner's"
        assert world.ask("GET", "algorithms/alice/Fails/builds", caller).status == (200 if caller == "alice" else 403)
    assert world.ask("PUT", "algorithms/alice/Fails/source", "bob", b"x").status == 403
    assert world.ask("GET", "algorithms/alice/Fails/source", "nobody").status == 401


def test_a_package_set_chooses_the_python(fresh: Callable[[], World], monkeypatch: pytest.MonkeyPatch) -> None:
    world = fresh()
    wanted: list[tuple[int, ...]] = []
    build = world.platform.builder.build

    def noted(*arguments: Any, **named: Any) -> Any:
        wanted.append(named["preferred"])
        return build(*arguments, **{**named, "preferred": ()})

    monkeypatch.setattr(world.platform.builder, "build", noted)
    for number, name in enumerate(("python37", "python36-gpu", "pytorch-1.6.x")):
        settings = {**SETTINGS, "package_set": name}
        body = {"name": f"New{number}", "details": {"label": "New"}, "settings": settings}
        assert world.ask("POST", "algorithms/alice", "alice", body).status == 201
        world.ask("POST", f"algorithms/alice/New{number}/compile", "alice")
    assert wanted == [(3, 7), (3, 6), ()]
