"""The configuration of front ends; read by everybody, set by administrators."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

from algo_local.error_codes import ErrorCode
from algo_local.refusals import Invalid, Missing
from algo_local.web.bodies import read_body
from algo_local.web.pages import page

if TYPE_CHECKING:
    from algo_local.metadata.administration import ConfigurationValue
    from algo_local.web.authorization import RequestContext

PREFIX = "frontend/"
_NAME = re.compile(r"\w[\w.-]{0,62}\w", re.ASCII)


def index(context: RequestContext) -> dict[str, Any]:
    """`GET /v1/config/frontend`."""
    return page(context, [_described(entry) for entry in context.platform.administration.entries(PREFIX)])


def show(context: RequestContext) -> dict[str, Any]:
    """`GET /v1/config/frontend/NAME`."""
    entry = context.platform.administration.entry(PREFIX + context.parameters["keyname"])
    if not entry:
        raise _missing(context)
    return _described(entry)


def put(context: RequestContext) -> dict[str, Any]:
    """`PUT /v1/config/frontend/NAME`."""
    name, body = context.parameters["keyname"], read_body(context)
    if not _NAME.fullmatch(name) or body.get("keyname", name) != name:
        raise Invalid(f"Not the name of a value: {name[:64]!r}", ErrorCode.INPUT_VALIDATION_ERROR)
    entry = context.platform.administration.set_entry(PREFIX + name, body["value"].encode("utf-8"), "text/plain")
    return _described(entry)


def delete(context: RequestContext) -> None:
    """`DELETE /v1/config/frontend/NAME`."""
    if not context.platform.administration.delete_entry(PREFIX + context.parameters["keyname"]):
        raise _missing(context)


def _missing(context: RequestContext) -> Missing:
    return Missing(f"No value {context.parameters['keyname'][:64]}", ErrorCode.CONFIG_ENTRY_NOT_FOUND)


def _described(entry: ConfigurationValue) -> dict[str, Any]:
    return {
        "keyname": entry.name.removeprefix(PREFIX),
        "value": entry.value.decode("utf-8"),
        "created_at": round(entry.created_at * 1000),
        "updated_at": round(entry.updated_at * 1000),
        "resource_type": "frontendConfigurationEntry",
    }
