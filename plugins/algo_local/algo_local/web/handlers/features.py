"""The switches of the platform, for administrators."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from algo_local.error_codes import ErrorCode
from algo_local.metadata.administration import EVERYBODY
from algo_local.refusals import Missing
from algo_local.web.bodies import read_body
from algo_local.web.features import FEATURES

if TYPE_CHECKING:
    from algo_local.web.authorization import RequestContext


def index(context: RequestContext) -> list[dict[str, Any]]:
    """`GET /v1/admin/features[?username=USER]`."""
    account = _account(context)
    enabled = context.platform.administration.is_enabled
    return [
        {"name": name, "enabled": enabled(name, account), "description": description}
        for name, description in FEATURES.items()
    ]


def toggle(context: RequestContext) -> None:
    """`PUT /v1/admin/features/NAME[?username=USER]`."""
    name = context.parameters["featureName"]
    if name not in FEATURES:
        raise Missing(f"No feature {name[:50]}; there are {', '.join(FEATURES)}", ErrorCode.CONFIG_ENTRY_NOT_FOUND)
    context.platform.administration.switch(name, _account(context), read_body(context)["enabled"])


def _account(context: RequestContext) -> str:
    name = context.request.query.get("username")
    return context.platform.accounts.get(name).name if name else EVERYBODY
