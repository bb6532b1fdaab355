"""Notifications of an account (API section 7)."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from algo_local.error_codes import ErrorCode
from algo_local.metadata.notifications import TYPES
from algo_local.refusals import Invalid
from algo_local.times import iso
from algo_local.web.http import ApiError
from algo_local.web.pages import PAGE_LIMIT, PAGE_SIZE
from algo_local.web.times import seconds_of

if TYPE_CHECKING:
    from algo_local.web.authorization import RequestContext


def index(context: RequestContext) -> list[dict[str, Any]]:
    """`GET /v1/users/ID/notifications?event_types=...`."""
    query = context.request.query
    kinds = [kind.strip() for kind in query.get("event_types", "").split(",") if kind.strip()]
    if not kinds:
        message = f"event_types is missing: some of {', '.join(TYPES)}, with commas between them"
        raise Invalid(message, ErrorCode.MISSING_QUERY_PARAMETER_EVENT_TYPES)
    if unknown := [kind for kind in kinds if kind not in TYPES]:
        message = f"No such event type: {unknown[0][:50]}; there are {', '.join(TYPES)}"
        raise Invalid(message, ErrorCode.QUERY_PARAMETER_ERROR)
    limit = query.get("limit") or str(PAGE_SIZE)
    if not limit.isascii() or not limit.isdigit() or not 0 < int(limit[:9]) <= PAGE_LIMIT:
        raise ApiError(400, f"The limit must be a number from 1 to {PAGE_LIMIT}", ErrorCode.INVALID_LIMIT)
    since = seconds_of(query["since"]) if query.get("since") else 0.0
    return [
        {**found.context, "notification_type": found.type, "created_at": iso(found.created_at)}
        for found in context.platform.notifications.of(context.account, kinds, since, int(limit))
    ]
