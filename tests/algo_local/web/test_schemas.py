"""Inputs and outputs are held against the algorithm's schemas: from files, or from type hints."""

from __future__ import annotations

import json
import time
from collections.abc import Callable
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest

from algo_local.algorithms.build import BuildError
from algo_local.algorithms.schemas.algorithm_schemas import read_schemas
from algo_local.algorithms.schemas.json_schema import check_schema, mismatch
from algo_local.algorithms.schemas.type_hints import hinted

PERSON = {
    "type": "object",
    "properties": {
        "name": {"type": "string", "minLength": 1},
        "age": {"type": "integer", "minimum": 0},
        "colour": {"enum": ["red", "blue"]},
        "friends": {"type": "array", "items": {"$ref": "#"}, "maxItems": 2},
    },
    "required": ["name"],
    "additionalProperties": False,
}


@pytest.mark.parametrize(
    ("schema", "value", "told"),
    [
        (PERSON, {"name": "a"}, None),
        (PERSON, "x", "input must be an object, not a text"),
        (PERSON, {}, "input has no member 'name'"),
        (PERSON, {"nmae": "a"}, "input has no member 'name' (is 'nmae' meant?)"),
        (PERSON, {"name": "a", "colr": 1}, "input has an unknown member 'colr' (is 'colour' meant?)"),
        (PERSON, {"name": ""}, "input.name must have at least 1 characters, not 0"),
        (PERSON, {"name": "a", "age": "3"}, "input.age must be a whole number, not a text"),
        (PERSON, {"name": "a", "age": True}, "input.age must be a whole number, not true or false"),
        (PERSON, {"name": "a", "age": -1}, "input.age must be at least 0, not -1"),
        (PERSON, {"name": "a", "colour": "green"}, 'input.colour must be one of "red", "blue"'),
        (PERSON, {"name": "a", "friends": [{"name": "b"}, {"name": 1}]}, "input.friends[1].name must be a text, not a whole number"),
        (PERSON, {"name": "a", "friends": [{"name": "b"}] * 3}, "input.friends must have at most 2 entries, not 3"),
        ({"type": ["string", "null"]}, 1, "input must be a text or null, not a whole number"),
        ({"anyOf": [{"type": "string"}, {"type": "array"}]}, 1, "input must be a text or a list, not a whole number"),
        ({"anyOf": [{"type": "null"}, PERSON]}, {"name": 1}, "input.name must be a text, not a whole number"),
        ({"oneOf": [{"type": "integer"}, {"type": "number"}]}, 1, "input fits more than one of its alternatives"),
        ({"allOf": [{"minimum": 1}, {"maximum": 2}]}, 3, "input must be at most 2, not 3"),
        ({"not": {"type": "null"}}, None, "input is not allowed"),
        ({"additionalProperties": {"type": "number"}}, {"a b": "x"}, 'input["a b"] must be a number, not a text'),
        ({"prefixItems": [{"type": "string"}], "items": {"type": "integer"}}, ["a", 1, "b"], "input[2] must be a whole number, not a text"),
        ({"const": 1}, True, "input must be 1"),
        ({"type": "integer"}, 1.0, None),
        ({"type": "number"}, 1, None),
        ({"multipleOf": 2}, 3, "input must be a multiple of 2"),
        ({"multipleOf": 0.1}, 0.3, None),
        ({"multipleOf": 0.1}, 0.35, "input must be a multiple of 0.1"),
        ({"multipleOf": 0.1, "type": "number"}, float("inf"), None),
        ({"multipleOf": 0.5}, 10**400, None),
        (False, 1, "input is not expected"),
        (True, 1, None),
        ({"title": "anything", "format": "email"}, "x", None),
    ],
)  # fmt: skip
def test_a_value_that_does_not_fit_is_told_by_its_place(schema: Any, value: Any, told: str | None) -> None:
    check_schema(schema, "input.schema.json")
    found = mismatch(schema, value)
    assert (found.told("input") if found else None) == told


