"""A private algorithm is to a stranger, on every route, as one that does not exist."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from algo_local.web.operations import OPERATIONS

CODE = "def apply(input):\n    return input"
HIDDEN, ABSENT = "Secret", "Absent"  # of equal length, so that answers can be compared byte for byte

BELOW_DATA = [
    "",
    "/",
    "/temp",
    "/perm",
    "/temp/",
    "/temp/f",
    "/perm/f",
    "/other",
    "/temp/f/g",
    "?acl=true",
    "/temp?marker=YQ",
]
VERSIONS = ["", "/1.0.0", "/latest", "/latestPrivate", "/1.*", "/" + "a" * 40]


def described() -> set[str]:
    """The routes of the table that name an algorithm, with other parts made up."""
    naming = [operation.path for operation in OPERATIONS if re.search(r"\{(algorithm|reference\*)\}", operation.path)]
    assert naming
    made_up = {re.sub(r"(\w+)\|\w+", r"\1", path) for path in naming}
    named = {re.sub(r"\{(algorithm|reference\*)\}", "alice/{}", path) for path in made_up}
    return {re.sub(r"\{\w+\*?\}", "1.0.0", path) for path in named}


ROUTES = [
    *(f"{route}/alice/{{}}{below}" for route in ("data/.algo", "connector/data/.algo") for below in BELOW_DATA),
    *(f"data/data%3A%2F%2F.algo%2Falice%2F{{}}%2F{kind}%2Ff" for kind in ("temp", "perm")),
    *(f"{route}/alice/{{}}{version}" for route in ("algo", "web/algo") for version in VERSIONS),
    *sorted(described()),
    "algorithms/alice/{}/other",
]
METHODS = ["GET", "HEAD", "PUT", "POST", "PATCH", "DELETE"]
VARIES = re.compile(rb"req-[0-9a-f-]{36}")


@pytest.fixture
def stranger(account: Callable[[str], Any], publish: Callable[..., None]) -> Any:
    """Somebody else than alice, who has an algorithm of each kind."""
    account("alice")
    publish(f"alice/{HIDDEN}", CODE, public=False)
    publish("alice/Open", CODE)
    publish("alice/Open", CODE, "1.1.0", public=False)
    return account("bob")


def answer(client: Any, method: str, path: str, name: str) -> tuple[int, bytes, dict[str, str]]:
    response = client(method, path.format(name), data=b"x", headers={"Content-Type": "text/plain"})
    headers = {key: value.replace(name, "*") for key, value in response.headers.items() if key != "Date"}
    return response.status_code, VARIES.sub(b"", response.content.replace(name.encode(), b"*")), headers


@pytest.mark.parametrize("path", ROUTES)
def test_no_route_tells_a_private_algorithm_from_none(stranger: Any, path: str) -> None:
    for method in METHODS:
        assert answer(stranger, method, path, HIDDEN) == answer(stranger, method, path, ABSENT), method


def test_a_private_version_is_like_none(stranger: Any) -> None:
    for path in ("algo/alice/Open/{}", "algorithms/alice/Open/versions/{}"):
        assert answer(stranger, "POST", path, "1.1.0") == answer(stranger, "POST", path, "1.2.0")
        assert answer(stranger, "GET", path, "1.1.0") == answer(stranger, "GET", path, "1.2.0")


def test_nothing_is_stored_with_it_and_no_listing_shows_it(stranger: Any, platform: Any) -> None:
    assert stranger.put(f".algo/alice/{HIDDEN}/perm/f", b"x").status_code == 404
    assert not Path(platform.objects.algorithm_space("alice", HIDDEN, "perm", "bob")).exists()
    assert stranger("GET", "data/.algo/alice").json()["folders"] == [{"name": "Open"}]
    names = [found["name"] for found in stranger("GET", "users/alice/algorithms").json()]
    assert names == ["Open"]
    identifier = platform.registry.algorithm("alice", HIDDEN).id
    assert stranger("GET", f"algorithms/{identifier}").status_code == 404
    assert stranger.run(identifier).status_code == 404


def test_an_owner_of_private_algorithms_only_is_like_none(
    account: Callable[[str], Any], publish: Callable[..., None]
) -> None:
    publish(f"carol/{HIDDEN}", CODE, public=False)
    bob = account("bob")
    assert bob("GET", "data/.algo/carol").status_code == 404
    assert {"name": "carol"} not in bob("GET", "data/.algo").json()["folders"]


def test_the_owner_and_the_algorithm_itself_use_its_data(
    account: Callable[[str], Any], publish: Callable[..., None]
) -> None:
    publish(
        f"alice/{HIDDEN}",
        """
        import os, urllib.request

        def apply(input):
            for place in (".algo/temp/f", ".algo/alice/Secret/perm/f"):
                request = urllib.request.Request(os.environ["ALGORITHMIA_API"] + "/v1/data/" + place, b"x", method="PUT")
                request.add_header("Authorization", os.environ["ALGORITHMIA_API_KEY"])
                urllib.request.urlopen(request)
            return "stored"
        """,
        public=False,
    )
    alice = account("alice")
    assert alice.run(f"alice/{HIDDEN}/1.0.0").json().get("result") == "stored"
    for kind in ("temp", "perm"):
        assert alice("GET", f"data/.algo/alice/{HIDDEN}/{kind}/f").content == b"x"
