"""JSON schemas of algorithms' inputs and outputs: the part of the standard that can be checked in bounded time.

Schemas come from authors, and are checked in the platform's own process: so there are no regular expressions, no
references to other documents, and a limit to the steps that a check may take.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from difflib import get_close_matches
from typing import Any

from algo_local.algorithms.build import BuildError

Schema = Any
"""A JSON schema: an object, or true or false."""

STEPS = 200_000
"""Steps of one check; what is not checked by then is not refused."""

_DEPTH = 60
_TOLERANCE = 1e-9
_SIZED = ((str, "Length", "characters"), (list, "Items", "entries"), (dict, "Properties", "members"))
_SHOWN = 60

_KINDS: dict[str, str] = {
    "null": "null", "boolean": "true or false", "integer": "a whole number", "number": "a number", "string": "a text",
    "array": "a list", "object": "an object",
}  # fmt: skip
_NOTES = {
    "$schema", "$id", "$comment", "title", "description", "default", "examples", "format", "readOnly", "writeOnly",
    "deprecated", "contentEncoding", "contentMediaType", "$defs", "definitions",
}  # fmt: skip
_NUMBERS = {"minimum", "maximum", "exclusiveMinimum", "exclusiveMaximum", "multipleOf"}
_COUNTS = {"minLength", "maxLength", "minItems", "maxItems", "minProperties", "maxProperties"}
_MANY = {"anyOf", "oneOf", "allOf", "prefixItems"}
_ONE = {"items", "additionalProperties", "not"}
_KNOWN = {*_NOTES, *_NUMBERS, *_COUNTS, *_MANY, *_ONE, "type", "enum", "const", "properties", "required", "$ref"}


@dataclass(frozen=True, slots=True)
class Mismatch:
    """A mismatch: its position in the value, and the expectation there."""

    path: tuple[str | int, ...]
    expected: str

    def told(self, root: str) -> str:
        """A sentence about the value, which it calls `root`."""
        place = root
        for part in self.path:
            plain = isinstance(part, str) and part.isidentifier()
            place += f".{part}" if plain else f"[{json.dumps(part, ensure_ascii=False)[:_SHOWN]}]"
        return f"{place} {self.expected}"


class _Spent(Exception):
    """The check took too many steps."""


def check_schema(schema: Schema, where: str) -> None:
    """Raise BuildError unless this platform can check values against a schema."""
    pending: list[tuple[Schema, str]] = [(schema, where)]
    while pending:
        part, place = pending.pop()
        if isinstance(part, bool):
            continue
        if not isinstance(part, dict):
            raise BuildError(f"{place} must be an object, true or false", "Correct the schema")
        for name, value in part.items():
            if name not in _KNOWN:
                close = get_close_matches(name, _KNOWN, n=1)
                hint = f"Did you mean {close[0]!r}?" if close else "Check this in the algorithm instead"
                raise BuildError(f"{place}: {name!r} is not supported in schemas here", hint)
            _check_keyword(name, value, place)
        pending += _parts(part, place)
        if (target := part.get("$ref")) is not None and _resolved(schema, target) is None:
            raise BuildError(f"{place}: $ref leads nowhere: {target!r}", "Write '#/$defs/NAME', in the same file")


def _check_keyword(name: str, value: Any, place: str) -> None:
    is_right = True
    if name == "type":
        kinds = value if isinstance(value, list) else [value]
        is_right = bool(kinds) and all(isinstance(kind, str) and kind in _KINDS for kind in kinds)
    elif name in _NUMBERS:
        is_right = _is_number(value) and (name != "multipleOf" or value > 0)
    elif name in _COUNTS:
        is_right = isinstance(value, int) and not isinstance(value, bool) and value >= 0
    elif name == "enum":
        is_right = isinstance(value, list)
    elif name == "required":
        is_right = isinstance(value, list) and all(isinstance(one, str) for one in value)
    elif name in {"properties", "$defs", "definitions"}:
        is_right = isinstance(value, dict)
    elif name in _MANY:
        is_right = isinstance(value, list) and bool(value)
    elif name == "$ref":
        is_right = isinstance(value, str)
    if not is_right:
        raise BuildError(f"{place}: {name!r} cannot be {json.dumps(value, default=str)[:_SHOWN]}", "Correct the schema")


def _parts(schema: Mapping[str, Any], place: str) -> list[tuple[Schema, str]]:
    found = [(schema[name], f"{place}.{name}") for name in _ONE if name in schema]
    for name in _MANY & set(schema):
        found += [(one, f"{place}.{name}[{number}]") for number, one in enumerate(schema[name])]
    for name in {"properties", "$defs", "definitions"} & set(schema):
        found += [(one, f"{place}.{name}.{key}") for key, one in schema[name].items()]
    return found


def mismatch(schema: Schema, value: Any) -> Mismatch | None:
    """The first mismatch of a value with a checked schema; None if it fits."""
    try:
        return _Check(schema).fits(schema, value, ())
    except (_Spent, RecursionError):
        return None


class _Check:
    def __init__(self, root: Schema) -> None:
        self._root = root
        self._left = STEPS

    def fits(self, schema: Schema, value: Any, path: tuple[str | int, ...], depth: int = 0) -> Mismatch | None:
        self._left -= 1
        if self._left < 0 or depth > _DEPTH:
            raise _Spent
        if isinstance(schema, bool):
            return None if schema else Mismatch(path, "is not expected")
        target = schema.get("$ref")
        if target is not None and (found := self.fits(_resolved(self._root, target), value, path, depth + 1)):
            return found
        kinds = schema.get("type")
        if kinds is not None and (found := _wrong_kind(kinds, value, path)):
            return found
        for check in (_wrong_constant, _wrong_size):
            if found := check(schema, value, path):
                return found
        return self._members(schema, value, path, depth) or self._alternatives(schema, value, path, depth)

    def _members(self, schema: Schema, value: Any, path: tuple[str | int, ...], depth: int) -> Mismatch | None:
        if isinstance(value, dict):
            return self._object(schema, value, path, depth)
        if isinstance(value, list):
            first = schema.get("prefixItems", [])
            rest = schema.get("items", True)
            for number, item in enumerate(value):
                wanted = first[number] if number < len(first) else rest
                if wanted is not True and (found := self.fits(wanted, item, (*path, number), depth + 1)):
                    return found
        return None

    def _object(
        self, schema: Schema, value: dict[str, Any], path: tuple[str | int, ...], depth: int
    ) -> Mismatch | None:
        properties = schema.get("properties", {})
        for name in schema.get("required", ()):
            if name not in value:
                return Mismatch(
                    path, f"has no member {name!r}{_meant(name, [key for key in value if key not in properties])}"
                )
        others = schema.get("additionalProperties", True)
        for name, member in value.items():
            wanted = properties.get(name, others)
            if wanted is False and name not in properties:
                return Mismatch(path, f"has an unknown member {name[:_SHOWN]!r}{_meant(name, list(properties))}")
            if wanted is not True and (found := self.fits(wanted, member, (*path, name), depth + 1)):
                return found
        return None

    def _alternatives(self, schema: Schema, value: Any, path: tuple[str | int, ...], depth: int) -> Mismatch | None:
        for one in schema.get("allOf", ()):
            if found := self.fits(one, value, path, depth + 1):
                return found
        if "not" in schema and not self.fits(schema["not"], value, path, depth + 1):
            return Mismatch(path, "is not allowed")
        for name in ("anyOf", "oneOf"):
            if name not in schema:
                continue
            results = [self.fits(one, value, path, depth + 1) for one in schema[name]]
            failures = [found for found in results if found]
            if len(failures) == len(results):
                return _closest(failures, path)
            if name == "oneOf" and len(results) - len(failures) > 1:
                return Mismatch(path, "fits more than one of its alternatives")
        return None


def _closest(failures: list[Mismatch], path: tuple[str | int, ...]) -> Mismatch:
    """The failure of the alternative that fits best, or what all of them expect."""
    deepest = max(failures, key=lambda found: len(found.path))
    if len(deepest.path) > len(path):
        return deepest
    wants = "must be "
    if all(found.expected.startswith(wants) for found in failures):
        expected = dict.fromkeys(found.expected[len(wants) :].partition(", not ")[0] for found in failures)
        got = failures[0].expected.partition(", not ")[2]
        return Mismatch(path, f"{wants}{' or '.join(expected)}" + (f", not {got}" if got else ""))
    return failures[0]


def _wrong_kind(kinds: str | list[str], value: Any, path: tuple[str | int, ...]) -> Mismatch | None:
    wanted = [kinds] if isinstance(kinds, str) else kinds
    if any(_IS[kind](value) for kind in wanted):
        return None
    got = next(name for kind, name in _KINDS.items() if _IS[kind](value))
    return Mismatch(path, f"must be {' or '.join(_KINDS[kind] for kind in wanted)}, not {got}")


def _wrong_constant(schema: Mapping[str, Any], value: Any, path: tuple[str | int, ...]) -> Mismatch | None:
    if "const" in schema and not _equal(schema["const"], value):
        return Mismatch(path, f"must be {_shown(schema['const'])}")
    if "enum" in schema and not any(_equal(one, value) for one in schema["enum"]):
        return Mismatch(path, f"must be one of {', '.join(map(_shown, schema['enum'][:20]))}")
    return None


def _wrong_size(schema: Mapping[str, Any], value: Any, path: tuple[str | int, ...]) -> Mismatch | None:
    if _is_number(value):
        return _wrong_number(schema, value, path)
    sized = next((names for kind, *names in _SIZED if isinstance(value, kind)), None)
    if sized is None:
        return None
    (suffix, unit), size = sized, len(value)
    if size < schema.get(f"min{suffix}", 0):
        return Mismatch(path, f"must have at least {schema[f'min{suffix}']} {unit}, not {size}")
    if size > schema.get(f"max{suffix}", size):
        return Mismatch(path, f"must have at most {schema[f'max{suffix}']} {unit}, not {size}")
    return None


def _wrong_number(schema: Mapping[str, Any], value: float, path: tuple[str | int, ...]) -> Mismatch | None:
    for name, words, holds in _BOUNDS:
        if name in schema and not holds(value, schema[name]):
            return Mismatch(path, f"must be {words} {schema[name]}, not {value}"[:200])
    if "multipleOf" in schema and not _is_multiple(value, schema["multipleOf"]):
        return Mismatch(path, f"must be a multiple of {schema['multipleOf']}")
    return None


def _is_multiple(value: float, unit: float) -> bool:
    if isinstance(value, int) and isinstance(unit, int):
        return value % unit == 0
    try:
        count = value / unit
        return abs(count - round(count)) <= _TOLERANCE * max(1.0, abs(count))  # 0.3 is a multiple of 0.1
    except (OverflowError, ValueError):
        return True


def _meant(name: str, others: list[str]) -> str:
    close = get_close_matches(name, others[:1000], n=1)
    return f" (is {close[0]!r} meant?)" if close else ""


def _resolved(root: Schema, target: str) -> Schema:
    """The target of a reference in the same document; None if there is none."""
    if not target.startswith("#"):
        return None
    found = root
    for part in target[1:].split("/")[1:]:
        key = part.replace("~1", "/").replace("~0", "~")
        found = found.get(key) if isinstance(found, dict) else None
    return found if isinstance(found, (dict, bool)) else None


def _equal(one: Any, other: Any) -> bool:
    return isinstance(one, bool) == isinstance(other, bool) and bool(one == other)


def _shown(value: Any) -> str:
    return json.dumps(value, ensure_ascii=False, default=str)[:_SHOWN]


def _is_number(value: Any) -> bool:
    return isinstance(value, (int, float)) and not isinstance(value, bool)


_IS: dict[str, Callable[[Any], bool]] = {
    "null": lambda value: value is None,
    "boolean": lambda value: isinstance(value, bool),
    "integer": lambda value: _is_number(value) and (isinstance(value, int) or value.is_integer()),
    "number": _is_number,
    "string": lambda value: isinstance(value, str),
    "array": lambda value: isinstance(value, list),
    "object": lambda value: isinstance(value, dict),
}
_BOUNDS: tuple[tuple[str, str, Callable[[Any, Any], bool]], ...] = (
    ("minimum", "at least", lambda value, bound: value >= bound),
    ("maximum", "at most", lambda value, bound: value <= bound),
    ("exclusiveMinimum", "more than", lambda value, bound: value > bound),
    ("exclusiveMaximum", "less than", lambda value, bound: value < bound),
)
