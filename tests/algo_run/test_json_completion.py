"""TAB in a JSON input: what the schema of the algorithm's input says can follow."""

from __future__ import annotations

import json
from typing import Any

import pytest
from support.stub import StubPlatform, json_answer

from algo_core.testing import Home
from algo_run.json_completion import complete

SCHEMA = {
    "type": "object",
    "required": ["name"],
    "properties": {
        "name": {"type": "string", "description": "Whom to greet."},
        "names": {"type": "array", "items": {"type": "string"}},
        "mode": {"enum": ["fast", "slow", 3, None]},
        "deep": {"type": "boolean"},
        "count": {"type": ["integer", "null"]},
        "box": {"$ref": "#/$defs/Box"},
        "boxes": {"type": "array", "items": {"$ref": "#/$defs/Box"}},
        "pair": {"prefixItems": [{"const": "a"}, {"type": "boolean"}], "items": {"const": "rest"}},
        "any": {"anyOf": [{"type": "null"}, {"$ref": "#/$defs/Box"}]},
        'q"\\ é': {"type": "object", "additionalProperties": {"type": "boolean"}},
    },
    "$defs": {"Box": {"type": "object", "properties": {"x": {"type": "number"}, "inner": {"$ref": "#/$defs/Box"}}}},
}


@pytest.mark.parametrize(
    ("typed", "expected"),
    [
        ('{"na', ['{"name":', '{"names":']),
        ('{"name', ['{"name":', '{"names":']),
        ('{"name"', ['{"name":']),
        ('{"name":"x"', ['{"name":"x",', '{"name":"x"}']),
        ('{"name":"x",', None),
        ('{"name":"x", "na', ['{"name":"x", "names":']),
        ('{"name":"x","zzz', []),
        ('{ "m', ['{ "mode":']),
        ('{"mode":', ['{"mode":"fast"', '{"mode":"slow"', '{"mode":3', '{"mode":null']),
        ('{"mode":"f', ['{"mode":"fast"']),
        ('{"mode": nu', ['{"mode": null']),
        ('{"mode":"fast"', ['{"mode":"fast",']),
        ('{"deep":', ['{"deep":true', '{"deep":false']),
        ('{"deep":t', ['{"deep":true']),
        ('{"deep":true', ['{"deep":true', '{"deep":true,']),
        ('{"count":', ['{"count":null']),
        ('{"count":12', ['{"count":12,']),
        ('{"count":-', []),
        ('{"name":"a b', []),
        ('{"names":', ['{"names":[']),
        ('{"names":[', ['{"names":[]']),
        ('{"names":["a"', ['{"names":["a",', '{"names":["a"]']),
        ('{"names":["a"]', ['{"names":["a"],']),
        ('{"box":', ['{"box":{"x":', '{"box":{"inner":']),
        ('{"box":{"inner":{"in', ['{"box":{"inner":{"inner":']),
        ('{"boxes":[{"x":1},{', ['{"boxes":[{"x":1},{"x":', '{"boxes":[{"x":1},{"inner":']),
        ('{"pair":[', ['{"pair":["a"', '{"pair":[]']),
        ('{"pair":["a",', ['{"pair":["a",true', '{"pair":["a",false']),
        ('{"pair":["a",true,', ['{"pair":["a",true,"rest"']),
        ('{"any":', ['{"any":null', '{"any":{"x":', '{"any":{"inner":']),
        ('{"q', ['{"q\\"\\\\ é":']),
        ('{"q\\"\\\\ é":{"k":t', ['{"q\\"\\\\ é":{"k":true']),
        ("HAL 9000", []), ("{]", []), ('{"a" "b', []), ("{}{", []), ('{"name":"x"}', []), ("}", []), ("{,", []), ("{1", []),
        ('{"name":}', []), ('{"name":"x",}', []), ('{"a\\', []), ("[1,", []),
    ],
)  # fmt: skip
def test_what_can_follow(typed: str, expected: list[str] | None) -> None:
    found = [one.text for one in complete(SCHEMA, typed)]
    assert all(text.startswith(typed) for text in found)
    if expected is None:
        assert [json.loads(text[len(typed) : -1]) for text in found] == list(SCHEMA["properties"])[1:]
    else:
        assert found == expected


