"""What the test suites of clients send that are not installed here, and what they look for in the answers.

Each row is a request of a suite: its caller, method, path, content type and body, the status that it gets, and members of
the answer. Rows of one client follow each other on one platform.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any, NamedTuple

import pytest
from support.world import BASIC, World


class Row(NamedTuple):
    caller: str
    method: str
    path: str
    body: Any
    status: int
    expected: Any = None
    """Members of a JSON object, or the whole body as text."""
    content_type: str = "application/json"


SETTINGS = {"environment": "cpu", "language": "python3-1", "license": "apl", "network_access": "full",
            "pipeline_enabled": True, "source_visibility": "closed"}  # fmt: skip
LABEL = {"label": "My First Algorithm"}
ORGANIZATION = {"org_contact_name": "some owner", "org_email": "SomeEmail@SomeEmail.com", "org_label": "myLabel",
                "org_name": "MyOrg1638316800000", "org_url": "https://algorithmia.com", "resource_type": "organization",
                "type_id": BASIC}  # fmt: skip
SCALAS = {**ORGANIZATION, "org_name": "jakeOrg_1638316800000", "external_id": "1638316800000", "self_link": "",
          "external_admin_group": "external_admin_group_id", "external_member_group": "external_admin_group_id"}  # fmt: skip
NO_ALGORITHM = '{"error":"No such algorithm"}'
TEXT, BYTES = "text/plain", "application/octet-stream"

SUITES: dict[str, list[Row]] = {
    "node": [
        Row("alice", "POST", "algorithms/alice", {"name": "another", "details": LABEL, "settings": SETTINGS}, 201, {"name": "another"}),
        Row("alice", "GET", "algorithms/alice/another", None, 200, {"name": "another"}),
        Row("alice", "POST", "algorithms/alice/another/compile", {}, 200, {"compilation": {"successful": True}}),
        Row("alice", "POST", "algorithms/alice/another/version", {}, 200, {"version_info": {"semantic_version": "0.1.0"}}),
        Row("alice", "GET", "algorithms/alice/another/versions?callable=false&limit=50&published=true", None, 200, {"results": [{}]}),
        Row("alice", "GET", "algorithms/alice/another/builds?limit=50", None, 200, {"results": [{"status": "succeeded"}]}),
        Row("alice", "DELETE", "algorithms/alice/another", None, 204, ""),
        Row("alice", "GET", "algorithms/alice/another", None, 404, NO_ALGORITHM),
        Row("alice", "GET", "scms", None, 200, {"results": [{"id": "internal", "provider": "internal"}]}),
        Row("alice", "GET", "scms/internal", None, 200, {"enabled": True}),
        Row("alice", "GET", "scms/internal/oauth/status", None, 200, {"authorization_status": "unauthorized"}),
        Row("administrator", "POST", "organizations", ORGANIZATION, 200, {"org_name": "MyOrg1638316800000"}),
        Row("administrator", "PUT", "organizations/MyOrg1638316800000", {**ORGANIZATION, "org_email": "Other@Email.com"}, 204, ""),
        Row("administrator", "GET", "organizations/MyOrg1638316800000", None, 200, {"org_email": "Other@Email.com"}),
        Row("alice", "POST", "data/data://alice/", b"robots", 200, {}, TEXT),
        Row("alice", "HEAD", "data/data://alice/", None, 200, ""),
        Row("alice", "PUT", "data/data://alice/robots/a.txt", b'"nah dawg"', 200, {}, TEXT),
        Row("alice", "DELETE", "data/data://alice/robots/a.txt", None, 200, '{"result":{"deleted":1}}'),
        Row("alice", "POST", "algo/algo://alice/Algo/1.0.0/?timeout=300&stdout=false&output=raw", b"foo", 200, "foo", TEXT),
    ],
    "java": [
        Row("alice", "PUT", "algorithms/alice/Algo", "<algorithms/alice/Algo>", 200, {"details": {"label": "Algo"}}),
        Row("alice", "GET", "algorithms/alice/Algo/scm/status", None, 200, {"scm_connection_status": "active"}),
        Row("alice", "POST", "algorithms/alice/Algo/compile", {}, 200, {"name": "Algo"}),
        Row("alice", "POST", "algorithms/alice/Algo/version", {"version_info": {"git_hash": "git_hash", "release_notes": "r",
            "sample_input": "i", "sample_output": "o", "version_type": "patch"}}, 200, {"version_info": {"semantic_version": "1.0.1"}}),
        Row("alice", "PUT", "data/.my%2Fprivate%2Fa+b%2B.txt", "☁".encode(), 200, {}, "text/plain; charset=UTF-8"),
        Row("alice", "HEAD", "data/.my%2Fprivate%2Fa+b%2B.txt", None, 200, ""),
        Row("alice", "GET", "data/.my%2Fprivate%2Fa+b%2B.txt", None, 200, "☁"),
        Row("alice", "DELETE", "data/.my%2Fprivate?force=false", None, 400, {"error": {"deleted": 0}}),
        Row("alice", "POST", "algo/alice/Algo?output=void", b"foo", 200, {"async": "void"}, TEXT),
    ],
    "scala": [
        Row("administrator", "POST", "organizations", SCALAS, 200, {"org_name": "jakeOrg_1638316800000"}),
        Row("administrator", "PUT", "organizations/jakeOrg_1638316800000", {**SCALAS, "org_name": "updated_jakeOrg_1638316800000"}, 204, ""),
        Row("administrator", "POST", "users", {"username": "jake_1638316800000", "email": "jake@algo.test", "company_name": "J",
            "company_role": "user", "fullname": "J"}, 200, {"username": "jake_1638316800000"}),
        Row("administrator", "PUT", "organizations/jakeOrg_1638316800000/members/jake_1638316800000", b"", 200, {"role": "member"}),
        Row("administrator", "GET", "organizations/jakeOrg_1638316800000", None, 200, {"external_admin_group": "external_admin_group_id"}),
        Row("administrator", "DELETE", "organizations/jakeOrg_1638316800000", None, 204, ""),
    ],
    "r": [
        Row("alice", "POST", "algorithms/alice", {"name": "my_first", "details": LABEL, "settings": SETTINGS}, 201, {"resource_type": "algorithm"}),
        Row("alice", "PUT", "algorithms/alice/my_first", {"details": {"label": "Updated"}, "settings": {**SETTINGS, "environment": "gpu"}},
            200, {"resource_type": "algorithm", "settings": {"environment": "gpu"}}),
        Row("alice", "DELETE", "algorithms/alice/my_first", None, 204, ""),
        Row("alice", "POST", "data/.my", {"name": "RTest_acl", "acl": {"read": []}}, 200, {}),
        Row("alice", "PATCH", "data/.my/RTest_acl", {"acl": {"read": ["user://*"]}}, 200, ""),
        Row("alice", "GET", "data/.my/RTest_acl?acl=true", None, 200, {"acl": {"read": ["user://*"]}}),
        Row("alice", "DELETE", "data/.my/RTest_acl", None, 200, {}),
        Row("alice", "POST", "algo/demo/hello?timeout=300&stdout=FALSE&output=default", b"null", 200, {"result": "Hello null"}),
    ],
    "c-sharp": [
        Row("nobody", "POST", "algo/demo/hello?timeout=300&stdout=False&output=default", b"1", 401, {"error": {"message": "authorization required"}}),
        Row("alice", "POST", "algo/demo/thisshouldneverexist?timeout=300", b"null", 404,
            {"error": {"message": "algorithm algo://demo/thisshouldneverexist not found"}}),
        Row("alice", "POST", "algo/demo/hello/0.1.x?timing=1", b'"1"', 200, {"result": "Hello 1", "metadata": {"content_type": "text"}}),
        Row("alice", "POST", "algo/alice/Algo?output=raw", b'"hello"', 200, "hello"),
        Row("alice", "HEAD", "data/.my/neverShouldExist", None, 404, ""),
    ],
    "php": [
        Row("alice", "GET", "connector/data/.my?acl=false", None, 200, {"files": []}),
        Row("alice", "GET", "connector/data/.my/this_does_not_exist", None, 404, {"error": {}}),
        Row("alice", "PUT", "connector/data/.my/private/opencv_test.png", b"\x89PNG", 200, {}, ""),
        Row("alice", "DELETE", "connector/data/.my/private/opencv_test.png", None, 200, {"result": {"deleted": 1}}),
    ],
    "ruby": [
        Row("alice", "GET", "algorithms/alice/Algo", None, 200, {"name": "Algo", "resource_type": "algorithm"}),
        Row("alice", "POST", "algo/demo/hello", b"foo", 200, {"result": "Hello foo", "metadata": {"content_type": "text"}}, TEXT),
        Row("alice", "POST", "algo/alice/Algo", b"\x00\xff", 200, {"result": "AP8=", "metadata": {"content_type": "binary"}}, BYTES),
        Row("alice", "POST", "algo/alice/Algo", b"{", 400, {"error": {}}),
    ],
}  # fmt: skip


@pytest.mark.parametrize("client", SUITES)
def test_the_requests_of_a_suite_are_answered_as_it_expects(fresh: Callable[[], World], client: str) -> None:
    world = fresh()
    for row in SUITES[client]:
        body = row.body
        if isinstance(body, str):  # the object of this path, as it was fetched
            body = world.ask("GET", body.strip("<>"), row.caller).json
        headers = {"content-type": row.content_type} if row.content_type else {"content-type": ""}
        answer = world.ask(row.method, row.path, row.caller, body, **headers)
        assert answer.status == row.status, (row, answer.body)
        if isinstance(row.expected, str):
            assert answer.body.decode() == row.expected, row
        elif row.expected is not None:
            assert answer.headers["Content-Type"] == "application/json"
            assert covers(answer.json, row.expected), (row, answer.body)
            assert answer.body == json.dumps(answer.json, separators=(",", ":"), ensure_ascii=False).encode(), (
                "no blanks"
            )


def covers(found: Any, expected: Any) -> bool:
    """Whether all members that are expected are there; of a list, the first ones."""
    if isinstance(expected, dict):
        return isinstance(found, dict) and all(
            name in found and covers(found[name], expected[name]) for name in expected
        )
    if isinstance(expected, list) and expected:
        return all(covers(one, wanted) for one, wanted in zip(found, expected, strict=False)) and len(found) >= len(
            expected
        )
    return bool(found == expected)
