"""The API's OpenAPI document, made from the table of operations."""

from __future__ import annotations

import re
from functools import cache
from typing import Any

from algo_local.web.operations import OPERATIONS, Operation, Who
from algo_local.web.schemas.bodies import CONTENT, SCHEMAS
from algo_local.web.schemas.parameters import EXPANSIONS, PATH, QUERY
from algo_local.web.schemas.types import ref

_PARAMETER = re.compile(r"{(\w+)}")
_ERRORS = {
    401: "Missing or invalid credential",
    403: "The caller may not do this",
    404: "It does not exist, or the caller may not see it",
}
_PENDING = {"RequestResult": "RequestPending"}
"""The description of status 202, for a result that is not available yet."""

_KEYS = "An API key, bare or after `Simple`"


@cache
def document() -> dict[str, Any]:
    """The document; the same object each time."""
    paths: dict[str, dict[str, Any]] = {}
    for operation in OPERATIONS:
        for number, path in enumerate(documented_paths(operation)):
            described = _described(operation, path)
            if number:
                described["operationId"] += f"_{number + 1}"
            # Two operations of one path may give its names different names; for a reader they are the same path.
            known = next((known for known in paths if _anonymous(known) == _anonymous(path)), path)
            paths.setdefault(known, {}).setdefault(operation.method.lower(), _renamed(described, path, known))
    return {
        "openapi": "3.1.0",
        "info": {"title": "Algorithmia v1", "version": "1.5.1"},
        "servers": [{"url": "/"}],
        "paths": paths,
        "components": {
            "schemas": SCHEMAS,
            "securitySchemes": {
                "ApiKey": {"type": "apiKey", "in": "header", "name": "Authorization", "description": _KEYS}
            },
        },
    }


def documented_paths(operation: Operation) -> list[str]:
    """The paths of an operation as a document names them, the most usual one first."""
    words = [part.partition("|")[0] for part in operation.path.split("/")]
    paths = ["/v1"]
    for part in words:
        paths = [f"{path}/{form}" for form in EXPANSIONS.get(part, (part,)) for path in paths]
    return paths


def _described(operation: Operation, path: str) -> dict[str, Any]:
    described: dict[str, Any] = {
        "operationId": operation.id,
        "summary": operation.summary,
        "tags": [operation.path.partition("/")[0].partition("|")[0]],
        "parameters": _parameters(operation, path),
        "responses": _responses(operation),
        "security": [] if operation.access.who == Who.ANYONE else [{"ApiKey": []}],
        "x-who": operation.access.who.name.lower(),
    }
    if operation.access.permission:
        described["x-permission"] = operation.access.permission.value
    if operation.request:
        optional = operation.request.endswith("?")
        described["requestBody"] = {"required": not optional, "content": _content(operation.request.rstrip("?"))}
    return described


def _parameters(operation: Operation, path: str) -> list[dict[str, Any]]:
    found = [{"name": name, "in": "path", "required": True, "schema": PATH[name]} for name in _PARAMETER.findall(path)]
    return found + [{"name": name, "in": "query", "schema": QUERY[name]} for name in operation.query.split()]


def _responses(operation: Operation) -> dict[str, Any]:
    success: dict[str, Any] = {"description": operation.summary}
    if operation.response and operation.method != "HEAD":
        success["content"] = _content(operation.response)
    responses: dict[str, Any] = {str(operation.status): success}
    if pending := _PENDING.get(operation.response):
        responses["202"] = {"description": "It has not ended", "content": _content(pending)}
    if operation.access.who > Who.ANYONE:
        responses |= {str(status): {"description": text, **_error(operation)} for status, text in _ERRORS.items()}
    return {**responses, "default": {"description": "Another refusal", **_error(operation)}}


def _error(operation: Operation) -> dict[str, Any]:
    return {} if operation.method == "HEAD" else {"content": _content("Error")}


def _content(shape: str) -> dict[str, Any]:
    content = CONTENT.get(shape, {"application/json": ref(shape)})
    return {media_type: {"schema": schema} for media_type, schema in content.items()}


def _anonymous(path: str) -> str:
    return _PARAMETER.sub("{}", path)


def _renamed(described: dict[str, Any], path: str, known: str) -> dict[str, Any]:
    """A description with the names that the path's parameters have in the document."""
    names = dict(zip(_PARAMETER.findall(path), _PARAMETER.findall(known), strict=True))
    for parameter in described["parameters"]:
        if parameter["in"] == "path":
            parameter["name"] = names[parameter["name"]]
    return described
