"""Reads the bodies of requests and validates them against the schemas that the table of operations names."""

from __future__ import annotations

import re
from functools import cache
from typing import TYPE_CHECKING, Any

import fastjsonschema

from algo_local.error_codes import ErrorCode
from algo_local.web.http import ApiError
from algo_local.web.schemas.bodies import SCHEMAS
from algo_local.web.schemas.types import ref

if TYPE_CHECKING:
    from collections.abc import Callable

    from algo_local.web.authorization import RequestContext

LIMIT = 1 << 20
"""Bytes of a body."""

FORM = "application/x-www-form-urlencoded"

_MALFORMED = {
    "User": ErrorCode.MALFORMED_USER_JSON,
    "UserUpdate": ErrorCode.MALFORMED_USER_JSON,
    "Organization": ErrorCode.MALFORMED_ORGANIZATION_JSON,
    "AlgorithmSecretCreateRequest": ErrorCode.MALFORMED_ALGORITHM_SECRET_REQUEST_JSON,
    "AlgorithmSecretEditRequest": ErrorCode.MALFORMED_ALGORITHM_SECRET_REQUEST_JSON,
    "ScmCreation": ErrorCode.SCM_BAD_CREATE_PAYLOAD,
    "ScmUpdate": ErrorCode.SCM_BAD_UPDATE_PAYLOAD,
    "WebhookEvent": ErrorCode.WEBHOOK_PAYLOAD_MALFORMED,
}
"""Error codes for invalid bodies of certain shapes."""

_DATA = re.compile(r"\bdata\b")


def read_body(context: RequestContext, *, form: bool = False) -> dict[str, Any]:
    """The body of a request as a JSON object, an empty one if there need not be any; a null member counts as left out.

    With `form` it may be a form as well, as a client sends it that loses what the members hold (API section 6.3): it
    says nothing then.

    Raises:
        ApiError: 400 if it has not the shape that the operation's row names, 413 if it is too large.
    """
    shape = context.operation.request
    if form and context.request.content_type == FORM:
        return {}
    if shape.endswith("?") and context.request.length == 0:
        return {}
    value = _read(context, shape.rstrip("?"), LIMIT)
    if not isinstance(value, dict):
        raise ApiError(400, "the body must be an object", ErrorCode.MALFORMED_JSON)
    return value


def read_list(context: RequestContext, *, limit: int) -> list[Any]:
    """The body of a request as a JSON list of at most `limit` bytes. ApiError as above."""
    value = _read(context, context.operation.request, limit)
    assert isinstance(value, list), context.operation.request
    return value


def _read(context: RequestContext, name: str, limit: int) -> Any:
    try:
        value = _cleaned(context.request.json(limit))
    except (UnicodeEncodeError, RecursionError):
        raise ApiError(400, "The body is nested too deeply, or not Unicode", ErrorCode.MALFORMED_JSON) from None
    try:
        _validator(name)(value)
    except fastjsonschema.JsonSchemaValueException as error:
        message = _DATA.sub("the body", error.message, count=1)
        raise ApiError(400, message, _MALFORMED.get(name, ErrorCode.INPUT_VALIDATION_ERROR)) from None
    return value


def _cleaned(value: Any) -> Any:
    """A JSON value without members that are null. UnicodeEncodeError for text that cannot be stored."""
    if isinstance(value, dict):
        return {_cleaned(name): _cleaned(member) for name, member in value.items() if member is not None}
    if isinstance(value, list):
        return [_cleaned(entry) for entry in value]
    if isinstance(value, str):
        value.encode("utf-8")
        return value.replace("\0", "")
    return value


@cache
def _validator(shape: str) -> Callable[[Any], Any]:
    compiled: Callable[[Any], Any] = fastjsonschema.compile(
        {**ref(shape), "components": {"schemas": SCHEMAS}}, use_default=False
    )
    return compiled
