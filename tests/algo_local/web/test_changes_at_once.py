"""Rows that are kept between requests are never older than the request: whoever changes them, in whichever process."""

from __future__ import annotations

import io
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from algo_local.algorithms import lifecycle
from algo_local.callers import Caller
from algo_local.metadata.sqlite import SqliteDatabase
from algo_local.metadata.store import EVERYBODY, OWN_ALGORITHMS, Metadata
from algo_local.opening import open_platform
from algo_local.platform import Platform
from algo_local.state import State
from algo_local.web.app import Application
from algo_local.web.http import Request

CODE = "def apply(input):\n    return input\n"
FILE = "/v1/data/ann/c/f"


@pytest.fixture
def another_process(root: Path) -> Iterator[Platform]:
    """The platform of the same directory, as another process has it: with connections of its own."""
    another_process = open_platform(State.of())
    yield another_process
    another_process.close()


def forget_key(platform: Platform, secret: str) -> None:
    platform.keys.revoke(secret)


def rotate_key(platform: Platform, secret: str) -> None:
    platform.keys.rotate(platform.keys.of("ann")[0])


def expire_key(platform: Platform, secret: str) -> None:
    (key,) = platform.keys.of("ann")
    platform.keys.edit(key, label="", permissions=key.permissions, expires_at=1.0)


def remove_account(platform: Platform, secret: str) -> None:
    platform.accounts.forget(platform.accounts.get("ann"))


@pytest.mark.parametrize("change", [forget_key, rotate_key, expire_key, remove_account])
def test_a_key_is_refused_at_the_next_request(
    platform: Platform, another_process: Platform, change: Callable[[Platform, str], None]
) -> None:
    secret = platform.keys.create(platform.metadata.ensure_account("ann"), "test")[1]
    assert status(platform, FILE, secret) == status(platform, FILE, secret) == 404
    change(another_process, secret)
    assert status(platform, FILE, secret) == 401


def test_a_secret_that_was_unknown_is_known_once_it_is_a_key(platform: Platform, another_process: Platform) -> None:
    secret = "sim" + "x" * 25
    assert status(platform, FILE, secret) == 401
    another_process.keys.create(another_process.metadata.ensure_account("ann"), "test", key=secret)
    assert status(platform, FILE, secret) == 404


def test_roles_rights_and_permissions_are_those_of_now(platform: Platform, another_process: Platform) -> None:
    for name in ("ann", "bob"):
        platform.metadata.ensure_account(name)
    platform.hosted.create(Caller("ann"), [".my"], "c", OWN_ALGORITHMS)
    platform.hosted.put(Caller("ann"), ["ann", "c", "f"], io.BytesIO(b"x").read)
    secret = platform.keys.create("bob", "test")[1]
    assert status(platform, FILE, secret) == 403
    another_process.metadata.set_acl("ann", "c", EVERYBODY)
    assert status(platform, FILE, secret) == 200
    another_process.metadata.set_acl("ann", "c", ())
    assert status(platform, FILE, secret) == 403
    assert status(platform, "/v1/users", secret) == 403
    another_process.accounts.set_administrator("bob")
    assert status(platform, "/v1/users?sudo=true", secret) == 200
    another_process.accounts.set_administrator("bob", False)
    assert status(platform, "/v1/users?sudo=true", secret) == 403


def test_versions_are_those_of_now(platform: Platform, another_process: Platform, publish: Callable[..., None]) -> None:
    secret = platform.keys.create(platform.metadata.ensure_account("bob"), "test")[1]
    page = "/v1/algorithms/ann/Echo/versions"
    assert status(platform, page, secret) == 404
    publish("ann/Echo", CODE, public=False)
    assert status(platform, page, secret) == 404
    publish("ann/Echo", CODE, version="1.0.1")
    algorithm = platform.registry.algorithm("ann", "Echo")
    assert algorithm
    assert status(platform, page, secret) == 200
    assert [version.text for version in platform.registry.versions(algorithm)] == ["1.0.1", "1.0.0"]
    lifecycle.unpublish(another_process.registry, another_process.registry.versions(algorithm)[0])
    assert status(platform, page, secret) == 404
    assert [version.text for version in platform.registry.versions(algorithm)] == ["1.0.0"]


def test_a_media_type_is_told_from_the_first_one_on(platform: Platform, another_process: Platform) -> None:
    metadata: Metadata = platform.metadata
    assert metadata.media_type("data/ann/c/f", "1") is None
    another_process.metadata.remember_media_type("data/ann/c/f", "1", "text/x")
    assert metadata.media_type("data/ann/c/f", "1") == "text/x"
    assert metadata.media_type("data/ann/c/f", "2") is None
    assert metadata.media_type("data/ann/c0", "1") is None


def test_a_pinned_block_sees_one_state_and_others_do_not(tmp_path: Path) -> None:
    database = SqliteDatabase(tmp_path / "root" / "rows.sqlite3")
    metadata = Metadata(database)

    def accounts() -> list[str]:
        return database.remembered(("accounts",), metadata.accounts)

    assert accounts() == []
    with database.pinned():
        metadata.ensure_account("ann")
        assert accounts() == []
        with ThreadPoolExecutor(1) as others:
            assert others.submit(accounts).result() == ["ann"]
    assert accounts() == ["ann"]
    database.close()


def status(platform: Platform, target: str, secret: str) -> int:
    """The status of a GET on the served platform."""
    response = Application(platform).answer(Request("GET", target, {"authorization": f"Simple {secret}"}))
    if not isinstance(response.body, bytes):
        response.body.close()
    return response.status
