"""Source hosts: the platform itself, and external git servers (API section 6.5)."""

from __future__ import annotations

import hashlib
import hmac
import re
from contextlib import suppress
from typing import TYPE_CHECKING, Any, NoReturn

from algo_core.errors import AlgoError
from algo_local.error_codes import ErrorCode
from algo_local.refusals import Invalid
from algo_local.web.algorithm_objects import INTERNAL_SCM, described_scm
from algo_local.web.handlers.refused import refuse
from algo_local.web.http import ApiError, Response
from algo_local.web.pages import page

if TYPE_CHECKING:
    from algo_local.metadata.scms import Scm, Source
    from algo_local.web.authorization import RequestContext

EVENT_BYTES = 1 << 20
_ID = re.compile(r"[A-Za-z0-9_.-]{1,64}")
_WEB = re.compile(r"https?://[^/?#@\s]+(/[^?#\s]*)?")
_PUSHES = {"X-GitHub-Event": "push", "X-Gitlab-Event": "Push Hook", "X-Event-Key": "repo:push"}
"""The headers with the names of events, and what a push is called there."""


def index(context: RequestContext) -> dict[str, Any]:
    """`GET /v1/scms`."""
    return page(context, [_internal(context), *map(described_scm, context.platform.scms.all())])


def show(context: RequestContext) -> dict[str, Any]:
    """`GET /v1/scms/ID`."""
    found = _external(context)
    return described_scm(found) if found else _internal(context)


def create(context: RequestContext) -> dict[str, Any]:
    """`POST /v1/admin/scms`."""
    from algo_local.web.bodies import read_body

    body = read_body(context)
    identifier = body.get("id", "")
    if body["provider"] == "internal" or (identifier and not _ID.fullmatch(identifier)) or identifier == "internal":
        raise Invalid("The source host needs another provider or id", ErrorCode.SCM_BAD_CREATE_PAYLOAD)
    made = context.platform.scms.add(
        body["provider"],
        body.get("name") or body["provider"],
        _urls(body["urls"], ErrorCode.SCM_BAD_CREATE_PAYLOAD),
        enabled=body.get("enabled", True),
        identifier=identifier,
    )
    return described_scm(made)


def update(context: RequestContext) -> dict[str, Any]:
    """`PATCH /v1/admin/scms/ID`."""
    from algo_local.web.bodies import read_body

    body = read_body(context)
    found = _changeable(context)
    urls = _urls(body["urls"], ErrorCode.SCM_BAD_UPDATE_PAYLOAD) if "urls" in body else None
    return described_scm(context.platform.scms.update(found.id, enabled=body.get("enabled"), urls=urls))


def delete(context: RequestContext) -> None:
    """`DELETE /v1/admin/scms/ID`."""
    context.platform.scms.remove(_changeable(context).id)


def set_default(context: RequestContext) -> None:
    """`POST /v1/admin/scms/ID/default`."""
    found = _external(context)
    context.platform.scms.set_default(found.id if found else None)


def refuse_oauth(context: RequestContext) -> NoReturn:
    """`.../oauth/...`: the platform itself needs no authorization, and others get a token."""
    _external(context)
    refuse(context)


def connect(context: RequestContext) -> dict[str, Any]:
    """`POST /v1/scms/ID/token/connect`: as whom the caller's algorithms are fetched."""
    from algo_local.web.algorithm_requests import login_in
    from algo_local.web.bodies import read_body

    found = _with_tokens(context)
    username, password = login_in(read_body(context))
    context.platform.scms.connect(found.id, context.caller.account, username, password)
    return {"authorization_status": "authorized", "scm_username": username}


def token_status(context: RequestContext) -> dict[str, Any]:
    """`GET /v1/scms/ID/token/status`."""
    _with_tokens(context)
    return status(context)


def status(context: RequestContext) -> dict[str, Any]:
    """`GET /v1/scms/ID/oauth/status`: with a token or without; the platform itself has none."""
    found = _external(context)
    login = context.platform.scms.login(found.id, context.caller.account) if found else None
    if login is None:
        return {"authorization_status": "unauthorized"}
    return {"authorization_status": "authorized", "scm_username": login[0]}


