"""Who may do what: every operation of the table, as every kind of caller. A new row is covered as it is added."""

from __future__ import annotations

import json
from typing import Any

import pytest
from support.world import World, every_operation

from algo_local.web.operations import OPERATIONS, Operation, Who
from algo_local.web.routing import find

WRONG_METHODS = ("TRACE", "PURGE")
REFUSED = {401, 403}


def named(operation: Operation, name: str) -> bool:
    return f"{{{name}}}" in operation.path


def names_an_algorithm(operation: Operation) -> bool:
    return named(operation, "algorithm") or named(operation, "reference*")


OF_ALGORITHMS = [found for found in OPERATIONS if names_an_algorithm(found) and found.access.who > Who.ANYONE]


@every_operation()
@pytest.mark.parametrize("caller", ["nobody", "stranger"])
def test_without_a_valid_key_only_what_is_public_is_done(world: World, operation: Operation, caller: str) -> None:
    answer = world.ask(operation.method, world.path(operation), caller)
    if operation.access.who == Who.ANYONE:
        assert answer.status not in REFUSED
    else:
        assert answer.status == 401
        assert answer.headers["WWW-Authenticate"]
        if operation.method != "HEAD" and caller == "nobody":
            assert answer.error == {"code": 2002, "message": "authorization required"}


@every_operation()
def test_the_owner_is_never_refused(world: World, operation: Operation) -> None:
    if operation.access.who <= Who.OWNER:
        assert world.ask(operation.method, world.path(operation), "alice").status not in {*REFUSED, 405}


@every_operation()
def test_the_administrator_is_never_refused_what_belongs_to_accounts(world: World, operation: Operation) -> None:
    if not (named(operation, "path*") or named(operation, "location*")):
        answer = world.ask(operation.method, world.path(operation) + "?sudo=true", "administrator")
        assert answer.status not in {*REFUSED, 405}


@every_operation()
def test_others_may_do_what_viewers_may(world: World, operation: Operation) -> None:
    answer = world.ask(operation.method, world.path(operation), "bob")
    if operation.access.who > Who.VIEWER:
        assert answer.status == 403
        assert answer.error["code"] == 2001
    elif not (named(operation, "path*") or named(operation, "location*")):
        assert answer.status not in {*REFUSED, 405}


@pytest.mark.parametrize("operation", OF_ALGORITHMS, ids=lambda found: f"{found.method}-{found.id}")
def test_what_others_keep_private_is_like_what_does_not_exist(world: World, operation: Operation) -> None:
    for method in (operation.method, *WRONG_METHODS):
        private, missing = (
            world.ask(method, world.path(operation, **{"algorithm": name, "reference*": name}), "bob")
            for name in ("alice/Secret", "alice/Nobody")
        )
        assert private.status == missing.status == 404
        assert private.body.lower().replace(b"secret", b"nobody") == missing.body.lower()


@every_operation()
@pytest.mark.parametrize("method", WRONG_METHODS)
def test_a_method_that_a_path_has_not_is_refused_after_the_caller(
    world: World, operation: Operation, method: str
) -> None:
    path = world.path(operation)
    route = find(f"/v1/{path}")
    assert route
    assert world.ask(method, path, "alice").status == 405 if route.least <= Who.OWNER else 403
    for caller, level in [("nobody", Who.ANYONE), ("bob", Who.VIEWER), ("alice", Who.OWNER)]:
        answer = world.ask(method, path, caller)
        if level < route.least:
            assert answer.status == (401 if caller == "nobody" else 403)
        else:
            assert answer.status == 405
            allowed = answer.headers["Allow"].split(", ")
            assert operation.method in allowed
            assert ("HEAD" in allowed) == bool({"GET", "HEAD"} & set(allowed))


@every_operation()
def test_where_get_is_possible_head_is_as_well(world: World, operation: Operation) -> None:
    if operation.method == "GET":
        shown, headed = (world.ask(method, world.path(operation), "alice") for method in ("GET", "HEAD"))
        assert headed.status == shown.status
        assert headed.body == b""
        assert headed.headers.get("X-Data-Type") == shown.headers.get("X-Data-Type")


SPACES = ["", "/temp", "/temp/f", "/perm", "/perm/f"]


@pytest.mark.parametrize("space", SPACES)
@pytest.mark.parametrize("method", ["GET", "HEAD", "PUT", "POST", "PATCH", "DELETE"])
def test_hosted_data_of_a_private_algorithm_does_not_exist_for_others(world: World, method: str, space: str) -> None:
    private, missing = (
        world.ask(method, f"data/.algo/alice/{name}{space}", "bob", {"name": "x", "acl": {"read": []}})
        for name in ("Secret", "Nobody")
    )
    assert private.status == missing.status == 404
    assert private.body.replace(b"Secret", b"Nobody") == missing.body
    assert not list(world.platform.root.glob("algorithm-data/alice/Secret/*/bob/*"))


def test_its_owner_and_everybody_with_a_public_one_have_their_spaces(world: World) -> None:
    for caller, name in [("alice", "Secret"), ("alice", "Algo"), ("bob", "Algo")]:
        path = f"data/.algo/alice/{name}/perm/f"
        assert world.ask("PUT", path, caller, b"mine").status == 200
        assert world.ask("GET", path, caller).body == b"mine"
    assert world.ask("GET", "data/.algo/alice", "bob").json["folders"] == [{"name": "Algo"}]


def test_pages_may_read_refusals_as_well(world: World) -> None:
    for method, caller in [("OPTIONS", "nobody"), ("POST", "nobody"), ("POST", "alice"), ("GET", "alice")]:
        assert world.ask(method, "web/algo/alice/Algo", caller).headers["Access-Control-Allow-Origin"] == "*"


def test_the_table_is_sound() -> None:
    from importlib import import_module

    seen: set[tuple[str, str]] = set()
    identifiers: set[str] = set()
    for operation in OPERATIONS:
        assert (operation.method, operation.path) not in seen
        assert operation.id not in identifiers
        seen.add((operation.method, operation.path))
        identifiers.add(operation.id)
        module, _, function = operation.handler.partition(":")
        handler: Any = getattr(import_module(f"algo_local.web.handlers.{module}"), function)
        assert handler.__doc__, operation.handler
        assert json.dumps(operation.summary)
