"""JSON schemas from the type hints of `apply`, which are read and never run."""

from __future__ import annotations

import ast
from typing import Any

_PLAIN: dict[str, Any] = {
    "str": {"type": "string"},
    "int": {"type": "integer"},
    "float": {"type": "number"},
    "bool": {"type": "boolean"},
    "None": {"type": "null"},
    "dict": {"type": "object"},
    "Dict": {"type": "object"},
    "Mapping": {"type": "object"},
    "list": {"type": "array"},
    "List": {"type": "array"},
    "Sequence": {"type": "array"},
}
_LISTS = {"list", "List", "Sequence", "Iterable"}
_OBJECTS = {"dict", "Dict", "Mapping"}
_DEPTH = 20


class _Unknown(Exception):
    """A hint that says nothing about JSON: a class, an alias, bytes."""


def hinted(source: str) -> tuple[Any, Any]:
    """The schemas of input and output of a module's `apply`; None for what it does not hint at, or not in JSON."""
    try:
        tree = ast.parse(source)
    except (SyntaxError, ValueError, RecursionError):
        return None, None
    functions = [node for node in tree.body if isinstance(node, ast.FunctionDef) and node.name == "apply"]
    if not functions or functions[-1].decorator_list:
        return None, None
    classes = {node.name: node for node in tree.body if isinstance(node, ast.ClassDef)}
    apply = functions[-1]
    parameters = [*apply.args.posonlyargs, *apply.args.args]
    given = parameters[0].annotation if parameters else None
    return _schema_or_none(given, classes), _schema_or_none(apply.returns, classes)


def _schema_or_none(hint: ast.expr | None, classes: dict[str, ast.ClassDef]) -> Any:
    if hint is None:
        return None
    try:
        return _schema(hint, classes) or None
    except (_Unknown, RecursionError):
        return None


def _schema(hint: ast.expr, classes: dict[str, ast.ClassDef], depth: int = 0) -> dict[str, Any]:
    if depth > _DEPTH:
        raise _Unknown
    if isinstance(hint, ast.Constant):
        if hint.value is None:
            return dict(_PLAIN["None"])
        if isinstance(hint.value, str):
            return _schema(_parsed(hint.value), classes, depth + 1)
        raise _Unknown
    if isinstance(hint, ast.BinOp) and isinstance(hint.op, ast.BitOr):
        return _any_of([_part(hint.left, classes, depth), _part(hint.right, classes, depth)])
    if isinstance(hint, ast.Subscript):
        return _generic(_name(hint.value), hint.slice, classes, depth)
    name = _name(hint)
    if name in {"Any", "object"}:
        return {}
    if name in _PLAIN:
        return dict(_PLAIN[name])
    if name in classes:
        return _typed_dict(classes[name], classes, depth)
    raise _Unknown


def _part(hint: ast.expr, classes: dict[str, ast.ClassDef], depth: int) -> dict[str, Any]:
    return _schema(hint, classes, depth + 1)


def _generic(name: str, inside: ast.expr, classes: dict[str, ast.ClassDef], depth: int) -> dict[str, Any]:
    parts = list(inside.elts) if isinstance(inside, ast.Tuple) else [inside]
    if name in _LISTS and len(parts) == 1:
        return _with({"type": "array"}, "items", _part(parts[0], classes, depth))
    if name in _OBJECTS and len(parts) == 2:
        return _with({"type": "object"}, "additionalProperties", _part(parts[1], classes, depth))
    if name == "Optional" and len(parts) == 1:
        return _any_of([_part(parts[0], classes, depth), _PLAIN["None"]])
    if name == "Union":
        return _any_of([_part(part, classes, depth) for part in parts])
    if name == "Literal":
        if all(isinstance(part, ast.Constant) for part in parts):
            return {"enum": [part.value for part in parts if isinstance(part, ast.Constant)]}
    elif name in {"Annotated", "Required", "NotRequired", "Final"}:
        return _part(parts[0], classes, depth)
    raise _Unknown


def _with(schema: dict[str, Any], name: str, part: dict[str, Any]) -> dict[str, Any]:
    return {**schema, name: part} if part else schema


def _any_of(parts: list[dict[str, Any]]) -> dict[str, Any]:
    """One schema for alternatives; empty if any alternative accepts anything."""
    if not all(parts):
        return {}
    flat: list[dict[str, Any]] = []
    for part in parts:
        flat += part["anyOf"] if set(part) == {"anyOf"} else [part]
    if all(set(part) == {"type"} for part in flat):
        kinds = list(
            dict.fromkeys(
                kind for part in flat for kind in ([part["type"]] if isinstance(part["type"], str) else part["type"])
            )
        )
        return {"type": kinds if len(kinds) > 1 else kinds[0]}
    return {"anyOf": flat}


def _typed_dict(node: ast.ClassDef, classes: dict[str, ast.ClassDef], depth: int) -> dict[str, Any]:
    """The schema of a `TypedDict`; other classes are no JSON."""
    properties: dict[str, Any] = {}
    required: list[str] = []
    is_typed_dict = False
    for base in node.bases:
        name = _name(base)
        if name == "TypedDict":
            is_typed_dict = True
        elif name in classes and name != node.name:
            inherited = _typed_dict(classes[name], classes, depth + 1)
            properties |= inherited["properties"]
            required += inherited.get("required", [])
            is_typed_dict = True
    if not is_typed_dict or depth > _DEPTH:
        raise _Unknown
    is_total = not any(
        word.arg == "total" and isinstance(word.value, ast.Constant) and word.value.value is False
        for word in node.keywords
    )
    for member in node.body:
        if isinstance(member, ast.AnnAssign) and isinstance(member.target, ast.Name):
            properties[member.target.id] = _part(member.annotation, classes, depth)
            wrapped = _name(member.annotation.value) if isinstance(member.annotation, ast.Subscript) else ""
            if wrapped == "Required" or (is_total and wrapped != "NotRequired"):
                required.append(member.target.id)
    schema = {"type": "object", "properties": properties}
    return {**schema, "required": required} if required else schema


def _parsed(text: str) -> ast.expr:
    try:
        return ast.parse(text, mode="eval").body
    except (SyntaxError, ValueError):
        raise _Unknown from None


def _name(node: ast.expr) -> str:
    """The last part of a dotted name."""
    if isinstance(node, ast.Attribute):
        return node.attr
    if isinstance(node, ast.Name):
        return node.id
    raise _Unknown
