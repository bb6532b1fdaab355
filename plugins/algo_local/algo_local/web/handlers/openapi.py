"""The OpenAPI document of the API: `GET /v1/openapi.json`."""

from __future__ import annotations

from typing import TYPE_CHECKING

from algo_local.callers import Caller
from algo_local.web.authorization import authenticate
from algo_local.web.http import ApiError, Response, json_response
from algo_local.web.openapi import document

if TYPE_CHECKING:
    from algo_local.web.authorization import RequestContext


def show(context: RequestContext) -> Response:
    """`GET /v1/openapi.json`, and by its older name `GET /v1/openapispec`: callers with a key also find algorithms."""
    caller = _caller(context)
    if not caller:
        return json_response(document())
    from algo_local.web.algorithm_operations import algorithm_operations

    own = document()
    return json_response({**own, "paths": {**own["paths"], **algorithm_operations(context.platform, caller)}})


def _caller(context: RequestContext) -> Caller | None:
    """The caller, if authenticated: algorithms are described to callers who may list them."""
    if context.address == "local:":
        account = context.platform.account
        return Caller(account, roles=context.platform.metadata.roles(account))
    if not context.request.header("Authorization"):
        return None
    try:
        return authenticate(context.request, context.platform, trusted=False)
    except ApiError:
        return None
