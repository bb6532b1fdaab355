"""The basic types of the API's JSON schemas, and functions that make schemas of them."""

from __future__ import annotations

from typing import Any

Schema = dict[str, Any]

TEXT: Schema = {"type": "string"}
WHOLE: Schema = {"type": "integer"}
NUMBER: Schema = {"type": "number"}
FLAG: Schema = {"type": "boolean"}
ANYTHING: Schema = {}
ID: Schema = {"type": "string", "format": "uuid"}
TIME: Schema = {"type": "string", "format": "date-time"}
TEXT_OR_NULL: Schema = {"type": ["string", "null"]}
BINARY: Schema = {"type": "string", "format": "binary"}
TIME_OR_NULL: Schema = {"type": ["string", "null"], "format": "date-time"}
NAME: Schema = {"type": "string", "maxLength": 30, "pattern": "^[a-zA-Z][a-zA-Z0-9_]*$"}
EMAIL: Schema = {"type": "string", "maxLength": 100, "pattern": "^[a-zA-Z0-9._%+-]+@[a-zA-Z0-9.-]+[.][a-zA-Z]{2,6}$"}
SHORT: Schema = {"type": "string", "maxLength": 100}
MIDDLE: Schema = {"type": "string", "maxLength": 255}
LONG: Schema = {"type": "string", "maxLength": 100_000}
SCALAR: Schema = {"type": ["string", "number", "boolean"]}
INSIGHT_NAME: Schema = {"type": "string", "minLength": 1, "maxLength": 255}
SECRET: Schema = {"type": "string", "minLength": 1, "maxLength": 65536}
MOMENT: Schema = {"type": "string", "maxLength": 50}
"""A time in a request, in any of the forms of ISO 8601; without a zone it is UTC."""
VARIABLE: Schema = {"type": "string", "maxLength": 255, "pattern": "^[A-Za-z_][A-Za-z0-9_]*$"}
"""The name of an environment variable."""
PROVIDER: Schema = {"type": "string", "enum": ["internal", "github", "gitlab", "bitbucket", "bitbucket-cloud"]}
KEY_TYPE: Schema = {"type": "string", "enum": ["AlgorithmKey", "PlatformAdminKey", "ManagementKey"]}
GROUPS: Schema = {"type": ["array", "string"], "items": {"type": "string", "maxLength": 255}, "maxLength": 255}
"""Groups of an identity provider; some clients send one text."""


def record(required: str = "", /, **members: Schema) -> Schema:
    """An object with these members; `required` lists the names of those that are never missing. Others are allowed."""
    schema: Schema = {"type": "object", "properties": members}
    return {**schema, "required": required.split()} if required else schema


def many(schema: Schema) -> Schema:
    """An array."""
    return {"type": "array", "items": schema}


def word(*words: str) -> Schema:
    """The schema of one of these texts."""
    return {"type": "string", "enum": list(words)}


def ref(name: str) -> Schema:
    """A reference to a schema by its name."""
    return {"$ref": f"#/components/schemas/{name}"}


def page_of(name: str) -> Schema:
    """A page of a collection (API section 1.6)."""
    return record("marker next_link results", marker=TEXT_OR_NULL, next_link=TEXT_OR_NULL, results=many(ref(name)))