def connection(context: RequestContext) -> dict[str, Any]:
    """`GET .../scm/status`: what the platform hosts itself it always reaches."""
    source = context.platform.repositories.origin(context.algorithm)
    if not source:
        return {"scm_connection_status": "active"}
    from algo_local.algorithms.fetching import check

    try:
        check(source)
        status = "active"
    except Invalid:
        status = "provider_internal_error"
    path = f"/v1/algorithms/{context.algorithm.owner}/{context.algorithm.name}/scm/webhook"
    return {
        "scm_connection_status": status,
        "repository_webhook_secret": source.webhook_secret,
        "repository_webhook_url": context.url(path),
    }


def webhook(context: RequestContext) -> Response:
    """`POST .../scm/webhook`: a push builds the newest commit; 202 for all other events."""
    platform = context.platform
    owner, _, name = context.parameters["algorithm"].partition("/")
    algorithm = platform.registry.algorithm(owner, name)
    source = platform.repositories.origin(algorithm) if algorithm else None
    if not algorithm or not source:
        message = "The platform itself is this algorithm's source host, and needs no webhooks"
        raise ApiError(400, message, ErrorCode.INTERNAL_SCM_HAS_NO_WEBHOOKS)
    body = context.request.body(EVENT_BYTES)
    if body is None:
        raise ApiError(413, "The event is too large", ErrorCode.WEBHOOK_PAYLOAD_MALFORMED)
    if not _is_signed(context, source, body):
        raise ApiError(400, "The event is not signed with the webhook's secret", ErrorCode.SCM_NOT_AUTHENTICATED)
    if not any(context.request.header(header) == push for header, push in _PUSHES.items()):
        return Response(202)

    def build() -> None:
        with suppress(AlgoError):  # the next event, or person, tries again
            platform.repositories.refresh(algorithm)
            platform.pending_builds.request(algorithm, platform.repositories.newest(algorithm))

    platform.in_background(build)
    return Response(204)


def _internal(context: RequestContext) -> dict[str, Any]:
    return {**INTERNAL_SCM, "default": not any(scm.default for scm in context.platform.scms.all())}


def _is_signed(context: RequestContext, source: Source, body: bytes) -> bool:
    """Whether an event is signed with the webhook's secret."""
    secret = source.webhook_secret.encode()
    if token := context.request.header("X-Gitlab-Token"):
        return hmac.compare_digest(token.encode("utf-8", "replace"), secret)
    for header, kind in (("X-Hub-Signature-256", hashlib.sha256), ("X-Hub-Signature", hashlib.sha1)):
        if signature := context.request.header(header):
            algorithm, _, given = signature.rpartition("=")
            kind = hashlib.sha256 if algorithm == "sha256" else kind
            return hmac.compare_digest(
                given.encode("utf-8", "replace"), hmac.new(secret, body, kind).hexdigest().encode()
            )
    return False


def _urls(urls: dict[str, str], code: int) -> dict[str, str]:
    if not _WEB.fullmatch(urls["web"]):
        raise Invalid(f"Not an address of repositories: {urls['web'][:100]!r}", code)
    return urls


def _external(context: RequestContext) -> Scm | None:
    """The host that the path names; None for the platform itself."""
    wanted = context.parameters["scmId"]
    return None if wanted == INTERNAL_SCM["id"] else context.platform.scms.get(wanted)


def _changeable(context: RequestContext) -> Scm:
    found = _external(context)
    if not found:
        message = "The platform itself stays a source host as it is"
        raise Invalid(message, ErrorCode.SCM_DISALLOWED_OPERATION)
    return found


def _with_tokens(context: RequestContext) -> Scm:
    found = _external(context)
    if not found:
        message = "This source host is the platform itself, and needs no token"
        raise Invalid(message, ErrorCode.SCM_DISALLOWED_OPERATION)
    return found
