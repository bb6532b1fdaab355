"""Reserved workers, for administrators."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from algo_local.error_codes import ErrorCode
from algo_local.refusals import Invalid, Missing
from algo_local.web.bodies import read_body

if TYPE_CHECKING:
    from algo_local.algorithms.registry import Algorithm
    from algo_local.metadata.administration import Reservation
    from algo_local.web.authorization import RequestContext


def index(context: RequestContext) -> list[dict[str, Any]]:
    """`GET /v1/admin/reservations`."""
    found = context.platform.administration.reservations()
    algorithms = {algorithm.id: algorithm for algorithm in context.platform.registry.algorithms()}
    return [_described(context, each, algorithms[each.algorithm]) for each in found if each.algorithm in algorithms]


def create(context: RequestContext) -> dict[str, Any]:
    """`POST /v1/admin/reservations`."""
    body = read_body(context)
    algorithm = context.platform.registry.algorithm(body["username"], body["algoname"])
    if not algorithm:
        message = f"algorithm algo://{body['username'][:50]}/{body['algoname'][:50]} not found"
        raise Missing(message, ErrorCode.ALGORITHM_NOT_FOUND)
    calling = context.platform.accounts.get(body["calling_user"])
    kind, identifier = body["version_type"], body.get("version_identifier", "")
    if kind != "latest" and not identifier:
        raise Invalid("version_identifier is missing", ErrorCode.INPUT_VALIDATION_ERROR)
    if not context.platform.registry.resolve(algorithm, "" if kind == "latest" else identifier, as_owner=True):
        raise Invalid(f"No version {identifier[:50]}", ErrorCode.VERSION_DOES_NOT_EXIST)
    made = context.platform.administration.reserve(algorithm.id, calling.name, kind, identifier, body["num_slots"])
    return _described(context, made, algorithm)


def delete(context: RequestContext) -> None:
    """`DELETE /v1/admin/reservations/ID`."""
    context.platform.administration.unreserve(context.parameters["reservation_id"])


def _described(context: RequestContext, reservation: Reservation, algorithm: Algorithm) -> dict[str, Any]:
    latest = reservation.version_type == "latest"
    wanted = "" if latest else reservation.version_identifier
    version = context.platform.registry.resolve(algorithm, wanted, as_owner=True)
    return {
        "reservation_id": reservation.id,
        "billable_to": reservation.calling_user,
        "billable_to_uuid": context.platform.accounts.get(reservation.calling_user).id,
        "algoname": algorithm.name,
        "username": algorithm.owner,
        "version_type": reservation.version_type,
        "num_slots": reservation.slots,
        "algo_id": algorithm.id,
        "algorithm_id": algorithm.id,
        "version_hash": version.build.commit if version else "",
    }
