"""Insights of algorithms, and the connection they are sent to (API section 3.10)."""

from __future__ import annotations

import json
import uuid
from typing import TYPE_CHECKING, Any

from algo_local.callers import DENIED
from algo_local.error_codes import ErrorCode
from algo_local.records.insights import RESERVED, described_insights
from algo_local.records.rows import Question
from algo_local.refusals import Forbidden, Invalid, Missing
from algo_local.web.bodies import read_body, read_list
from algo_local.web.http import ApiError
from algo_local.web.pages import newest_page
from algo_local.web.times import seconds_of

if TYPE_CHECKING:
    from algo_local.web.authorization import RequestContext
    from algo_local.web.http import Response

ENTRY = "insights-connection"
"""The value of the configuration that holds the connection."""

MOST, MOST_BYTES = 25, 25 << 10
"""Insights of one report, and their bytes (API section 3.9)."""


def report(context: RequestContext) -> Response | None:
    """`POST /v1/insights`: only a running algorithm can, about the call that it serves."""
    running = context.caller.inside
    if not running:
        raise Forbidden(f"{DENIED}: only a running algorithm reports insights", ErrorCode.NOT_AUTHORIZED)
    if context.platform.forwarding:  # the call runs there
        response: Response = context.platform.forwarding.answer(context.request)
        return response
    entries = read_list(context, limit=MOST_BYTES)
    if len(entries) > MOST:
        raise Invalid(f"At most {MOST} insights are reported at once", ErrorCode.INPUT_VALIDATION_ERROR)
    found = [(entry["insight_key"], entry["insight_value"]) for entry in entries]
    for name, _ in found:
        if name in RESERVED:
            raise Invalid(f"The platform itself reports {name}", ErrorCode.INPUT_VALIDATION_ERROR)
    if not found or not running.keeps_insights:
        return None
    if not context.platform.records.report(running.request_id, found):
        raise ApiError(413, "The call has reported as many insights as are kept", ErrorCode.INVALID_REQUEST)
    if to := _connection(context):
        context.platform.webhooks.tell_insights(running.request_id, to["broker_url"], to["topic"], to["account"])
    return None


def index(context: RequestContext) -> dict[str, Any]:
    """`GET .../insights` of an algorithm: those of its calls that reported any, newest first."""
    since = context.request.query.get("since")
    question = Question(algorithm=context.algorithm.id, since=seconds_of(since) if since else None, with_insights=True)
    return newest_page(context, question, described_insights)


def show_connection(context: RequestContext) -> dict[str, Any]:
    """`GET /v1/admin/insights-connection`."""
    found = _connection(context)
    if not found:
        raise Missing("No connection for insights is configured", ErrorCode.CONFIG_ENTRY_NOT_FOUND)
    return {name: value for name, value in found.items() if name != "account"}


def connect(context: RequestContext) -> dict[str, Any]:
    """`POST /v1/admin/insights-connection`."""
    from algo_local.webhooks.target import parse

    body = read_body(context)
    if body["connection_type"] != "webhook":
        message = "This platform has no Kafka client: insights are sent to an address, with the connection_type webhook"
        raise Invalid(message, ErrorCode.NOT_IMPLEMENTED)
    parse(body["broker_url"])
    names = ("connection_type", "broker_url", "topic")
    made = {"id": str(uuid.uuid4()), **{name: body[name] for name in names}, "account": context.caller.account}
    context.platform.administration.set_entry(ENTRY, json.dumps(made).encode(), "application/json")
    return show_connection(context)


def disconnect(context: RequestContext) -> None:
    """`DELETE /v1/admin/insights-connection`."""
    if not context.platform.administration.delete_entry(ENTRY):
        raise Missing("No connection for insights is configured", ErrorCode.CONFIG_ENTRY_NOT_FOUND)


def _connection(context: RequestContext) -> dict[str, str] | None:
    """The address of insights, and the administrator's account that set it."""
    entry = context.platform.administration.entry(ENTRY)
    found: dict[str, str] | None = json.loads(entry.value) if entry else None
    return found
