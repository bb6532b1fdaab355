"""Algorithms whose sources are on another git server, reached by its address (API section 6.5).

The other server is this platform's own smart HTTP, which is one as any other.
"""

from __future__ import annotations

import hashlib
import hmac
import json
from collections.abc import Callable
from typing import Any

import pytest
from support.world import archive

from algo_local.platform import Platform

SETTINGS = {"source_visibility": "closed", "license": "apl", "network_access": "full", "pipeline_enabled": True}
CODE = "def apply(input):\n    return '{} ' + input\n"


class Elsewhere:
    """bob's algorithm `bob/There` is the repository that alice's `alice/Here` has its sources in."""

    def __init__(self, platform: Platform, address: str, account: Callable[[str], Any]) -> None:
        self.platform = platform
        self.alice, self.bob = account("alice"), account("bob")
        self.admin = account(platform.account)
        self.bob("POST", "algorithms/bob", json={"name": "There", "details": {"label": "x"}, "settings": SETTINGS})
        self.push("first")
        urls = {"web": f"{address}/git", "api": "", "ssh": ""}
        self.scm = self.admin(
            "POST", "admin/scms?sudo=true", json={"provider": "github", "name": "Hub", "urls": urls}
        ).json()
        key = self.bob.session.headers["Authorization"].split()[1]
        made = self.alice("POST", "algorithms/alice", json={
            "name": "Here", "details": {"label": "x"}, "settings": SETTINGS,
            "source": {"scm": self.scm["id"], "repository_owner": "bob", "existing_repository_name": "There"},
            "scmsCredentials": {"username": "bob", "password": key},
        })  # fmt: skip
        assert made.status_code == 201, made.text
        self.made = made.json()

    def push(self, word: str) -> str:
        sent = archive({"src/There.py": CODE.format(word), "algorithmia.conf": '{"algoname": "There"}'})
        commit: str = self.bob("PUT", "algorithms/bob/There/source", data=sent).json()["id"]
        return commit

    def event(self, body: Any, **headers: str) -> int:
        status: int = self.alice(
            "POST", "algorithms/alice/Here/scm/webhook", data=json.dumps(body), headers=headers
        ).status_code
        return status


@pytest.fixture
def elsewhere(platform: Platform, address: str, account: Callable[[str], Any]) -> Elsewhere:
    return Elsewhere(platform, address, account)


def test_sources_are_fetched_from_another_host(elsewhere: Elsewhere) -> None:
    source = elsewhere.made["source"]
    assert (source["scm"]["id"], source["repository_owner"], source["repository_name"]) == (
        elsewhere.scm["id"],
        "bob",
        "There",
    )
    alice = elsewhere.alice
    built = alice("POST", "algorithms/alice/Here/compile", json={}).json()
    assert built["compilation"]["successful"], built
    assert alice.run(f"alice/Here/{built['build']['commit_sha']}").json()["result"] == "first x"
    commit = elsewhere.push("second")
    assert alice("POST", "algorithms/alice/Here/compile", json={}).json()["build"]["commit_sha"] == commit
    assert alice("GET", "algorithms/alice/Here/log").json() == elsewhere.bob("GET", "algorithms/bob/There/log").json()
    assert alice("GET", "algorithms/alice/Here/scm/status").json()["scm_connection_status"] == "active"
    refused = alice("PUT", "algorithms/alice/Here/source", data=archive({"src/Here.py": ""}))
    assert (refused.status_code, refused.json()["error"]["code"]) == (400, 4011)


def test_a_push_there_is_built_here(elsewhere: Elsewhere) -> None:
    secret = elsewhere.alice("GET", "algorithms/alice/Here/scm/status").json()["repository_webhook_secret"]
    commit = elsewhere.push("pushed")
    body = {"ref": "refs/heads/master", "after": commit}

    def signed(kind: Any, key: str = secret) -> str:
        return hmac.new(key.encode(), json.dumps(body).encode(), kind).hexdigest()

    for wrong in (
        {"X-GitHub-Event": "push"},
        {"X-GitHub-Event": "push", "X-Hub-Signature-256": f"sha256={signed(hashlib.sha256, 'other')}"},
        {"X-Gitlab-Event": "Push Hook", "X-Gitlab-Token": "other"},
    ):
        assert elsewhere.event(body, **wrong) == 400
    assert elsewhere.event(body, **{"X-GitHub-Event": "ping", "X-Hub-Signature": f"sha1={signed(hashlib.sha1)}"}) == 202
    assert elsewhere.alice("GET", "algorithms/alice/Here/builds").json()["results"] == []
    assert (
        elsewhere.event(body, **{"X-GitHub-Event": "push", "X-Hub-Signature-256": f"sha256={signed(hashlib.sha256)}"})
        == 204
    )
    elsewhere.platform.wait_for_background()
    (build,) = elsewhere.alice("GET", "algorithms/alice/Here/builds").json()["results"]
    assert (build["commit_sha"], build["status"]) == (commit, "succeeded")
    assert elsewhere.event(body, **{"X-Gitlab-Event": "Push Hook", "X-Gitlab-Token": secret}) == 204
    elsewhere.platform.wait_for_background()
    assert len(elsewhere.alice("GET", "algorithms/alice/Here/builds").json()["results"]) == 1, "it runs already"


