"""The record of calls: `/v1/requests` (API section 3.11)."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any

from algo_local.algorithms.visibility import reads_source
from algo_local.callers import DENIED
from algo_local.error_codes import ErrorCode
from algo_local.records.insights import listed
from algo_local.records.record import STATES, Content, Record
from algo_local.records.rows import Question
from algo_local.times import iso, iso_or_none
from algo_local.web.answers import raw, wrapped
from algo_local.web.http import ApiError, Response, json_response
from algo_local.web.pages import newest_page
from algo_local.web.times import seconds_of
from algo_local.webhooks.rows import WAITING
from algo_local.webhooks.sending import HEADER

if TYPE_CHECKING:
    from algo_local.web.authorization import RequestContext
    from algo_local.webhooks.rows import Webhook

LONGEST_WAIT = 60.0
"""Seconds that a request for a result may wait for it."""

_TYPES = {"text": "text/plain; charset=utf-8", "json": "application/json", "binary": "application/octet-stream"}


def index(context: RequestContext) -> dict[str, Any]:
    """`GET /v1/requests`: newest first. A page may have fewer entries than asked for, and another one follow."""
    key = context.caller.key
    return newest_page(
        context,
        _question(context),
        _described,
        shows=lambda record: key is None or key.permissions.may_call(record.owner, record.name),
    )


def show(context: RequestContext) -> dict[str, Any]:
    """`GET /v1/requests/ID`."""
    record = _record(context)
    found = _described(record)
    if context.caller.administrator or context.caller.acts_for(record.account):
        webhook = context.platform.webhooks.find(record.id)
        found |= {"notification": _notification(webhook, is_ended=record.is_finished)} if webhook else {}
    if _sees_inside(context):
        found["insights"] = listed(record)
    return found


def secret(context: RequestContext) -> dict[str, Any]:
    """`GET /v1/webhook-secret`: what the receivers of an account's notifications verify their signatures with."""
    return {"secret": context.platform.webhook_secret(context.caller.account), "header": HEADER}


def result(context: RequestContext) -> Response:
    """`GET /v1/requests/ID/result`: as the call itself would have answered; 202 while it has not ended."""
    seconds, record = _wait(context), _theirs(context)
    if not record.is_finished:
        record = context.platform.records.wait(record.id, seconds) or record
    if not record.is_finished:
        return json_response({"state": record.state, "request_id": record.id}, 202, {"Retry-After": "1"})
    answer = context.platform.records.answer(record)
    if answer is None:
        raise ApiError(410, f"The result of {record.id} is not kept, or no longer", ErrorCode.REQUEST_ID_NOT_FOUND)
    if context.request.query.get("output", "").lower() == "raw":
        return raw(answer)
    algorithm = context.target.algorithm
    trace = context.caller.administrator or (algorithm is not None and reads_source(context.caller, algorithm))
    stdout = context.request.flag("stdout") and _sees_inside(context)
    return wrapped(answer, record.id, trace=trace, stdout=stdout)


def given(context: RequestContext) -> Response:
    """`GET /v1/requests/ID/input`: the bytes that the call was made with."""
    record = _theirs(context)
    content = context.platform.records.content(record.input)
    if content is None or record.input is None:
        raise ApiError(410, f"The input of {record.id} is not kept, or no longer", ErrorCode.REQUEST_ID_NOT_FOUND)
    return Response(200, content, {"Content-Type": _TYPES[record.input.content_type]})


def logs(context: RequestContext) -> dict[str, Any]:
    """`GET /v1/requests/ID/logs`: what the algorithm printed; for those who own the algorithm."""
    seconds, record = _wait(context), _record(context)
    if not _sees_inside(context):
        raise ApiError(403, f"{DENIED}: only its owner may see what an algorithm prints", ErrorCode.NOT_AUTHORIZED)
    if not record.is_finished:
        record = context.platform.records.wait(record.id, seconds) or record
    return {"request_id": record.id, "state": record.state, "logs": record.printed}


def cancel(context: RequestContext) -> dict[str, Any]:
    """`POST /v1/requests/ID/cancel`: a call that has ended stays as it is."""
    seconds, record = _wait(context), _theirs(context)
    if not record.is_finished:
        context.platform.records.cancel(record.id)
        record = context.platform.records.wait(record.id, seconds) or record
    return _described(record)


