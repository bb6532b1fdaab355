"""Incoming webhooks of an account (an extension of this platform)."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from algo_core.errors import AlgoError
from algo_local.error_codes import ErrorCode
from algo_local.refusals import Missing
from algo_local.times import iso, iso_or_none
from algo_local.web.bodies import read_body
from algo_local.web.handlers.account_calls import begin_call, callable_reference
from algo_local.web.http import ApiError
from algo_local.web.pages import page

if TYPE_CHECKING:
    from algo_local.metadata.incoming_webhooks import IncomingWebhook
    from algo_local.web.authorization import RequestContext
    from algo_local.web.http import Response


def index(context: RequestContext) -> dict[str, Any]:
    """`GET /v1/users/NAME/incoming-webhooks`."""
    return page(context, [_described(found) for found in context.platform.incoming_webhooks.of(context.account)])


def create(context: RequestContext) -> dict[str, Any]:
    """`POST /v1/users/NAME/incoming-webhooks`: its address is in the answer, and nowhere else."""
    algorithm, version = callable_reference(context, read_body(context)["algorithm"])
    made, token = context.platform.incoming_webhooks.create(context.account, algorithm, version)
    return {**_described(made), "url": context.url(f"/v1/webhooks/{token}")}


def delete(context: RequestContext) -> None:
    """`DELETE /v1/users/NAME/incoming-webhooks/ID`."""
    context.platform.incoming_webhooks.delete(context.account, context.parameters["webhookId"])


def receive(context: RequestContext) -> dict[str, Any] | Response:
    """`POST /v1/webhooks/TOKEN`: calls the algorithm with the body, as its account, without waiting for the end."""
    webhooks, request = context.platform.incoming_webhooks, context.request
    webhook = webhooks.find(context.parameters["webhookToken"])
    if not webhook:
        raise Missing("No such webhook", ErrorCode.INVALID_REQUEST)
    if context.platform.forwarding:
        with context.platform.concurrency.counted(webhook.owner):
            response: Response = context.platform.forwarding.answer(request)
        return response
    headers = {name: value for name, value in request.headers.items() if name in {"content-type", "content-encoding"}}
    where = (webhook.owner, webhook.algorithm, webhook.version)
    try:
        made = begin_call(context.platform, *where, headers, request.stream, request.length)
    except (AlgoError, ApiError) as error:
        webhooks.ran(webhook, "", error.message)
        raise
    webhooks.ran(webhook, made, "")
    return {"async": "void", "request_id": made}


def _described(webhook: IncomingWebhook) -> dict[str, Any]:
    return {
        "id": webhook.id,
        "algorithm": "/".join(filter(None, (webhook.algorithm, webhook.version))),
        "created_at": iso(webhook.created_at),
        "last_at": iso_or_none(webhook.last_at),
        "last_request_id": webhook.last_request or None,
        "problem": webhook.problem,
    }
