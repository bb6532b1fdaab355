"""Whose request it is: credentials to callers (API section 1.2)."""

from __future__ import annotations

import re

from algo_local.callers import Caller
from algo_local.platform import Platform
from algo_local.web.http import ApiError, Request

_SCHEME = re.compile(r"(simple|bearer)\s+(.*)", re.IGNORECASE)
REQUIRED = "authorization required"
"""What clients compare the answer to a request without credentials with."""


def caller_of(request: Request, platform: Platform, *, trusted: bool) -> Caller:
    """The caller that a request's `Authorization` header stands for.

    Accepted are an API key, and the token of a running algorithm, each bare or after `Simple` or `Bearer`.
    `trusted` says that a request without a credential comes from the platform's own person.

    Raises:
        ApiError: 401 if there is no credential, or one that nobody has.
    """
    credential = request.header("Authorization")
    match = _SCHEME.fullmatch(credential)
    if match:
        credential = match[2].strip()
    if credential.lower() in {"", "null", "simple", "bearer"}:
        if trusted:
            return platform.person
        raise ApiError(401, REQUIRED, 2002)
    running = platform.executor.context_of(credential) if "executor" in platform.parts else None
    if running:
        return Caller(running.caller, administrator=running.caller == platform.account, inside=running)
    owner = platform.metadata.owner_of_key(credential)
    if owner:
        return platform.caller_of(owner)
    if credential.count(".") == 2:
        raise ApiError(401, "This platform knows API keys only, no JWTs", 2002)
    raise ApiError(401, "The API key is not known to this platform", 2002)