def _record(context: RequestContext) -> Record:
    record = context.target.record
    assert record, f"{context.operation.path} names no request"
    return record


def _theirs(context: RequestContext) -> Record:
    """The call, if it is the caller's own: input and result are not shown to others."""
    record = _record(context)
    if not (context.caller.administrator or context.caller.acts_for(record.account)):
        raise ApiError(403, DENIED, ErrorCode.NOT_AUTHORIZED)
    return record


def _sees_inside(context: RequestContext) -> bool:
    """Whether the caller may see what the algorithm prints, and reports."""
    algorithm = context.target.algorithm
    return context.caller.administrator or (algorithm is not None and context.caller.owns_algorithm(algorithm.owner))


def _wait(context: RequestContext) -> float:
    text = context.request.query.get("wait", "0")
    try:
        seconds = float(text)
    except ValueError:
        seconds = -1.0
    if not 0 <= seconds <= LONGEST_WAIT:
        message = f"wait must be a number of seconds from 0 to {LONGEST_WAIT:.0f}, not {text[:50]!r}"
        raise ApiError(400, message, ErrorCode.INVALID_REQUEST)
    return seconds


def _question(context: RequestContext) -> Question:
    """The filters of a request: the caller's own calls, their organization's, or those of their algorithm."""
    query, caller, platform = context.request.query, context.caller, context.platform
    accounts: list[str] | None = None if caller.administrator else [caller.account]
    algorithm = ""
    if reference := query.get("algorithm"):
        from algo_local.algorithms.visibility import visible_algorithm

        owner, _, name = reference.removeprefix("algo://").partition("/")
        found = visible_algorithm(platform.registry, caller, owner.lower(), name.lower())
        if not found:
            raise ApiError(404, f"algorithm algo://{reference} not found", ErrorCode.ALGORITHM_NOT_FOUND)
        algorithm = found.id
        if caller.owns_algorithm(found.owner) and not caller.inside:
            accounts = None
    if query.get("account"):
        account = platform.metadata.account(query["account"])
        if not account or not (caller.administrator or caller.acts_for(account)):
            raise ApiError(403, DENIED, ErrorCode.NOT_AUTHORIZED)
        accounts = [account]
    states = [word for word in query.get("state", "").split(",") if word]
    if unknown := [word for word in states if word not in STATES]:
        message = f"No state {unknown[0][:50]!r}: they are {', '.join(STATES)}"
        raise ApiError(400, message, ErrorCode.INPUT_VALIDATION_ERROR)
    since = seconds_of(query["since"]) if query.get("since") else None
    parent = caller.inside.request_id if caller.inside else None
    return Question(accounts, algorithm, states, since, parent=parent)


def _described(record: Record) -> dict[str, Any]:
    failure = record.failure
    return {
        "request_id": record.id,
        "state": record.state,
        "account": record.account,
        "algorithm": f"{record.owner}/{record.name}",
        "version": record.version,
        "created_at": iso(record.created_at),
        "started_at": iso_or_none(record.started_at),
        "finished_at": iso_or_none(record.finished_at),
        "duration": record.duration,
        "void": record.is_void,
        "worker": record.worker or None,
        "parent": record.parent or None,
        "idempotency_key": record.key,
        "repeats": record.repeats or None,
        "input": _content(record.input),
        "output": _content(record.output),
        "failure": {"message": failure.message, "error_type": failure.error_type} if failure else None,
        "resource_type": "request",
    }


def _notification(webhook: Webhook, *, is_ended: bool) -> dict[str, Any]:
    is_due = webhook.state == WAITING and is_ended
    return {
        "url": webhook.url,
        "state": webhook.state,
        "attempts": webhook.attempts,
        "next_attempt_at": iso(max(webhook.due_at, time.time())) if is_due else None,
        "delivered_at": iso_or_none(webhook.delivered_at),
        "last_error": webhook.problem or None,
    }


def _content(content: Content | None) -> dict[str, Any] | None:
    if content is None:
        return None
    return {"content_type": content.content_type, "size": content.size, "sha256": content.digest}
