"""Hosts of sources: this platform itself (API section 6.5)."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NoReturn

from algo_local.error_codes import ErrorCode
from algo_local.refusals import Invalid, Missing
from algo_local.web.algorithm_objects import INTERNAL_SCM
from algo_local.web.pages import page

if TYPE_CHECKING:
    from algo_local.web.authorization import RequestContext


def index(context: RequestContext) -> dict[str, Any]:
    """`GET /v1/scms`."""
    return page(context, [INTERNAL_SCM])


def show(context: RequestContext) -> dict[str, Any]:
    """`GET /v1/scms/ID`."""
    wanted = context.parameters["scmId"]
    if wanted != INTERNAL_SCM["id"]:
        raise Missing(f"No source host {wanted[:50]}", ErrorCode.SCM_CONFIGURATION_NOT_FOUND)
    return INTERNAL_SCM


def connection(context: RequestContext) -> dict[str, Any]:
    """`GET .../scm/status`: what the platform hosts itself it always reaches."""
    return {"scm_connection_status": "active"}


def refuse_oauth(context: RequestContext) -> NoReturn:
    """`.../oauth/...`: the platform itself needs no authorization."""
    show(context)
    raise Invalid("This source host is the platform itself, and needs no authorization", ErrorCode.OAUTH_UNSUPPORTED)


def refuse_token(context: RequestContext) -> NoReturn:
    """`.../token/...`: the platform itself needs no token."""
    show(context)
    message = "This source host is the platform itself, and needs no token"
    raise Invalid(message, ErrorCode.SCM_DISALLOWED_OPERATION)


def set_default(context: RequestContext) -> None:
    """`POST /v1/admin/scms/ID/default`: the platform itself is the default already."""
    show(context)
