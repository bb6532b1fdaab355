"""The secrets of algorithms, whose values are never shown again (API section 6.6)."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NoReturn

from algo_local.error_codes import ErrorCode
from algo_local.refusals import Missing
from algo_local.times import iso
from algo_local.web.bodies import read_body
from algo_local.web.handlers.refused import refuse

if TYPE_CHECKING:
    from algo_local.metadata.secrets import Secret
    from algo_local.web.authorization import RequestContext

PROVIDER = {
    "id": "9c9a1c2f-7f0f-4f3a-8d0e-2b6c4a2f5c11",
    "name": "algorithmia_internal_secret_provider",
    "description": "Encrypted in this platform's database",
    "moduleName": "internal",
    "factoryClassName": "internal",
    "interfaceVersion": "1.0",
    "isEnabled": True,
    "isDefault": True,
}
"""The one place where this platform keeps secrets."""


def index(context: RequestContext) -> dict[str, Any]:
    """`GET .../secrets`: under both names that clients look for."""
    found = [_described(context, secret) for secret in context.platform.secrets.of(context.algorithm.id)]
    return {"results": found, "secrets": found}


def create(context: RequestContext) -> dict[str, Any]:
    """`POST .../secrets`."""
    body = read_body(context)
    provider = body.get("provider_id", PROVIDER["id"])
    if provider.lower() != PROVIDER["id"]:
        raise Missing(f"No secret provider {provider[:50]}", ErrorCode.SECRET_PROVIDER_NOT_FOUND)
    made = context.platform.secrets.create(
        context.algorithm.id,
        body["short_name"],
        body.get("description", "").strip(),
        body["secret_key"],
        body["secret_value"],
    )
    return _described(context, made)


def edit(context: RequestContext) -> dict[str, Any]:
    """`PUT .../secrets/ID`."""
    body = read_body(context)
    value = body.pop("secret_value", None)
    secrets = context.platform.secrets
    return _described(context, secrets.edit(context.algorithm.id, context.parameters["secretId"], body, value))


def delete(context: RequestContext) -> None:
    """`DELETE .../secrets/ID`."""
    context.platform.secrets.delete(context.algorithm.id, context.parameters["secretId"])


def providers(context: RequestContext) -> list[dict[str, Any]]:
    """`GET /v1/secret-provider`, `GET /v1/admin/secret-provider`."""
    return [PROVIDER]


def provider(context: RequestContext) -> dict[str, Any]:
    """`GET /v1/admin/secret-provider/ID`."""
    wanted = context.parameters["providerId"]
    if wanted.lower() != PROVIDER["id"]:
        raise Missing(f"No secret provider {wanted[:50]}", ErrorCode.SECRET_PROVIDER_NOT_FOUND)
    return PROVIDER


def refuse_provider(context: RequestContext) -> NoReturn:
    """`POST` and `DELETE /v1/admin/secret-provider/ID`: the internal one stays as it is."""
    provider(context)
    refuse(context)


def set_default_provider(context: RequestContext) -> None:
    """`POST /v1/admin/plugins/secret-provider/ID/default`: the internal one is the default already."""
    provider(context)


def _described(context: RequestContext, secret: Secret) -> dict[str, Any]:
    return {
        "id": secret.id,
        "short_name": secret.short_name,
        "description": secret.description,
        "secret_key": secret.secret_key,
        "owner_type": "algorithm",
        "owner_id": context.algorithm.id,
        "provider_id": PROVIDER["id"],
        "created": iso(secret.created_at),
        "modified": iso(secret.modified_at),
    }
