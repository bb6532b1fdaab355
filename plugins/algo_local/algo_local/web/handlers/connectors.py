"""The connectors of an account (API section 4.9)."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from algo_local.error_codes import ErrorCode
from algo_local.refusals import Invalid, Missing
from algo_local.web.bodies import read_body
from algo_local.web.http import ApiError
from algo_local.web.pages import page

if TYPE_CHECKING:
    from algo_local.data.connectors import AccountConnector
    from algo_local.web.authorization import RequestContext

PROTOCOLS = ("s3", "azureblob", "gs", "dropbox")
CREDENTIALS = {
    "iam": ("access_key_id", "secret_access_key"),
    "sas": ("storage_uri", "sas_token", "container_name"),
    "serviceaccount": ("email", "private_key_id", "private_key"),
    "oauth": ("access_token", "refresh_token"),
}
"""The members of `cred_data` for each `cred_type`; they are options of the stores."""


def index(context: RequestContext) -> dict[str, Any]:
    """`GET /v1/users/USER/connectors`."""
    return page(context, [_described(found) for found in context.platform.connectors.of(context.account)])


def create(context: RequestContext) -> dict[str, Any]:
    """`POST /v1/users/USER/connectors`."""
    body = read_body(context)
    if str(body.get("username") or context.account).lower() != context.account.lower():
        message = f"The username does not match the address: {context.account}"
        raise Invalid(message, ErrorCode.INCONSISTENT_USERNAME)
    label = body.get("label", "")
    made = context.platform.connectors.add(
        context.account,
        f"{body['protocol']}+{label}" if label else body["protocol"],
        _options_in(body),
        path=body.get("path") or "*",
        writable=body.get("writeable", False),
        default=body.get("is_default", False),
    )
    return _described(made)


def show(context: RequestContext) -> dict[str, Any]:
    """`GET /v1/users/USER/connectors/ID`."""
    return _described(_connector(context))


def edit(context: RequestContext) -> dict[str, Any]:
    """`PATCH /v1/users/USER/connectors/ID`: what is left out stays; credentials are exchanged as a whole."""
    body = read_body(context)
    options = _options_in(body) if "cred_data" in body or "cred_type" in body else None
    changed = context.platform.connectors.edit(
        _connector(context),
        path=body.get("path"),
        writable=body.get("writeable"),
        default=body.get("is_default"),
        options=options,
    )
    return _described(changed)


def delete(context: RequestContext) -> None:
    """`DELETE /v1/users/USER/connectors/ID`."""
    context.platform.connectors.remove(context.account, _connector(context).name)


def _connector(context: RequestContext) -> AccountConnector:
    wanted = context.parameters["connectorUuid"].lower()
    for found in context.platform.connectors.of(context.account):
        if found.id == wanted:
            return found
    raise Missing(f"No connector {wanted[:50]}", ErrorCode.INVALID_REQUEST)


def _options_in(body: dict[str, Any]) -> dict[str, Any]:
    """The options in `cred_data`, an object or the text of one, and in `options`, which this platform adds."""
    kind, given, more = body.get("cred_type"), body.get("cred_data"), body.get("options") or {}
    if kind not in CREDENTIALS:
        raise ApiError(400, f"cred_type is one of {', '.join(CREDENTIALS)}", ErrorCode.MALFORMED_JSON)
    if isinstance(given, str):
        try:
            given = json.loads(given)
        except ValueError:
            given = None
    if not isinstance(given, dict) or not isinstance(more, dict):
        raise ApiError(
            400, f"cred_data of {kind} is an object with {', '.join(CREDENTIALS[kind])}", ErrorCode.MALFORMED_JSON
        )
    return {**{name: given[name] for name in CREDENTIALS[kind] if given.get(name)}, **more}


def _described(connector: AccountConnector) -> dict[str, Any]:
    return {
        "connector_id": connector.id,
        "username": connector.owner,
        "label": connector.label,
        "protocol": connector.scheme,
        "is_default": connector.is_default,
        "path": connector.path,
        "writeable": connector.writable,
        "permissions": ["read", "write"] if connector.writable else ["read"],
    }
