"""Event listeners: stored for external programs that consume queues. The platform itself consumes none."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from algo_local.algorithms.visibility import visible_algorithm
from algo_local.error_codes import ErrorCode
from algo_local.refusals import Missing
from algo_local.web.bodies import read_body
from algo_local.web.pages import page

if TYPE_CHECKING:
    from algo_local.metadata.event_listeners import EventListener
    from algo_local.web.authorization import RequestContext

TIMEOUT_SECONDS = 420
HIDDEN = "********"
"""The placeholder of credentials, which are never shown again."""


def index(context: RequestContext) -> dict[str, Any]:
    """`GET /v1/users/ID/event-listeners`."""
    return page(context, [_described(found) for found in context.platform.event_listeners.of(context.account)])


def create(context: RequestContext) -> dict[str, Any]:
    """`POST /v1/users/ID/event-listeners`."""
    body = read_body(context)
    credentials = body.pop("credentials")
    names = (body["algoOwner"], body["algoName"])
    algorithm = visible_algorithm(context.platform.registry, context.caller, *names)
    if not algorithm:
        raise Missing(f"algorithm algo://{'/'.join(names)} not found", ErrorCode.ALGORITHM_NOT_FOUND)
    attributes = {
        "sourceType": body["sourceType"],
        "sourceURI": body["sourceURI"],
        "algoName": algorithm.name,
        "algoOwner": algorithm.owner,
        "algoVersion": body.get("algoVersion", "latest"),
        "algoTimeoutSeconds": body.get("algoTimeoutSeconds", TIMEOUT_SECONDS),
    }
    return _described(context.platform.event_listeners.create(context.account, attributes, credentials))


def show(context: RequestContext) -> dict[str, Any]:
    """`GET /v1/users/ID/event-listeners/ID`."""
    return _described(_listener(context))


def update(context: RequestContext) -> dict[str, Any]:
    """`PUT /v1/users/ID/event-listeners/ID`."""
    body = read_body(context)
    credentials = body.pop("credentials", None)
    listener = _listener(context)
    changes: dict[str, Any] = {
        name: body[name] for name in ("sourceURI", "algoVersion", "algoTimeoutSeconds") if name in body
    }
    attributes = {**listener.attributes, **changes}
    return _described(context.platform.event_listeners.edit(listener, attributes, credentials))


def delete(context: RequestContext) -> None:
    """`DELETE /v1/users/ID/event-listeners/ID`."""
    context.platform.event_listeners.delete(_listener(context))


def _listener(context: RequestContext) -> EventListener:
    return context.platform.event_listeners.get(context.account, context.parameters["eventListenerId"])


def _described(listener: EventListener) -> dict[str, Any]:
    return {"id": listener.id, **listener.attributes, "listenerOwner": listener.owner, "credentials": HIDDEN}
