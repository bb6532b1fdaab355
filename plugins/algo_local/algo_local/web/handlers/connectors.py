"""The connectors of an account (API section 4.9)."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from algo_local.error_codes import ErrorCode
from algo_local.web.http import ApiError, Response, json_response
from algo_local.web.pages import page

if TYPE_CHECKING:
    from algo_local.data.connectors import Connector
    from algo_local.platform import Platform
    from algo_local.web.authorization import RequestContext

PROTOCOLS = ("s3", "azureblob", "gs", "dropbox")
CREDENTIALS = {
    "iam": ("access_key_id", "secret_access_key"),
    "sas": ("storage_uri", "sas_token", "container_name"),
    "serviceaccount": ("email", "private_key_id", "private_key"),
    "oauth": ("access_token", "refresh_token"),
}
"""What `cred_data` holds for each `cred_type`; the stores take options of these names."""


def index(context: RequestContext) -> Response:
    """`GET /v1/users/USER/connectors`."""
    return page(context.request, [_described(found) for found in context.platform.connectors.of(context.account)])


def create(context: RequestContext) -> Response:
    """`POST /v1/users/USER/connectors`."""
    return json_response(_described(_add(context.platform, context.account, context.request.json())))


def _add(platform: Platform, owner: str, body: Any) -> Connector:
    if not isinstance(body, dict) or body.get("protocol") not in PROTOCOLS:
        raise ApiError(400, f"A connector has a protocol, one of {', '.join(PROTOCOLS)}", ErrorCode.MALFORMED_JSON)
    if str(body.get("username") or owner).lower() != owner.lower():
        raise ApiError(400, f"The username is not that of the address: {owner}", ErrorCode.MALFORMED_JSON)
    label, path = body.get("label") or "", body.get("path") or "*"
    if not isinstance(label, str) or not isinstance(path, str):
        raise ApiError(400, "label and path are texts", ErrorCode.MALFORMED_JSON)
    return platform.connectors.add(
        owner,
        f"{body['protocol']}+{label}" if label else body["protocol"],
        _options_in(body),
        path=path,
        writable=bool(body.get("writeable")),
        default=bool(body.get("is_default")),
    )


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


def _described(connector: Connector) -> dict[str, Any]:
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
