"""Completion of JSON that is being typed, from the JSON schema of an algorithm's input.

Candidates go on from what was typed, up to the next place where a person decides: `{"na` becomes `{"name":`, a complete
value gets a comma or a bracket. They end in characters after which shells add no blank, where they have such a rule.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any, NamedTuple

_BLANKS = re.compile(r"[ \t\r\n]*")
_STRING = re.compile(r'"(?:[^"\\]|\\.)*"')
_WORD = re.compile(r'[^\s,\[\]{}":]+')
_DEPTH = 16
"""References and alternatives that are followed; a schema may refer to itself."""


class Candidate(NamedTuple):
    """The whole text with its continuation, a line of help, and whether the JSON is complete with it."""

    text: str
    help: str = ""
    is_complete: bool = False


@dataclass
class _Frame:
    """An object or array that is open, or the whole text; `schemas` are the alternatives for it."""

    closing: str
    schemas: list[Any]
    keys: list[str] = field(default_factory=list)
    values: int = 0
    """Values that are complete."""


def complete(schema: Any, typed: str) -> list[Candidate]:
    """The ways to go on from `typed`; none if it is no beginning of JSON, or the schema says nothing about it."""
    stack = [_Frame("", [schema])]
    position, wants = 0, "value"
    while True:
        position = _blank(typed, position)
        frame = stack[-1]
        if position == len(typed):
            return _each_once(_next(schema, stack, wants, typed, ""))
        character = typed[position]
        if wants == "key" and character != '"' and not (character == "}" and not frame.keys):
            return []
        if wants in {"value", "key"} and character not in "]}":
            if wants == "value" and character in "{[":
                inner = _value_schemas(schema, frame)
                stack.append(_Frame("}" if character == "{" else "]", inner))
                wants, position = ("key" if character == "{" else "value"), position + 1
                continue
            pattern = _STRING if character == '"' else _WORD
            found = pattern.match(typed, position)
            if not found or (character != '"' and found.end() == len(typed)):
                return _each_once(_partial(schema, stack, wants, typed[:position], typed[position:]))
            if wants == "key":
                frame.keys.append(_decoded(found[0]))
            else:
                frame.values += 1
            wants, position = ("colon" if wants == "key" else "after"), found.end()
        elif wants == "colon" and character == ":":
            wants, position = "value", position + 1
        elif wants == "after" and character == "," and frame.closing:
            wants, position = ("key" if frame.closing == "}" else "value"), position + 1
        elif character == frame.closing and (wants == "after" or not (frame.keys or frame.values)):
            stack.pop()
            stack[-1].values += 1
            wants, position = "after", position + 1
        else:
            return []


def _each_once(found: Iterator[Candidate]) -> list[Candidate]:
    by_text: dict[str, Candidate] = {}
    for candidate in found:
        by_text.setdefault(candidate.text, candidate)
    return list(by_text.values())


def _blank(text: str, position: int) -> int:
    found = _BLANKS.match(text, position)
    return found.end() if found else position


def _decoded(text: str) -> str:
    try:
        return str(json.loads(text))
    except ValueError:
        return text


def _partial(root: Any, stack: list[_Frame], wants: str, before: str, partial: str) -> Iterator[Candidate]:
    """The ways to end a string or a word that has been begun; a word may be complete already."""
    yield from (c for c in _next(root, stack, wants, before, partial) if c.text.startswith(before + partial))
    if wants == "value" and not partial.startswith('"'):
        try:
            json.loads(partial)
        except ValueError:
            return
        stack[-1].values += 1
        yield from _next(root, stack, "after", before + partial, "")


def _next(root: Any, stack: list[_Frame], wants: str, before: str, partial: str) -> Iterator[Candidate]:
    """What can follow `before`."""
    frame = stack[-1]
    if wants == "key":
        yield from _keys(root, frame, before, partial)
    elif wants == "colon":
        yield Candidate(f"{before}:")
    elif wants == "value":
        yield from _values(root, _value_schemas(root, frame), before, partial)
        if frame.closing == "]" and not frame.values and not partial and before.rstrip().endswith("["):
            yield Candidate(f"{before}]", is_complete=len(stack) == 2)
    elif frame.closing:
        yield from _after(root, stack, before)


def _keys(root: Any, frame: _Frame, before: str, partial: str) -> Iterator[Candidate]:
    properties = _properties(_alternatives(root, frame.schemas))
    for name, schema in properties.items():
        if name not in frame.keys:
            yield Candidate(f"{before}{_written(name)}:", _help(root, schema))


def _values(root: Any, schemas: Sequence[Any], before: str, partial: str) -> Iterator[Candidate]:
    for found in _alternatives(root, schemas):
        kinds = found.get("type", "object" if "properties" in found else "")
        kinds = kinds if isinstance(kinds, list) else [kinds]
        told = _help(root, found)
        words = [found["const"]] if "const" in found else found.get("enum")
        if isinstance(words, list):
            yield from (Candidate(before + _written(word), told) for word in words)
            continue
        if "object" in kinds and not partial:
            below = list(_keys(root, _Frame("}", [found]), f"{before}{{", ""))
            yield from below or [Candidate(f"{before}{{", told)]
        if "array" in kinds and not partial:
            yield Candidate(f"{before}[", told)
        if "boolean" in kinds:
            yield from (Candidate(before + word, told) for word in ("true", "false"))
        if "null" in kinds:
            yield Candidate(f"{before}null", told)


def _after(root: Any, stack: list[_Frame], before: str) -> Iterator[Candidate]:
    frame = stack[-1]
    found = _alternatives(root, frame.schemas)
    needed = {name for each in found for name in each.get("required", ()) if isinstance(name, str)}
    has_more = frame.closing == "]" or bool(_properties(found).keys() - set(frame.keys))
    if has_more or not found:
        yield Candidate(f"{before},")
    if frame.closing == "]" or needed <= set(frame.keys):
        yield Candidate(before + frame.closing, is_complete=len(stack) == 2)


def _value_schemas(root: Any, frame: _Frame) -> list[Any]:
    """The schemas of the value that comes next in a frame."""
    if not frame.closing:
        return frame.schemas if not frame.values else []
    below: list[Any] = []
    for found in _alternatives(root, frame.schemas):
        if frame.closing == "}":
            properties = found.get("properties")
            name = frame.keys[-1]
            known = properties if isinstance(properties, dict) else {}
            below.append(known[name] if name in known else found.get("additionalProperties"))
        else:
            first = found.get("prefixItems", found["items"] if isinstance(found.get("items"), list) else [])
            is_first = isinstance(first, list) and frame.values < len(first)
            below.append(first[frame.values] if is_first else found.get("items"))
    return below


def _alternatives(root: Any, schemas: Sequence[Any], depth: int = _DEPTH) -> list[dict[str, Any]]:
    """Schemas without references, with what `anyOf` and the like join beside them."""
    found: list[dict[str, Any]] = []
    for schema in schemas:
        if not isinstance(schema, dict) or depth == 0:
            continue
        found.append(schema)
        below = [
            each for name in ("anyOf", "oneOf", "allOf") if isinstance(schema.get(name), list) for each in schema[name]
        ]
        if isinstance(schema.get("$ref"), str):
            below.append(_referred(root, schema["$ref"]))
        found += _alternatives(root, below, depth - 1) if below and len(found) < 100 else []
    return found


def _referred(root: Any, reference: str) -> Any:
    """What a reference within the schema means (`#/$defs/Name`)."""
    if not reference.startswith("#"):
        return None
    for part in reference[1:].split("/")[1:]:
        part = part.replace("~1", "/").replace("~0", "~")
        root = root.get(part) if isinstance(root, dict) else None
    return root


def _properties(schemas: Sequence[dict[str, Any]]) -> dict[str, Any]:
    found: dict[str, Any] = {}
    for schema in schemas:
        properties = schema.get("properties")
        for name, below in properties.items() if isinstance(properties, dict) else ():
            found.setdefault(name, below)
    return found


def _help(root: Any, schema: Any) -> str:
    """What a schema says of its value: its description, else its type."""
    for found in _alternatives(root, [schema]):
        for name in ("description", "title", "type"):
            if isinstance(found.get(name), str):
                return str(found[name])
    return ""


def _written(value: Any) -> str:
    return json.dumps(value, ensure_ascii=False)
