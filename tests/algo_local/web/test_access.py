"""Who may do what: every operation of the table, as every kind of caller. A new row is covered as it is added."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from support.world import RELATIONS, World, every_operation, names_in, rank

from algo_local.web.operations import OPERATIONS, Operation, Permission, Who
from algo_local.web.routing import find

WRONG_METHODS = ("TRACE", "PURGE")
DATA = {"path*", "location*"}
"""Data has owners as well, whom the table does not know: `test_web_permissions.py` tests their rights."""

PEOPLE = [caller for caller in RELATIONS if caller not in {"nobody", "stranger"}]
OF_ALGORITHMS = [
    found
    for found in OPERATIONS
    if {"algorithm", "reference*"} & set(names_in(found)) and found.access.who > Who.ANYONE
]
DENIED = "Caller is not authorized to perform the operation"


def only(operations: list[Operation]) -> Any:
    return pytest.mark.parametrize("operation", operations, ids=lambda found: f"{found.method}-{found.id}")


@every_operation()
def test_without_a_valid_key_only_what_is_public_is_done(world: World, operation: Operation) -> None:
    for caller in ("nobody", "stranger"):
        answer = world.ask(operation.method, world.path(operation), caller)
        if operation.access.who == Who.ANYONE:
            assert answer.status not in {401, 403}, caller
        else:
            assert answer.status == 401, caller
            assert answer.headers["WWW-Authenticate"]
            if operation.method != "HEAD" and caller == "nobody":
                assert answer.error == {"code": 2002, "message": "authorization required"}


@every_operation()
def test_nobody_does_what_is_above_them(world_for: Callable[[Operation], World], operation: Operation) -> None:
    """And nobody is refused by the table what is not."""
    for caller in PEOPLE:
        world = world_for(operation)
        answer = world.ask(operation.method, world.path(operation), caller)
        if rank(caller, operation) < operation.access.who:
            assert answer.status == 403, caller
            assert answer.error == {"code": 2001, "message": DENIED}
        elif not DATA & set(names_in(operation)):
            assert answer.status not in {401, 405}, caller
            if answer.status == 403:
                assert answer.error["message"] != DENIED or "member" in names_in(operation), caller


@only(OF_ALGORITHMS)
def test_what_others_keep_private_is_like_what_does_not_exist(world: World, operation: Operation) -> None:
    for caller, owner, private in (("bob", "alice", "Secret"), ("bob", "acme", "Own"), ("mia", "alice", "Secret")):
        for method in (operation.method, *WRONG_METHODS):
            hidden, missing = (
                world.ask(method, world.path(operation, **{"algorithm": name, "reference*": name}), caller)
                for name in (f"{owner}/{private}", f"{owner}/Nobody")
            )
            assert hidden.status == missing.status == 404, (caller, method)
            assert hidden.body.replace(private.encode(), b"Nobody") == missing.body


@only(OF_ALGORITHMS)
@pytest.mark.parametrize(("caller", "name"), [("mia", "acme/Own"), ("mia", "acme/Team"), ("alice", "acme/Own")])
def test_members_have_the_algorithms_of_their_organization(
    world_for: Callable[[Operation], World], operation: Operation, caller: str, name: str
) -> None:
    world = world_for(operation)
    path = world.path(operation, **{"algorithm": name, "reference*": f"{name}/1.0.0"})
    answer = world.ask(operation.method, path, caller)
    if answer.status == 404:
        assert answer.error != "No such algorithm"
    elif answer.status == 403:
        assert answer.error["message"] != DENIED
    assert answer.status not in {401, 405}


@every_operation()
def test_a_method_that_a_path_has_not_is_refused_after_the_caller(world: World, operation: Operation) -> None:
    path = world.path(operation)
    route = find(f"/v1/{path}")
    assert route
    for method in WRONG_METHODS:
        for caller in ("nobody", *PEOPLE):
            answer = world.ask(method, path, caller)
            if rank(caller, operation) < route.least.who:
                assert answer.status == (401 if caller == "nobody" else 403), (method, caller)
            elif "requestId" in names_in(operation) and caller != "alice":
                assert answer.status == 404, "what others call does not exist"
            else:
                assert answer.status == 405, (method, caller)
                allowed = answer.headers["Allow"].split(", ")
                assert operation.method in allowed
                assert ("HEAD" in allowed) == bool({"GET", "HEAD"} & set(allowed))


@every_operation()
def test_where_get_is_possible_head_is_as_well(world: World, operation: Operation) -> None:
    if operation.method == "GET":
        caller = "administrator" if operation.access.who == Who.ADMINISTRATOR else "alice"
        shown, headed = (world.ask(method, world.path(operation), caller) for method in ("GET", "HEAD"))
        assert headed.status == shown.status
        assert headed.body == b""
        assert headed.headers.get("X-Data-Type") == shown.headers.get("X-Data-Type")


KEYS = {
    "reader": {Permission.READ_DATA},
    "writer": {Permission.READ_DATA, Permission.WRITE_DATA},
    "one algorithm": {Permission.CALL},
    "page": {Permission.CALL_FROM_PAGE},
    "manager": {Permission.MANAGE},
}


@every_operation()
def test_a_key_does_what_it_was_made_for_and_nothing_else(
    world_for: Callable[[Operation], World], operation: Operation
) -> None:
    if operation.access.who > Who.OWNER:
        return
    for key, permissions in KEYS.items():
        world = world_for(operation)
        answer = world.ask(operation.method, world.path(operation), key, origin="https://page.test")
        needed = operation.access.permission
        if needed in {None, *permissions} or operation.access.who == Who.ANYONE:
            assert answer.status != 401, key
            if answer.status == 403:
                assert "its key" not in answer.error["message"], key
        else:
            assert answer.status == 403, key
            if operation.method != "HEAD":
                assert answer.error == {"code": 2001, "message": f"{DENIED}: its key may not {needed.value} here"}


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


def test_its_owner_and_everybody_with_a_public_one_have_their_spaces(fresh: Callable[[], World]) -> None:
    world = fresh()
    for caller, path in [
        ("alice", "alice/Secret"), ("alice", "alice/Algo"), ("bob", "alice/Algo"), ("mia", "acme/Own"),
    ]:  # fmt: skip
        path = f"data/.algo/{path}/perm/f"
        assert world.ask("PUT", path, caller, b"mine").status == 200
        assert world.ask("GET", path, caller).body == b"mine"
    assert world.ask("GET", "data/.algo/alice", "bob").json["folders"] == [{"name": "Algo"}]


def test_pages_may_read_refusals_as_well(world: World) -> None:
    for method, caller in [("OPTIONS", "nobody"), ("POST", "nobody"), ("POST", "alice"), ("GET", "alice")]:
        assert world.ask(method, "web/algo/alice/Algo", caller).headers["Access-Control-Allow-Origin"] == "*"


def test_the_table_is_sound() -> None:
    from importlib import import_module

    from algo_local.web.features import FEATURES
    from algo_local.web.schemas.bodies import CONTENT, SCHEMAS
    from algo_local.web.schemas.parameters import PATH, QUERY

    seen: set[tuple[str, str]] = set()
    identifiers: set[str] = set()
    for operation in OPERATIONS:
        assert (operation.method, operation.path) not in seen
        assert operation.id not in identifiers
        seen.add((operation.method, operation.path))
        identifiers.add(operation.id)
        module, _, function = operation.handler.partition(":")
        assert getattr(import_module(f"algo_local.web.handlers.{module}"), function).__doc__, operation.handler
        assert {operation.request.rstrip("?"), operation.response} <= {"", *SCHEMAS, *CONTENT}
        assert set(operation.query.split()) <= set(QUERY)
        assert set(names_in(operation)) <= {*PATH, "algorithm", "reference*", "path*", "location*"}
        assert operation.feature in {"", *FEATURES}
    assert {operation.feature for operation in OPERATIONS} == {"", *FEATURES}
    assert not [name for name in SCHEMAS if f'"{name}"' not in _sources()]


def _sources() -> str:
    from pathlib import Path

    import algo_local.web

    here = Path(algo_local.web.__path__[0])
    return "".join(
        (here / name).read_text().replace(f'    "{name}": ', "")
        for name in ("openapi.py", "operations.py", *(f"schemas/{path.name}" for path in here.glob("schemas/*.py")))
    )