def test_credentials_belong_to_the_account_and_are_not_shown(elsewhere: Elsewhere) -> None:
    path = f"scms/{elsewhere.scm['id']}/token"
    assert elsewhere.alice("GET", f"{path}/status").json() == {
        "authorization_status": "authorized",
        "scm_username": "bob",
    }
    assert elsewhere.bob("GET", f"{path}/status").json() == {"authorization_status": "unauthorized"}
    assert elsewhere.alice("POST", f"{path}/connect", json={"secretToken": "wrong"}).status_code == 200
    assert (
        elsewhere.alice("GET", "algorithms/alice/Here/scm/status").json()["scm_connection_status"]
        == "provider_internal_error"
    )
    failed = elsewhere.alice("POST", "algorithms/alice/Here/compile", json={})
    assert (failed.status_code, failed.json()["error"]["code"]) == (400, 4081)
    assert elsewhere.bob("POST", f"{path}/connect", json={"username": "x"}).json()["error"]["code"] == 4082


def test_a_host_that_is_used_is_not_removed(elsewhere: Elsewhere) -> None:
    def admin(method: str, path: str = "", **body: Any) -> tuple[int, int]:
        answer = elsewhere.admin(method, f"admin/scms{path}?sudo=true", json=body or None)
        return answer.status_code, answer.json()["error"]["code"] if answer.status_code >= 400 else 0

    path = f"/{elsewhere.scm['id']}"
    assert admin("POST", f"{path}/default") == (204, 0)
    listed = elsewhere.alice("GET", "scms").json()["results"]
    assert [(scm["id"], scm["default"]) for scm in listed] == [("internal", False), (elsewhere.scm["id"], True)]
    assert admin("DELETE", path) == (400, 4041)
    assert admin("POST", "/internal/default") == (204, 0)
    assert admin("DELETE", path) == (400, 4043)
    assert elsewhere.alice("DELETE", "algorithms/alice/Here").status_code == 204
    assert admin("DELETE", path) == (400, 4040)
    assert admin("PATCH", path, enabled=False) == (200, 0)
    again = {"name": "Two", "details": {"label": "x"}, "settings": SETTINGS, "source": {"scm": elsewhere.scm["id"]}}
    assert elsewhere.alice("POST", "algorithms/alice", json=again).json()["error"]["code"] == 4042
    assert admin("DELETE", path) == (204, 0)
    assert admin("DELETE", path) == (404, 4009)
    assert admin("PATCH", "/internal", enabled=False) == (400, 4045)


@pytest.mark.parametrize(
    ("changes", "code"),
    [
        ({"urls": {"web": "ssh://host/x", "api": "", "ssh": ""}}, 4020),
        ({"urls": {"web": "http://user:password@host/x", "api": "", "ssh": ""}}, 4020),
        ({"urls": {"web": "file:///etc", "api": "", "ssh": ""}}, 4020),
        ({"urls": {"web": "http://host/x"}}, 4020),
        ({"provider": "internal"}, 4020),
        ({"provider": "cvs"}, 4020),
        ({"id": "internal"}, 4020),
        ({"id": "../x"}, 4020),
    ],
)
def test_what_is_no_source_host(embedded: Any, changes: dict[str, Any], code: int) -> None:
    body = {"provider": "gitlab", "urls": {"web": "http://host/git", "api": "", "ssh": ""}, **changes}
    answer = embedded("POST", "admin/scms", json=body)
    assert (answer.status_code, answer.json()["error"]["code"]) == (400, code)


@pytest.mark.parametrize("repository", ["..", "a/../b", "a b", "-x/%2e", "x/?y"])
def test_repositories_are_below_their_host(embedded: Any, repository: str) -> None:
    body = {"provider": "gitlab", "urls": {"web": "http://host/git", "api": "", "ssh": ""}}
    scm = embedded("POST", "admin/scms", json=body).json()
    source = {"scm": scm["id"], "repository_owner": "jane", "existing_repository_name": repository}
    made = {"name": "New", "details": {"label": "x"}, "settings": SETTINGS, "source": source}
    answer = embedded("POST", "algorithms/jane", json=made)
    assert (answer.status_code, answer.json()["error"]["code"]) == (400, 4082)
