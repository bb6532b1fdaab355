"""Who may do what on a served platform: credentials, ACLs, other people's algorithms (API sections 1.2, 4.3, 4.6)."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
import requests

READER = """
    import json, os, urllib.error, urllib.request

    def apply(uri):
        request = urllib.request.Request(os.environ["ALGORITHMIA_API"] + "/v1/data/" + uri)
        request.add_header("Authorization", "Simple " + os.environ["ALGORITHMIA_API_KEY"])
        try:
            return urllib.request.urlopen(request).read().decode()
        except urllib.error.HTTPError as error:
            return f"{error.code}"
"""

Account = Callable[[str], Any]


@pytest.mark.parametrize("form", ["{}", "Simple {}", "simple  {}", "Bearer {}", "BEARER {}"])
def test_every_form_of_a_key_is_taken(account: Account, form: str) -> None:
    alice = account("alice")
    key = alice.session.headers["Authorization"].split()[1]
    alice.session.headers["Authorization"] = form.format(key)
    assert alice("GET", "data/").json()["folders"][0] == {"name": "alice"}


@pytest.mark.parametrize("header", [None, "", "Simple", "Simple null", "null", "Bearer "])
def test_without_a_credential_nothing_but_templates_is_given(address: str, header: str | None) -> None:
    headers = {"Authorization": header} if header is not None else {}
    for method, path in [
        ("GET", "data/"),
        ("POST", "algo/demo/Hello"),
        ("GET", "algorithms/demo/Hello"),
        ("GET", "algorithm-environments/edge/languages"),
    ]:
        answer = requests.request(method, f"{address}/v1/{path}", headers=headers, timeout=60)
        assert answer.status_code == 401
        assert answer.json()["error"]["message"] == "authorization required"
    specification = "0057588b-b42c-4454-a391-87b90f854116"
    path = f"algorithm-environments/edge/environment-specifications/{specification}/template"
    assert requests.get(f"{address}/v1/{path}", headers=headers, timeout=60).content[:2] == b"\x1f\x8b"


@pytest.mark.parametrize(
    "header", ["Simple sim0000000000000000000000000", "Bearer a.b.c", "Basic eDp5", "ünï".encode()]
)
def test_unknown_credentials_are_refused_with_the_reason(address: str, header: Any) -> None:
    answer = requests.get(f"{address}/v1/data/", headers={"Authorization": header}, timeout=60)
    assert answer.status_code == 401
    assert answer.json()["error"]["code"] == 2002
    assert answer.json()["error"]["message"] != "authorization required"


def test_a_revoked_key_stops_working_at_once(account: Account, platform: Any) -> None:
    alice = account("alice")
    assert alice("GET", "data/").status_code == 200
    platform.keys.revoke(str(platform.keys.all()[0].id))
    assert alice("GET", "data/").status_code == 401


def test_a_known_key_selects_its_account_in_process_and_an_unknown_one_is_refused(embedded: Any, platform: Any) -> None:
    key = platform.keys.create(platform.metadata.ensure_account("alice"), "x")[1]
    answer = embedded("GET", "data/", headers={"Authorization": f"Simple {key}"})
    assert answer.json()["folders"][0] == {"name": "alice"}
    assert embedded("GET", "data/", headers={"Authorization": "Simple " + "sim" + "x" * 25}).status_code == 401


def test_acl_decides_who_reads_and_nobody_else_ever_writes(account: Account) -> None:
    alice, bob = account("alice"), account("bob")
    for name, acl in [("private", []), ("usual", ["algo://.my/*"]), ("public", ["user://*"])]:
        alice.mkdir(name, acl={"read": acl})
        alice.put(f".my/{name}/f", b"secret")
    for name, status in [("private", 403), ("usual", 403), ("public", 200)]:
        for method, path in [("GET", f"alice/{name}/f"), ("HEAD", f"alice/{name}/f"), ("GET", f"alice/{name}")]:
            assert bob(method, f"data/{path}").status_code == status, (method, path)
        assert bob.put(f"alice/{name}/f", b"overwritten").status_code == 403
        assert bob("DELETE", f"data/alice/{name}/f").status_code == 403
        assert bob("DELETE", f"data/alice/{name}?force=true").status_code == 403
        assert bob("PATCH", f"data/alice/{name}", json={"acl": {"read": []}}).status_code == 403
        assert alice("GET", f"data/.my/{name}/f").content == b"secret"
    assert bob("GET", "data/alice/private").json()["error"]["code"] == 2001
    assert bob("GET", "data/alice").json()["folders"] == [{"name": "public"}]
    assert bob("GET", "data/nobody").status_code == 404


def test_the_default_acl_opens_data_to_the_owners_algorithms_whoever_calls_them(
    account: Account, publish: Callable[..., None]
) -> None:
    alice, bob = account("alice"), account("bob")
    publish("alice/Reader", READER)
    publish("bob/Reader", READER)
    for name, acl in [("private", []), ("usual", None)]:
        alice.mkdir(name, acl=acl if acl is None else {"read": acl})
        alice.put(f".my/{name}/f", b"secret")

    def read(caller: Any, algorithm: str, uri: str) -> Any:
        return caller.run(algorithm, uri.encode()).json()["result"]

    assert read(bob, "alice/Reader", "alice/usual/f") == "secret"
    assert read(bob, "bob/Reader", "alice/usual/f") == "403"
    assert read(bob, "alice/Reader", "alice/private/f") == "403"
    assert read(alice, "bob/Reader", "alice/private/f") == "secret"  # it acts for alice
    assert read(alice, "bob/Reader", ".my/private/f") == "secret"


def test_spaces_of_an_algorithm_belong_to_who_ran_it(account: Account) -> None:
    alice, bob = account("alice"), account("bob")
    alice.put(".algo/demo/Hello/perm/f", b"of alice")
    assert bob("GET", "data/.algo/demo/Hello/perm/f").status_code == 404
    bob.put(".algo/demo/Hello/perm/f", b"of bob")
    assert alice("GET", "data/.algo/demo/Hello/perm/f").content == b"of alice"


def test_private_versions_output_and_traces_are_for_the_owner(account: Account, publish: Callable[..., None]) -> None:
    code = """
        def apply(input):
            print("thinking")
            if input == "fail":
                raise ValueError("no such luck")
            return "{}"
    """
    publish("alice/Algo", code.replace("{}", "public"), "1.0.0")
    publish("alice/Algo", code.replace("{}", "private"), "1.1.0", public=False)
    publish("alice/Secret", code, "1.0.0", public=False)
    alice, bob = account("alice"), account("bob")
    for reference, mine, theirs in [
        ("alice/Algo", "public", "public"),
        ("alice/Algo/latest", "public", "public"),
        ("alice/Algo/1.*", "public", "public"),
        ("alice/Algo/1.0.0", "public", "public"),
        ("alice/Algo/1.1.0", "private", None),
        ("alice/Algo/latestPrivate", "private", None),
        ("alice/Secret", None, None),
    ]:
        for caller, expected in [(alice, mine), (bob, theirs)]:
            answer = caller.run(reference)
            if expected is None:
                assert answer.status_code == 404
                assert answer.json()["error"]["message"] == f"algorithm algo://{reference} not found"
            else:
                assert answer.json()["result"] == expected
    commit = alice("GET", "algorithms/alice/Secret").json()["version_info"]["git_hash"]
    assert alice.run(f"alice/Secret/{commit}").status_code == 200
    assert bob.run(f"alice/Secret/{commit}").status_code == 404
    assert alice.run("alice/Algo?stdout=True").json()["metadata"]["stdout"] == "thinking\n"
    assert "stdout" not in bob.run("alice/Algo?stdout=true").json()["metadata"]
    assert "no such luck" in alice.run("alice/Algo", b"fail").json()["error"]["stacktrace"]
    assert list(bob.run("alice/Algo", b"fail").json()["error"]) == ["message", "error_type"]
    answer = bob("GET", "algorithms/alice/Secret")
    assert (answer.status_code, answer.text) == (404, '{"error":"No such algorithm"}')
    assert len(alice("GET", "algorithms/alice/Algo/versions").json()["results"]) == 2
    assert len(bob("GET", "algorithms/alice/Algo/versions").json()["results"]) == 1
    assert [a["algoname"] for a in bob("GET", "users/alice/algorithms").json()] == ["Algo"]
    assert bob("GET", "data/.algo/alice").json()["folders"] == [{"name": "Algo"}]


CALLER = """
    import json, os, urllib.error, urllib.request

    def apply(path):
        request = urllib.request.Request(os.environ["ALGORITHMIA_API"] + "/v1/" + path, data=b"x")
        request.add_header("Authorization", os.environ["ALGORITHMIA_API_KEY"])
        request.add_header("Content-Type", "text/plain")
        try:
            return urllib.request.urlopen(request).read().decode()
        except urllib.error.HTTPError as error:
            return str(error.code)
