"""The OpenAPI document that the table is made into."""

from __future__ import annotations

import re

import pytest
from openapi_spec_validator import validate
from support.world import World

from algo_local.web.openapi import document, documented_paths
from algo_local.web.operations import OPERATIONS


@pytest.mark.parametrize("path", ["openapi.json", "openapispec"])
def test_it_is_served_to_everybody_and_valid(world: World, path: str) -> None:
    served = world.ask("GET", path, "nobody").json
    validate(served)
    assert served == document()


def test_it_has_every_operation_and_nothing_else() -> None:
    documented = {(method.upper(), anonymous(path)) for path, found in document()["paths"].items() for method in found}
    assert documented == {
        (operation.method, anonymous(path)) for operation in OPERATIONS for path in documented_paths(operation)
    }


def anonymous(path: str) -> str:
    return re.sub(r"{\w+}", "{}", path)