@pytest.mark.parametrize(
    ("schema", "words"),
    [
        ([], "must be an object"),
        ({"type": "text"}, "'type' cannot be"),
        ({"type": []}, "'type' cannot be"),
        ({"propertees": {}}, "Did you mean 'properties'"),
        ({"pattern": "(a+)+$"}, "not supported"),
        ({"properties": {"a": {"items": {"minimum": "1"}}}}, "input.schema.json.properties.a.items: 'minimum'"),
        ({"$ref": "https://evil.test/schema.json"}, "leads nowhere"),
        ({"$ref": "#/$defs/none"}, "leads nowhere"),
        ({"$ref": 1}, "cannot be 1"),
        ({"anyOf": []}, "'anyOf' cannot be"),
        ({"required": "name"}, "'required' cannot be"),
        ({"multipleOf": 0}, "'multipleOf' cannot be"),
        ({"maxItems": -1}, "'maxItems' cannot be"),
    ],
)
def test_what_is_no_schema_is_refused(schema: Any, words: str) -> None:
    with pytest.raises(BuildError) as caught:
        check_schema(schema, "input.schema.json")
    assert words in f"{caught.value.message} {caught.value.hint}"


def test_no_schema_costs_more_than_a_bounded_time() -> None:
    names = [f"d{number}" for number in range(60)]
    bomb = {name: {"allOf": [{"$ref": f"#/$defs/{after}"}] * 2} for name, after in pairwise(names)}
    for schema in (
        {"$ref": "#/$defs/d0", "$defs": {**bomb, names[-1]: {"type": "string"}}},
        {"$ref": "#"},
        {"items": {"anyOf": [{"$ref": "#"}] * 50}},
    ):
        check_schema(schema, "input.schema.json")
        began = time.process_time()
        mismatch(schema, [[[[["x"] * 50] * 50] * 50] * 50])
        assert time.process_time() - began < 60, "a bound, not a figure"


CLASSES = """
from typing import *
class Base(TypedDict):
    id: int
class Point(Base, total=False):
    x: float
    label: Optional[str]
    tags: Required[List[str]]
class Plain:
    a: int
"""
POINT = {
    "type": "object",
    "properties": {
        "id": {"type": "integer"},
        "x": {"type": "number"},
        "label": {"type": ["string", "null"]},
        "tags": {"type": "array", "items": {"type": "string"}},
    },
    "required": ["id", "tags"],
}


@pytest.mark.parametrize(
    ("hint", "schema"),
    [
        ("str", {"type": "string"}),
        ("'str | None'", {"type": ["string", "null"]}),
        ("list[int]", {"type": "array", "items": {"type": "integer"}}),
        ("typing.Dict[str, List[float]]", {"type": "object", "additionalProperties": {"type": "array", "items": {"type": "number"}}}),
        ("Union[int, list[Any]]", {"type": ["integer", "array"]}),
        ("Union[int, list[str]]", {"anyOf": [{"type": "integer"}, {"type": "array", "items": {"type": "string"}}]}),
        ("Literal['a', 1]", {"enum": ["a", 1]}),
        ("Annotated[int, 'x']", {"type": "integer"}),
        ("Point", POINT),
        ("list[Point]", {"type": "array", "items": POINT}),
        *((text, None) for text in ("Any", "bytes", "Plain", "numpy.ndarray", "Nowhere", "'no syntax ('", "Union[str, bytes]", "1 + 1")),
    ],
)  # fmt: skip
def test_type_hints_are_schemas_where_they_mean_json(hint: str, schema: Any) -> None:
    given, came = hinted(f"{CLASSES}\ndef apply(input: {hint}) -> {hint}:\n    pass\n")
    assert (given, came) == (schema, schema)
    if schema is not None:
        check_schema(schema, "hint")