@pytest.mark.parametrize(
    ("schema", "typed", "expected"),
    [
        ({"type": "string", "enum": ["red", "blue"]}, '"r', ['"red"']),
        ({"type": "array", "items": {"enum": [1, 2]}}, "[", ["[1", "[2", "[]"]),
        ({"type": "array"}, "", ["["]),
        ({"type": "object"}, "", ["{"]),
        ({"type": "object"}, "{", []),
        ({"allOf": [{"properties": {"a": {}}}, {"properties": {"b": {}}}]}, "{", ['{"a":', '{"b":']),
        ({"$ref": "#"}, "", []),
        ({"anyOf": [{"$ref": "#"}, {"$ref": "#"}]}, "", []),
        ({"$ref": "other.json"}, "", []),
        ({"properties": [], "required": 5, "enum": 3, "type": {}, "items": 7, "anyOf": "x"}, '{"a":[1', []),
        (True, "{", []), (None, "", []), ("x", "[", ["[]"]), ([], "", []),
    ],
)  # fmt: skip
def test_schemas_of_any_form(schema: Any, typed: str, expected: list[str]) -> None:
    found = [one.text for one in complete(schema, typed)]
    assert found == expected or not expected


@pytest.fixture
def home(algo_home: Home, stub: StubPlatform) -> Home:
    algo_home.write_config(f'[profiles.default]\naddress = "{stub.address}"\napi_key = "{"sim" + "k" * 25}"\n')
    return algo_home


def test_the_schema_comes_from_the_platform_and_is_kept(home: Home, stub: StubPlatform) -> None:
    stub.on("GET", "/v1/algorithms/demo/Greet", json_answer({"name": "Greet", "schemas": {"input": SCHEMA}}))
    stub.on("GET", "/v1/algorithms/demo/Greet/versions/1.0.0", json_answer({"schemas": {"input": {"const": {"a": 1}}}}))
    expected = ['{"name":', '{"names":']
    for option in ("-d", "-j", "--data", "--json-data"):
        assert home.complete("run", "demo/Greet", option, '{"na') == expected
    assert home.complete("run", "demo/Greet", '--data={"na') == ['--data={"name":', '--data={"names":']
    assert home.complete("run", "demo/Greet", "--timeout", "5", "-d", '{"na') == expected
    assert home.complete("bench", "demo/Greet", "-d", '{"na') == expected
    assert home.complete("run", "demo/Greet/1.0.0", "-d", "") == ['{"a": 1}']
    assert len(stub.seen) == 2, "a kept schema is used while a person types"

    stub.on("GET", "/v1/algorithms/demo/Greet", stub.answer(503))
    for file in (home.root / "cache").rglob("schemas/*.json"):
        assert file.stat().st_mode & 0o777 == 0o600
    stub.close()
    assert home.complete("run", "demo/Greet", "-d", '{"na') == expected, "offline"
    assert home.complete("run", "demo/Other", "-d", '{"na') == []


def test_nothing_is_said_where_nothing_is_known(home: Home, stub: StubPlatform) -> None:
    stub.on("GET", "/v1/algorithms/demo/Plain", json_answer({"name": "Plain"}))
    stub.on("GET", "/v1/algorithms/demo/Odd", json_answer(["x"]))
    for words in (["demo/Plain", "-d", "{"], ["demo/Odd", "-d", "{"], ["demo/Gone", "-d", "{"], ["-d", "{"],
                  ["demo/Plain", "-t", "{"], ["a b c", "-d", "{"]):  # fmt: skip
        assert home.complete("run", *words) == []


def test_a_directory_has_its_own(home: Home, stub: StubPlatform) -> None:
    directory = home.root / "mine"
    directory.mkdir()
    (directory / "algorithmia.conf").write_text("{}")
    assert home.complete("run", str(directory), "-d", "{") == []
    (directory / "input.schema.json").write_text(json.dumps(SCHEMA))
    assert home.complete("run", str(directory), "-d", '{"mo') == ['{"mode":']
    assert stub.seen == []


@pytest.mark.parametrize(
    ("shell", "arguments", "answer"),
    [
        ("bash", ["algo run demo/Greet -d '{\"na", '{"na'], 'open\0\'{"name":\0open\0\'{"names":\0'),
        ("bash", ["algo run demo/Greet -d '{\"mo", '{"mo'], 'open\0\'{"mode":\0open\0\'{"mode":...\0'),
        ("fish", ["algo run demo/Greet -d '{\"mo"], 'plain\0{"mode":\0'),
        ("zsh", ["run", "demo/Greet", "-d", "'", "'{\"mo"], 'open\0{"mode":\0{"mode":\0'),
    ],
)
def test_each_shell_gets_what_it_can_insert(
    home: Home, stub: StubPlatform, shell: str, arguments: list[str], answer: str
) -> None:
    stub.on("GET", "/v1/algorithms/demo/Greet", json_answer({"name": "Greet", "schemas": {"input": SCHEMA}}))
    done = home.run(*arguments, environ={"_ALGO_COMPLETE": shell})
    assert done.stdout.decode() == answer
