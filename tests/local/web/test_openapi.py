"""The OpenAPI document that the table is made into."""

from __future__ import annotations

import re
from typing import Any

import jsonschema
import pytest
from openapi_spec_validator import validate
from support.world import World, every_operation

from algo_local.web.openapi import document, documented_paths
from algo_local.web.operations import OPERATIONS, Operation


@pytest.mark.parametrize("path", ["openapi.json", "openapispec"])
def test_it_is_served_to_everybody_and_valid(world: World, path: str) -> None:
    served = world.ask("GET", path, "nobody").json
    validate(served)
    assert served == document()


def test_it_has_every_operation_and_nothing_else() -> None:
    documented = {(method.upper(), _anonymous(path)) for path, found in document()["paths"].items() for method in found}
    assert documented == {
        (operation.method, _anonymous(path)) for operation in OPERATIONS for path in documented_paths(operation)
    }


@every_operation()
def test_answers_are_as_documented(world: World, operation: Operation) -> None:
    """Of whatever status: the owner's, a stranger's, and one that names what does not exist."""
    for caller, values in [("alice", {}), ("nobody", {}), ("bob", {"algorithm": "alice/Nobody"})]:
        answer = world.ask(operation.method, world.path(operation, **values), caller)
        if answer.headers.get("Content-Type") == "application/json" and answer.body:
            check(operation, answer.status, answer.json)


def check(operation: Operation, status: int, body: Any) -> None:
    """See that a JSON body has the shape that is documented for it."""
    path = next(path for path in document()["paths"] if _anonymous(path) == _anonymous(documented_paths(operation)[0]))
    responses = document()["paths"][path][operation.method.lower()]["responses"]
    content = responses.get(str(status), responses["default"])["content"]
    schema = {**content["application/json"]["schema"], "components": document()["components"]}
    jsonschema.validate(body, schema, format_checker=jsonschema.FormatChecker())


def _anonymous(path: str) -> str:
    return re.sub(r"{\w+}", "{}", path)
