"""What the commands ask a platform for, and what they make of answers of any form."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from support.stub import StubPlatform, json_answer

from algo_core.errors import ExitCode
from algo_core.testing import Home

ALGORITHM = {"id": "a1", "owner": "demo", "name": "Hello", "details": {"label": "Hello"}, "settings": {}}
BUILD = {"build_id": "b1", "status": "succeeded", "commit_sha": "c" * 40, "started_at": "2021-01-01T00:00:00.000Z"}


def asked(stub: StubPlatform) -> list[tuple[str, str, Any]]:
    return [(seen.method, seen.path, json.loads(seen.body) if seen.body else None) for seen in stub.seen]


@pytest.mark.parametrize(
    ("arguments", "method", "path", "body"),
    [
        (["create", "alice/New"], "POST", "/v1/algorithms/alice",
         {"name": "New", "details": {"label": "New"}, "settings": {"source_visibility": "closed", "license": "apl",
          "network_access": "full", "pipeline_enabled": True}}),
        (["create", "alice/New", "--label", "L", "--no-pipelining", "--environment", "e", "--sample-input", "1"], "POST",
         "/v1/algorithms/alice", {"name": "New", "details": {"label": "L"}, "settings": {"source_visibility": "closed",
          "license": "apl", "network_access": "full", "pipeline_enabled": False, "algorithm_environment": "e"},
          "version_info": {"sample_input": "1"}}),
        (["update", "demo/Hello", "--tag", "a", "--tag", "b"], "PUT", "/v1/algorithms/demo/Hello",
         {"details": {"tags": ["a", "b"]}}),
        (["update", "algo://demo/Hello", "--license", "mit", "--source-visibility", "open"], "PUT",
         "/v1/algorithms/demo/Hello", {"settings": {"license": "mit", "source_visibility": "open"}}),
        (["update", "demo/Hello", "--min-workers", "0", "--max-workers", "4"], "PUT", "/v1/algorithms/demo/Hello",
         {"settings": {"min_workers": 0, "max_workers": 4}}),
        (["update", "demo/Hello", "--cpus", "0.5", "--gpus", "default", "--memory", "4G", "--resource", "ssd=1",
          "--resource", "x.y=0.5"], "PUT", "/v1/algorithms/demo/Hello",
         {"settings": {"cpus": 0.5, "gpus": "default", "memory": "4G", "resources": {"ssd": 1, "x.y": 0.5}}}),
        (["update", "demo/Hello", "--resource", "default"], "PUT", "/v1/algorithms/demo/Hello",
         {"settings": {"resources": "default"}}),
        (["compile", "demo/Hello"], "POST", "/v1/algorithms/demo/Hello/compile", {}),
        (["compile", "demo/Hello", "--commit", "abc"], "POST", "/v1/algorithms/demo/Hello/compile", {"commitSha": "abc"}),
        (["publish", "demo/Hello"], "POST", "/v1/algorithms/demo/Hello/versions",
         {"version_info": {"version_type": "minor"}, "settings": {}}),
        (["publish", "demo/Hello", "--revision", "--private", "--notes", "n", "--sample-output", "2"], "POST",
         "/v1/algorithms/demo/Hello/versions", {"version_info": {"version_type": "revision", "release_notes": "n",
          "sample_output": "2"}, "settings": {"algorithm_callability": "private"}}),
        (["unpublish", "demo/Hello", "1.0.0", "--yes"], "DELETE", "/v1/algorithms/demo/Hello/versions/1.0.0", None),
        (["delete", "demo/Hello", "--yes"], "DELETE", "/v1/algorithms/demo/Hello", None),
    ],
)  # fmt: skip
def test_what_is_sent(home: Home, stub: StubPlatform, arguments: list[str], method: str, path: str, body: Any) -> None:
    answer = {**ALGORITHM, "compilation": {"successful": True, "output": ""}, "version_info": {"git_hash": "c" * 40}}
    stub.on(method, path, json_answer(answer) if method != "DELETE" else stub.answer(204))
    done = home.run("algorithms", *arguments, "--json")
    assert done.code == ExitCode.OK, done.stderr
    # what a removal leaves without an algorithm, schedules, is looked up after it
    assert [one for one in asked(stub) if method != "DELETE" or one[0] != "GET"] == [(method, path, body)]
    assert isinstance(done.json, dict)


@pytest.mark.parametrize(
    "option",
    [["--cpus", "two"], ["--cpus", "nan"], ["--gpus", "inf"], ["--resource", "ssd"], ["--resource", "=1"],
     ["--resource", "ssd=x"], ["--resource", "ssd=default"], ["--resource", "default", "--resource", "ssd=1"]],
)  # fmt: skip
def test_resources_that_are_none_are_not_sent(home: Home, stub: StubPlatform, option: list[str]) -> None:
    done = home.run("algorithms", "update", "demo/Hello", *option)
    assert done.code == ExitCode.USAGE
    assert option[1] in done.stderr or option[1].partition("=")[2] in done.stderr
    assert not stub.seen


def test_resources_are_shown(home: Home, stub: StubPlatform) -> None:
    settings = {"cpus": 0.5, "memory": 4 << 30, "resources": {"ssd": 1, "x": 2}, "min_workers": 1}
    stub.on("GET", "/v1/algorithms/demo/Hello", json_answer({**ALGORITHM, "settings": settings}))
    lines = [line.split(":", 1) for line in home.run("algorithms", "show", "demo/Hello").text.splitlines()]
    shown = {name: value.strip() for name, value in lines}
    assert (shown["Cpus"], shown["Memory"], shown["Resources"], shown["Min workers"]) == (
        "0.5",
        "4.0 GiB",
        "ssd=1, x=2",
        "1",
    )


def test_algorithms_of_a_platform_that_cannot_list_all(home: Home, stub: StubPlatform) -> None:
    stub.on(
        "GET",
        "/v1/users/demo/algorithms",
        json_answer([{"id": "a", "name": "demo/Hello"}, {"id": "b", "name": "Other"}]),
    )
    assert home.complete("algorithms", "show", "demo/") == ["demo/Hello", "demo/Other"]


def test_all_pages_are_read(home: Home, stub: StubPlatform) -> None:
    pages = [{"marker": "m", "next_link": None, "results": [BUILD]},
             {"marker": None, "next_link": None, "results": [{**BUILD, "build_id": "b2"}]}]  # fmt: skip
    stub.on("GET", "/v1/algorithms/demo/Hello/builds", *map(json_answer, pages))
    assert [build["build_id"] for build in home.run("builds", "list", "demo/Hello", "--json").json] == ["b1", "b2"]
    assert [seen.path.partition("?")[2] for seen in stub.seen] == ["limit=1000", "limit=1000&marker=m"]


def test_a_log_is_followed_to_the_end(home: Home, stub: StubPlatform) -> None:
    """Whole lines only, each once; a platform that has no logs of running builds is waited for."""
    running = {"marker": None, "next_link": None, "results": [{**BUILD, "status": "in-progress"}]}
    stub.on("GET", "/v1/algorithms/demo/Hello/builds", *[json_answer(running)] * 2,
            json_answer({**running, "results": [BUILD]}))  # fmt: skip
    missing = json_answer({"error": {"code": 1011, "message": "not yet"}}, 404)
    stub.on("GET", "/v1/algorithms/demo/Hello/builds/b1/logs", missing,
            json_answer({"logs": "one\ntw"}), json_answer({"logs": "one\ntwo\nthree"}))  # fmt: skip
    done = home.run("builds", "logs", "demo/Hello", "-f")
    assert (done.code, done.text) == (ExitCode.OK, "one\ntwo\nthree\n")


@pytest.mark.parametrize(
    ("arguments", "code"),
    [
        (["algorithms", "update", "demo/Hello"], ExitCode.USAGE),
        (["algorithms", "publish", "demo/Hello/1.0.0"], ExitCode.USAGE),
        (["algorithms", "delete", "demo/Hello"], ExitCode.USAGE),
        (["algorithms", "compile", "demo/Hello", "--source", ".", "--commit", "x"], ExitCode.USAGE),
        (["algorithms", "compile", "demo/Hello", "--source", "empty"], ExitCode.USAGE),
        (["algorithms", "show", "Hello"], ExitCode.USAGE),
        (["secrets", "set", "demo/Hello", "X", "--file", "f", "--stdin"], ExitCode.USAGE),
        (["secrets", "set", "demo/Hello", "X", "--file", "binary"], ExitCode.USAGE),
        (["secrets", "remove", "demo/Hello", "Y"], ExitCode.NOT_FOUND),
        (["keys", "create", "x", "--no-calls", "--web", "*"], ExitCode.USAGE),
        (["builds", "show", "demo/Hello", "b2"], ExitCode.NOT_FOUND),
    ],
)
def test_what_cannot_be_done_is_refused_with_advice(
    home: Home, stub: StubPlatform, arguments: list[str], code: int
) -> None:
    (home.root / "empty").mkdir()
    (home.root / "f").write_text("value\n")
    (home.root / "binary").write_bytes(b"\xff\xfe\x00\xd8")
    stub.on("GET", "/v1/algorithms/demo/Hello", json_answer(ALGORITHM))
    stub.on("GET", "/v1/algorithms/a1/secrets", json_answer({"results": []}))
    stub.on("GET", "/v1/algorithms/demo/Hello/builds", json_answer({"results": [BUILD], "marker": None}))
    done = home.run(*arguments, "--json")
    assert done.code == code, done.stderr
    assert done.stdout == b""
    assert done.error["hint"]
    assert not [seen for seen in stub.seen if seen.method != "GET"]


def test_no_input_is_no_value(home: Home, stub: StubPlatform) -> None:
    stub.on("GET", "/v1/algorithms/demo/Hello", json_answer(ALGORITHM))
    stub.on("GET", "/v1/algorithms/a1/secrets", json_answer({"results": []}))
    assert home.run("secrets", "set", "demo/Hello", "X").code == ExitCode.USAGE
    assert {seen.method for seen in stub.seen} == {"GET"}


def test_the_value_of_a_secret_keeps_its_lines(home: Home, stub: StubPlatform, tmp_path: Path) -> None:
    (tmp_path / "pem").write_bytes(b"-----BEGIN-----\r\nabc\n-----END-----\n")
    stub.on("GET", "/v1/algorithms/demo/Hello", json_answer(ALGORITHM))
    stub.on("GET", "/v1/algorithms/a1/secrets", json_answer({"secrets": [{"id": "s1", "secret_key": "OLD"}]}))
    stub.on("GET", "/v1/secret-provider", json_answer([{"id": "p1"}]))
    stub.on("POST", "/v1/algorithms/a1/secrets", json_answer({"id": "s2"}))
    stub.on("PUT", "/v1/algorithms/a1/secrets/s1", json_answer({"id": "s1"}))
    assert home.run("secrets", "set", "demo/Hello", "PEM", "--file", tmp_path / "pem").code == ExitCode.OK
    assert home.run("secrets", "set", "demo/Hello", "OLD", input="x\n").code == ExitCode.OK
    sent = [body for method, _, body in asked(stub) if method in {"POST", "PUT"}]
    value = "-----BEGIN-----\r\nabc\n-----END-----"
    assert sent == [
        {"short_name": "PEM", "description": " ", "owner_type": "algorithm", "owner_id": "a1", "provider_id": "p1",
         "secret_key": "PEM", "secret_value": value},
        {"secret_key": "OLD", "secret_value": "x"},
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("sample", "line"),
    [
        ('"Jane"', "algo run demo/Hello/1.0.0 -t Jane"),
        ('{"a": "it\'s"}', """algo run demo/Hello/1.0.0 -j '{"a": "it'"'"'s"}'"""),
        ("not JSON", "algo run demo/Hello/1.0.0 -t 'not JSON'"),
        ("", "algo run demo/Hello/1.0.0 -t 'HAL 9000'"),
        ('"-x"', "algo run demo/Hello/1.0.0 -j '\"-x\"'"),
        ("5", "algo run demo/Hello/1.0.0 -j 5"),
    ],
)
def test_the_lines_to_call_an_algorithm_with(home: Home, stub: StubPlatform, sample: str, line: str) -> None:
    version = {**ALGORITHM, "version_info": {"semantic_version": "1.0.0", "sample_input": sample}}
    stub.on("GET", "/v1/algorithms/demo/Hello", json_answer(version))
    built = {**ALGORITHM, "version_info": {"git_hash": "c" * 40}}
    stub.on(
        "GET",
        "/v1/algorithms/demo/Hello/versions",
        json_answer({"results": [built, version], "marker": None}),
    )
    shown = home.run("show", "demo/Hello", "--json").json
    assert shown["versions"] == ["1.0.0"]
    assert shown["calls"]["algo"] == line
    assert f"{stub.address}/v1/algo/demo/Hello/1.0.0" in shown["calls"]["curl"]


@pytest.mark.parametrize(
    ("arguments", "hint"),
    [
        (["show", "acm"], "Did you mean acme?"),
        (["members", "ACMEE"], "Did you mean acme?"),
        (["add", "amce", "jane"], "Did you mean acme?"),
        (["remove", "zzz", "jane"], "List yours with: algo orgs list"),
    ],
)
def test_organizations_are_suggested(home: Home, stub: StubPlatform, arguments: list[str], hint: str) -> None:
    stub.on("GET", "/v1/organizations", json_answer({"results": [{"org_name": "acme"}], "marker": None}))
    missing = json_answer({"error": {"message": f"No organization {arguments[1]}"}}, status=404)
    path = f"/v1/organizations/{arguments[1]}"
    for method, below in (("GET", ""), ("GET", "/members"), ("PUT", "/members/jane"), ("DELETE", "/members/jane")):
        stub.on(method, path + below, missing)
    done = home.run("orgs", *arguments, "--json")
    assert (done.code, done.error["hint"]) == (ExitCode.NOT_FOUND, hint)
