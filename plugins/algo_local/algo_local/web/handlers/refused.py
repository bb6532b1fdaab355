"""Operations of the API that this platform does not support, each with the reason."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple, NoReturn

from algo_local.error_codes import ErrorCode
from algo_local.web.http import ApiError

if TYPE_CHECKING:
    from algo_local.web.authorization import RequestContext


class Refusal(NamedTuple):
    """The status, code and reason of a refusal."""

    status: int
    code: int
    reason: str


_HOSTS = "Algorithms run as processes of this platform, not as users of other hosts"
_PROVIDERS = "Secrets are kept encrypted in this platform's database; providers in Java archives cannot be installed"
_REGISTRIES = "Algorithms are not container images here, so no registry can receive them"

_OAUTH = "The platform connects to source hosts with tokens, not with OAuth"
_INTERNAL = "The internal secret provider cannot be changed"

REFUSALS = {
    "initiateScmAuthorization": Refusal(400, ErrorCode.OAUTH_UNSUPPORTED, _OAUTH),
    "completeScmAuthorization": Refusal(400, ErrorCode.OAUTH_UNSUPPORTED, _OAUTH),
    "revokeScmAuthorization": Refusal(400, ErrorCode.OAUTH_UNSUPPORTED, _OAUTH),
    "updateProvider": Refusal(400, ErrorCode.CANNOT_MODIFY_INTERNAL_SECRET_PROVIDER, _INTERNAL),
    "deleteProvider": Refusal(400, ErrorCode.CANNOT_MODIFY_INTERNAL_SECRET_PROVIDER, _INTERNAL),
    "getHostUsernames": Refusal(400, ErrorCode.NOT_IMPLEMENTED, _HOSTS),
    "setHostUsernames": Refusal(400, ErrorCode.NOT_IMPLEMENTED, _HOSTS),
    "deleteHostUsernames": Refusal(400, ErrorCode.NOT_IMPLEMENTED, _HOSTS),
    "update": Refusal(400, ErrorCode.ORGANIZATION_HOST_INFORMATION_NOT_FOUND, _HOSTS),
    "getByOrgName": Refusal(400, ErrorCode.ORGANIZATION_HOST_INFORMATION_NOT_FOUND, _HOSTS),
    "createOrganizationHostInformation": Refusal(400, ErrorCode.NOT_IMPLEMENTED, _HOSTS),
    "delete": Refusal(400, ErrorCode.ORGANIZATION_HOST_INFORMATION_NOT_FOUND, _HOSTS),
    "createSecretProvider": Refusal(403, ErrorCode.NOT_IMPLEMENTED, _PROVIDERS),
    "checkSecretProviderForJar": Refusal(400, ErrorCode.NOT_IMPLEMENTED, _PROVIDERS),
    "uploadJarForSecretProvider": Refusal(403, ErrorCode.NOT_IMPLEMENTED, _PROVIDERS),
    "createRegistry": Refusal(400, ErrorCode.NOT_IMPLEMENTED, _REGISTRIES),
    "updateRegistry": Refusal(400, ErrorCode.NOT_IMPLEMENTED, _REGISTRIES),
    "deleteRegistry": Refusal(400, ErrorCode.NOT_IMPLEMENTED, _REGISTRIES),
    "GetAlgorithmImagePushStatus": Refusal(404, ErrorCode.NOT_IMPLEMENTED, _REGISTRIES),
    "RepublishAlgorithm": Refusal(400, ErrorCode.NOT_IMPLEMENTED, _REGISTRIES),
}
"""By the ids of operations; the statuses are those that the API documents for them."""


def refuse(context: RequestContext) -> NoReturn:
    """An operation of `REFUSALS`."""
    refusal = REFUSALS[context.operation.id]
    raise ApiError(refusal.status, refusal.reason, refusal.code)


def registries(context: RequestContext) -> list[dict[str, Any]]:
    """`GET /v1/registries`: there are none."""
    return []
