"""Schedules of an account (an extension of this platform)."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from algo_local.times import iso, iso_or_none
from algo_local.web.bodies import read_body
from algo_local.web.handlers.account_calls import callable_reference
from algo_local.web.pages import page

if TYPE_CHECKING:
    from algo_local.metadata.schedules import Schedule
    from algo_local.web.authorization import RequestContext


def index(context: RequestContext) -> dict[str, Any]:
    """`GET /v1/users/NAME/schedules`."""
    return page(context, [_described(found) for found in context.platform.schedules.of(context.account)])


def create(context: RequestContext) -> dict[str, Any]:
    """`POST /v1/users/NAME/schedules`: of an algorithm that the account and the key may call."""
    body = read_body(context)
    algorithm, version = callable_reference(context, body["algorithm"])
    given = body.get("input", "")
    content_type = "text" if isinstance(given, str) else "json"
    made = context.platform.schedules.create(
        context.account,
        algorithm,
        version,
        " ".join(body["cron"].split()),
        body.get("timezone", "UTC"),
        (content_type, given if content_type == "text" else json.dumps(given)),
    )
    return _described(made)


def show(context: RequestContext) -> dict[str, Any]:
    """`GET /v1/users/NAME/schedules/ID`."""
    return _described(_wanted(context))


def delete(context: RequestContext) -> None:
    """`DELETE /v1/users/NAME/schedules/ID`."""
    context.platform.schedules.delete(_wanted(context))


def _wanted(context: RequestContext) -> Schedule:
    return context.platform.schedules.get(context.account, context.parameters["scheduleId"])


def _described(schedule: Schedule) -> dict[str, Any]:
    return {
        "id": schedule.id,
        "algorithm": "/".join(filter(None, (schedule.algorithm, schedule.version))),
        "cron": schedule.cron,
        "timezone": schedule.timezone,
        "input": schedule.input if schedule.content_type == "text" else json.loads(schedule.input),
        "created_at": iso(schedule.created_at),
        "next_at": iso(schedule.next_at),
        "last_at": iso_or_none(schedule.last_at),
        "last_request_id": schedule.last_request or None,
        "problem": schedule.problem,
        "missed": schedule.missed,
    }
