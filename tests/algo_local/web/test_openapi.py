"""The OpenAPI document that the table is made into."""

from __future__ import annotations

import importlib.util
import re
from pathlib import Path

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


def test_the_page_of_the_api_is_what_the_table_says() -> None:
    path = Path(__file__).parents[3] / "docs" / "render.py"
    found = importlib.util.spec_from_file_location("algo_docs_render", path)
    assert found
    assert found.loader
    render = importlib.util.module_from_spec(found)
    found.loader.exec_module(render)
    assert render.API_PAGE.read_text("utf-8") == render.api_page(), "run: make docs"


def test_every_section_that_the_code_cites_is_on_the_page() -> None:
    root = Path(__file__).parents[3]
    sections = set(re.findall(r"^#+ (\d+(?:\.\d+)?)\.? ", (root / "docs" / "platform-api.md").read_text("utf-8"), re.M))
    cited: set[str] = set()
    for directory in ("algo_core", "plugins", "tests", "examples"):
        for file in (root / directory).rglob("*.py"):
            for text in re.findall(
                r"API (?:sections? )?((?:\d+(?:\.\d+)?(?:,? (?:and |to )?)?)+)", file.read_text("utf-8")
            ):
                cited |= set(re.findall(r"\d+(?:\.\d+)?", text))
    assert cited - sections - {"1.0", "1.1"} == set()