"""
SECRET = "def apply(x):\n    print('seen')\n    raise ValueError('why')"


def test_the_first_account_has_an_administrators_rights_only_where_it_asks(
    client: Any, publish: Callable[..., None]
) -> None:
    """In process and over HTTP alike; `client` is the account after which the platform is named."""
    publish("nlp/Secret", SECRET, public=False)
    publish("nlp/Open", SECRET)
    publish("quiet/Secret", SECRET, public=False)
    for path in ("algorithms/nlp/Secret", "data/.algo/quiet", "users/nlp/connectors"):
        assert client("GET", path).status_code in {403, 404}, path
        assert client("GET", f"{path}?sudo=true").status_code == 200, path
    assert client.run("nlp/Secret/1.0.0").status_code == 404
    ordinary = client.run("nlp/Open?stdout=true").json()
    assert "stdout" not in ordinary["metadata"]
    assert "stacktrace" not in ordinary["error"]
    for reference in ("nlp/Secret/1.0.0", "nlp/Open"):
        asked = client.run(f"{reference}?stdout=true&sudo=True").json()
        assert asked["metadata"]["stdout"] == "seen\n"
        assert "why" in asked["error"]["stacktrace"]


def test_nobody_else_becomes_administrator_by_asking(account: Account, publish: Callable[..., None]) -> None:
    publish("nlp/Secret", SECRET, public=False)
    bob = account("bob")
    for method, path in [
        ("POST", "algo/nlp/Secret/1.0.0"),
        ("POST", "algo/demo/Hello"),
        ("GET", "algorithms/nlp/Secret"),
        ("GET", "data/"),
    ]:
        answer = bob(method, f"{path}?sudo=true", headers={"Content-Type": "text/plain"})
        assert (answer.status_code, answer.json()["error"]["code"]) == (403, 2001), path


@pytest.mark.parametrize("asked", ["", "?sudo=true"])
def test_an_administrators_rights_end_where_the_algorithm_begins(
    client: Any, publish: Callable[..., None], asked: str
) -> None:
    """Whoever called it: what an algorithm asks of the platform, it asks as an ordinary account."""
    publish("nlp/Secret", SECRET, public=False)
    publish("eve/Caller", CALLER)
    for path, refusal in [("algo/nlp/Secret/1.0.0", "404"), ("algo/nlp/Secret/1.0.0?sudo=true", "403")]:
        assert client.run(f"eve/Caller{asked}", path.encode()).json()["result"] == refusal
    nested = client.run(f"eve/Caller{asked}", b"algo/eve/Caller").json()["result"]
    assert '"result":"404"' in nested  # the inner one posts to /v1/x


def test_with_sudo_the_algorithm_acts_for_its_owner(embedded: Any, platform: Any, publish: Callable[..., None]) -> None:
    publish("nlp/Reader", READER)
    key = platform.keys.create(platform.metadata.ensure_account("nlp"), "x")[1]
    for credential, content in [(key, b"of nlp"), ("", b"of jane")]:
        headers = {"Authorization": credential}
        embedded("POST", "data/.my", json={"name": "notes"}, headers=headers)
        embedded("PUT", "data/.my/notes/f", data=content, headers=headers)
    assert embedded.run("nlp/Reader", b".my/notes/f").json()["result"] == "of jane"
    assert embedded.run("nlp/Reader?sudo=true", b".my/notes/f").json()["result"] == "of nlp"
    assert embedded("GET", "data/.my/notes/f?sudo=true").content == b"of jane"
