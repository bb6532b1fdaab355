"""Schedules of an account (an extension of this platform)."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from algo_local.algorithms.visibility import visible_algorithm
from algo_local.error_codes import ErrorCode
from algo_local.times import iso, iso_or_none
from algo_local.web.bodies import read_body
from algo_local.web.http import ApiError
from algo_local.web.pages import page
from algo_local.web.references import Reference, unknown

if TYPE_CHECKING:
    from algo_local.metadata.schedules import Schedule
    from algo_local.web.authorization import RequestContext


def index(context: RequestContext) -> dict[str, Any]:
    """`GET /v1/users/NAME/schedules`."""
    return page(context, [_described(found) for found in context.platform.schedules.of(context.account)])


def create(context: RequestContext) -> dict[str, Any]:
    """`POST /v1/users/NAME/schedules`: of an algorithm that the account and the key may call."""
    body = read_body(context)
    reference = Reference(body["algorithm"])
    registry, key = context.platform.registry, context.caller.key
    algorithm = visible_algorithm(registry, context.caller, *reference.names) if reference.names else None
    as_owner = algorithm is not None and context.caller.owns_algorithm(algorithm.owner)
    if not algorithm or not registry.resolve(algorithm, reference.version, as_owner=as_owner):
        raise unknown(reference)
    # The calls are the account's, without the limits of the key.
    if key and not (key.permissions.allow_algo and key.permissions.may_call(algorithm.owner, algorithm.name)):
        raise ApiError(403, "The key may not call this algorithm", ErrorCode.NOT_AUTHORIZED)
    given = body.get("input", "")
    content_type = "text" if isinstance(given, str) else "json"
    made = context.platform.schedules.create(
        context.account,
        f"{algorithm.owner}/{algorithm.name}",
        reference.version,
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
