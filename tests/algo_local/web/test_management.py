"""Reading what is known about algorithms, languages and environments (API sections 1.6, 5, 6)."""

from __future__ import annotations

import gzip
import io
import tarfile
from collections.abc import Callable
from typing import Any

import pytest

ECHO = "def apply(input):\n    return input"


def test_an_algorithm_object_has_the_members_that_clients_read(client: Any) -> None:
    found = client("GET", "algorithms/demo/hello").json()
    assert found["name"] == "Hello"
    assert found["resource_type"] == "algorithm"
    assert found["version_info"]["semantic_version"] == "1.0.0"
    assert len(found["version_info"]["git_hash"]) == 40
    assert found["build"]["status"] == "succeeded"
    assert found["settings"]["algorithm_callability"] == "public"
    assert client("GET", f"algorithms/{found['id']}").json() == found
    commit = found["version_info"]["git_hash"]
    assert client("GET", f"algorithms/demo/Hello/versions/{commit}").json() == found
    assert client("HEAD", "algorithms/demo/Hello").status_code == 200


@pytest.mark.parametrize(
    "path", ["demo/Nope", "nobody/Hello", "demo/Nope/versions", "00000000-0000-0000-0000-000000000000"]
)
def test_an_unknown_algorithm_is_a_bare_string(client: Any, path: str) -> None:
    answer = client("GET", f"algorithms/{path}")
    assert (answer.status_code, answer.text) == (404, '{"error":"No such algorithm"}')


def test_versions_come_in_pages_that_end_in_null(client: Any, publish: Callable[..., None]) -> None:
    for minor in range(5):
        publish("jane/Echo", ECHO, f"1.{minor}.0", public=minor % 2 == 0)
    first = client("GET", "algorithms/jane/Echo/versions?limit=3").json()
    assert list(first) == ["marker", "next_link", "results"]
    assert first["next_link"].startswith(f"{client.address}/v1/algorithms/jane/Echo/versions?")
    second = client("GET", first["next_link"].removeprefix(f"{client.address}/v1/")).json()
    assert (second["marker"], second["next_link"]) == (None, None)
    found = [entry["version_info"]["semantic_version"] for entry in first["results"] + second["results"]]
    assert found == ["1.4.0", "1.3.0", "1.2.0", "1.1.0", "1.0.0"]
    for query in ("published=true&callable=false", "published=false", "callable=True"):
        assert len(client("GET", f"algorithms/jane/Echo/versions?{query}").json()["results"]) == len(found), query
    for query, code in [
        ("limit=0", 5003),
        ("limit=x", 5003),
        ("limit=9999", 5003),
        ("marker=%21", 5002),
        ("marker=YQ", 5002),
    ]:
        answer = client("GET", f"algorithms/jane/Echo/versions?{query}")
        assert (answer.status_code, answer.json()["error"]["code"]) == (400, code)


def test_builds_and_their_logs(client: Any, publish: Callable[..., None]) -> None:
    publish("jane/Echo", ECHO)
    page = client("GET", "algorithms/jane/Echo/builds?limit=56").json()
    (build,) = page["results"]
    assert build["status"] == "succeeded"
    assert client("GET", f"algorithms/jane/Echo/builds/{build['build_id']}").json() == build
    logs = client("GET", f"algorithms/jane/Echo/builds/{build['build_id']}/logs").json()["logs"]
    assert build["commit_sha"] in logs
    assert client("GET", "algorithms/jane/Echo/builds/none").json()["error"]["code"] == 1010


def test_builds_are_for_the_owner(account: Callable[[str], Any]) -> None:
    assert account("alice")("GET", "algorithms/demo/Hello/builds").status_code == 403


def test_algorithms_of_a_user(client: Any, publish: Callable[..., None]) -> None:
    publish("jane/Echo", ECHO)
    publish("jane/Another", ECHO)
    found = client("GET", "users/jane/algorithms").json()
    assert [(entry["username"], entry["algoname"]) for entry in found] == [("jane", "Another"), ("jane", "Echo")]
    assert client("GET", "users/nobody/algorithms").json()["error"]["code"] == 3000


def test_languages_and_environments(client: Any) -> None:
    base = "algorithm-environments/edge"
    assert "python3" in [language["name"] for language in client("GET", f"{base}/languages").json()]
    environments = client("GET", f"{base}/languages/python3/environments").json()["environments"]
    assert all(environment["language"]["name"] == "python3" for environment in environments)
    assert isinstance(client("GET", f"{base}/environments/available").json(), list)
    answer = client("GET", f"{base}/languages/cobol/environments")
    assert (answer.status_code, answer.json()["error"]["code"]) == (404, 4001)
    assert client("GET", f"{base}/nonsense").status_code == 404
    assert client("POST", f"{base}/languages").status_code == 405


def test_templates_are_archives(client: Any) -> None:
    base = "algorithm-environments/edge"
    (environment, *_) = client("GET", f"{base}/languages/python3/environments").json()["environments"]
    specification = environment["environment_specification_id"]
    answer = client("GET", f"{base}/environment-specifications/{specification}/template")
    assert answer.headers["Content-Type"] == "application/gzip"
    with tarfile.open(fileobj=io.BytesIO(gzip.decompress(answer.content))) as archive:
        assert "src/__ALGO__.py" in archive.getnames()
    answer = client("GET", f"{base}/environment-specifications/00000000-0000-0000-0000-000000000000/template")
    assert (answer.status_code, answer.json()["error"]["code"]) == (404, 1003)