@pytest.mark.parametrize(
    "source", ["def apply(input): pass", "def apply(): pass", "def (", "@x\ndef apply(a: int): pass", "", "apply = 1"]
)
def test_without_hints_anything_fits(source: str) -> None:
    assert hinted(source) == (None, None)


def test_files_come_before_hints(tmp_path: Path, write: Callable[..., Path]) -> None:
    tree = write("def apply(input: str) -> int:\n    return 1\n", **{"input.schema.json": '{"type": "object"}'})
    assert read_schemas(tree, "src.Hello").described() == {"input": {"type": "object"}, "output": {"type": "integer"}}
    (tree / "input.schema.json").write_text("{")
    with pytest.raises(BuildError, match="is not JSON"):
        read_schemas(tree, "src.Hello")


SUM = """
from typing import List, TypedDict
class Sums(TypedDict):
    numbers: List[float]
def apply(input: Sums) -> float:
    return sum(input["numbers"]) if len(input["numbers"]) != 3 else "three"
"""


def test_calls_are_held_against_the_schemas(embedded: Any, publish: Callable[..., None], monkeypatch: Any) -> None:
    monkeypatch.setenv("ALGO_LOCAL_SANDBOX", "off")
    publish("jane/Sum", SUM)

    def call(value: Any, content_type: str = "application/json") -> Any:
        return embedded.run("jane/Sum", json.dumps(value).encode(), content_type)

    assert call({"numbers": [1, 2.5]}).json()["result"] == 3.5
    refused = call({"numbers": [1, "2"]})
    assert refused.status_code == 400
    assert refused.json()["error"]["message"].endswith("input.numbers[1] must be a number, not a text")
    assert (
        call({"number": []}).json()["error"]["message"].endswith("input has no member 'numbers' (is 'number' meant?)")
    )
    assert call("x", "text/plain").status_code == 400
    spoiled = call({"numbers": [1, 2, 3]}).json()["error"]
    assert spoiled["message"] == "The algorithm's output does not fit its schema: output must be a number, not a text"
    assert spoiled["error_type"] == "SchemaError"
    shown = embedded("GET", "algorithms/jane/Sum").json()["schemas"]
    assert shown["output"] == {"type": "number"}
    assert shown["input"]["required"] == ["numbers"]


def test_a_wrong_schema_is_no_build(platform: Any, write: Callable[..., Path]) -> None:
    directory = write("def apply(input): return 1\n", **{"output.schema.json": '{"type": "text"}'})
    with pytest.raises(BuildError, match=r"output\.schema\.json: 'type' cannot be"):
        platform.builder.build(directory, "demo", "Hello")


def test_the_document_has_an_operation_for_each_algorithm_that_the_caller_may_see(
    embedded: Any, account: Callable[[str], Any], publish: Callable[..., None]
) -> None:
    publish("jane/Sum", SUM)
    publish("acme/Hidden", SUM, public=False)
    document = embedded("GET", "openapi.json").json()
    operation = document["paths"]["/v1/algo/jane/Sum"]["post"]
    assert operation["requestBody"]["content"]["application/json"]["schema"]["required"] == ["numbers"]
    result = operation["responses"]["200"]["content"]["application/json"]["schema"]
    assert result["properties"]["result"] == {"type": "number"}
    assert "/v1/algo/demo/Hello" in document["paths"]
    bob, acme = account("bob"), account("acme")
    assert {"/v1/algo/jane/Sum", "/v1/algo/acme/Hidden/1.0.0"} & set(bob("GET", "openapi.json").json()["paths"]) == {
        "/v1/algo/jane/Sum"
    }
    assert "/v1/algo/acme/Hidden/1.0.0" in acme("GET", "openapi.json").json()["paths"]
    anonymous = bob.session
    del anonymous.headers["Authorization"]
    assert "/v1/algo/jane/Sum" not in bob("GET", "openapi.json").json()["paths"]
    bob.session.headers["Authorization"] = "Simple simwrong"
    assert bob("GET", "openapi.json").status_code == 200
