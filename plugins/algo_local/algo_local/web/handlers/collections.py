"""Collections by their ids (API section 4.9)."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from algo_local.callers import DENIED
from algo_local.error_codes import ErrorCode
from algo_local.metadata.store import EVERYBODY, OWN_ALGORITHMS
from algo_local.refusals import Forbidden, Missing

if TYPE_CHECKING:
    from algo_local.metadata.store import Collection
    from algo_local.web.authorization import RequestContext


def index(context: RequestContext) -> dict[str, Any]:
    """`GET /v1/hostedData`: the caller's, and those of the organizations that they belong to."""
    metadata = context.platform.metadata
    owners = sorted({context.caller.account, *context.caller.roles}, key=str.lower)
    return {"result": [_described(found) for owner in owners for found in metadata.collection_records(owner)]}


def assign(context: RequestContext) -> None:
    """`POST /v1/algorithms/ID/collections/COLLECTION`: it must belong to who owns the algorithm."""
    from algo_local.algorithms.lifecycle import update

    wanted = context.parameters["collectionId"].lower().removeprefix("collec-")
    found = context.platform.metadata.collection(wanted)
    if not found or not (context.caller.acts_for(found.owner) or context.caller.administrator):
        raise Missing(f"No collection {wanted[:50]}", ErrorCode.INVALID_REQUEST)
    if found.owner != context.algorithm.owner:
        message = f"{DENIED}: the collection belongs to {found.owner}, the algorithm to {context.algorithm.owner}"
        raise Forbidden(message, ErrorCode.NOT_AUTHORIZED)
    update(context.platform.registry, context.algorithm, {"default_collection": found.id})


def _described(found: Collection) -> dict[str, Any]:
    return {
        "id": found.id,
        "object_id": f"collec-{found.id}",
        "collection_name": found.name,
        "username": found.owner,
        "acl": {
            "read_w": found.acl == EVERYBODY,
            "read_g": False,
            "read_u": True,
            "read_a": found.acl in {OWN_ALGORITHMS, EVERYBODY},
        },
        "location": f"data://{found.owner}/{found.name}",
    }
