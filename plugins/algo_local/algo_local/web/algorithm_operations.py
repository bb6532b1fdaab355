"""Operations of the OpenAPI document for algorithms, one for each, with the schemas of its newest version."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from algo_local.algorithms.schemas.algorithm_schemas import schemas_of
from algo_local.algorithms.visibility import visible_algorithms, visible_versions
from algo_local.web.schemas.types import ref

if TYPE_CHECKING:
    from algo_local.algorithms.registry import Algorithm, Version
    from algo_local.algorithms.schemas.json_schema import Schema
    from algo_local.callers import Caller
    from algo_local.platform import Platform


def algorithm_operations(platform: Platform, caller: Caller) -> dict[str, Any]:
    """The paths of the algorithms that have a version which the caller may call."""
    paths: dict[str, Any] = {}
    for algorithm in visible_algorithms(platform.registry, caller):
        found = visible_versions(platform.registry, caller, algorithm)
        newest = next((version for version in found if version.public), None)
        if version := newest or next(iter(found), None):
            # A reference without a version means the newest public one.
            path = f"/v1/algo/{algorithm.owner}/{algorithm.name}" + ("" if newest else f"/{version.text}")
            paths[path] = {"post": _operation(algorithm, version)}
    return paths


def _operation(algorithm: Algorithm, version: Version) -> dict[str, Any]:
    schemas = schemas_of(version.build)
    given: dict[str, Any] = {"schema": _alone(schemas.input)}
    if sample := version.sample_input or algorithm.sample_input:
        given["example"] = _value(sample)
    return {
        "operationId": f"call_{algorithm.owner}_{algorithm.name}",
        "summary": algorithm.tagline or algorithm.label or algorithm.name,
        "tags": ["algorithms"],
        "security": [{"ApiKey": []}],
        "requestBody": {"required": True, "content": {"application/json": given}},
        "responses": {
            "200": {
                "description": "The result, or why there is none",
                "content": {
                    "application/json": {
                        "schema": {
                            "type": "object",
                            "properties": {
                                "result": _alone(schemas.output),
                                "error": {"type": "object"},
                                "metadata": {"type": "object"},
                            },
                        }
                    }
                },
            },
            "default": {"description": "A refusal", "content": {"application/json": {"schema": ref("Error")}}},
        },
    }


def _alone(schema: Schema | None) -> Schema:
    """A schema as a part of the document; one whose references mean its own file says nothing there."""
    return {} if schema is None or '"$ref"' in json.dumps(schema) else schema


def _value(text: str) -> Any:
    try:
        return json.loads(text)
    except ValueError:
        return text
