"""Calls made for an account by a schedule or an incoming webhook."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

from algo_core.errors import NotFoundError
from algo_local.algorithms.visibility import visible_algorithm
from algo_local.callers import Caller
from algo_local.error_codes import ErrorCode
from algo_local.web.handlers.invoke import call_version
from algo_local.web.http import ApiError, Request
from algo_local.web.references import Reference, unknown

if TYPE_CHECKING:
    from collections.abc import Mapping

    from algo_local.platform import Platform
    from algo_local.web.authorization import RequestContext
    from algo_local.web.http import Body


def begin_call(
    platform: Platform,
    account: str,
    algorithm: str,
    version: str,
    headers: Mapping[str, str],
    body: Body | None,
    length: int | None,
) -> str:
    """Call as an account, without waiting for the end; returns the id of the call.

    Raises:
        NotFoundError: if there is no such algorithm, or the account may not call it.
        ApiError, AlgoError: as for any call.
    """
    caller = Caller(account, roles=platform.metadata.roles(account))
    owner, _, name = algorithm.partition("/")
    found = visible_algorithm(platform.registry, caller, owner, name)
    as_owner = found is not None and caller.owns_algorithm(found.owner)
    wanted = platform.registry.resolve(found, version, as_owner=as_owner) if found else None
    if not wanted:
        reference = f"{algorithm}/{version}".rstrip("/")
        raise NotFoundError(f"Algorithm {reference} does not exist, or the account may not call it")
    request = Request("POST", f"/v1/algo/{algorithm}?output=void", headers, body, length)
    response = call_version(platform, caller, request, wanted)
    assert isinstance(response.body, bytes)
    return str(json.loads(response.body).get("request_id", ""))


def callable_reference(context: RequestContext, text: str) -> tuple[str, str]:
    """`OWNER/NAME` and the version of an algorithm that the account and the key of a request may call.

    Raises:
        ApiError: 404 if there is none, or the account may not see it, 403 if the key may not call it.
    """
    reference, key = Reference(text), context.caller.key
    registry = context.platform.registry
    algorithm = visible_algorithm(registry, context.caller, *reference.names) if reference.names else None
    as_owner = algorithm is not None and context.caller.owns_algorithm(algorithm.owner)
    if not algorithm or not registry.resolve(algorithm, reference.version, as_owner=as_owner):
        raise unknown(reference)
    # The calls are the account's, without the limits of the key.
    if key and not (key.permissions.allow_algo and key.permissions.may_call(algorithm.owner, algorithm.name)):
        raise ApiError(403, "The key may not call this algorithm", ErrorCode.NOT_AUTHORIZED)
    return f"{algorithm.owner}/{algorithm.name}", reference.version
