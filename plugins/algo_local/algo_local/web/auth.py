"""Whose request it is: credentials to callers (API section 1.2)."""

from __future__ import annotations

import re
from dataclasses import replace

from algo_local.callers import DENIED, Caller
from algo_local.platform import Platform
from algo_local.web.http import ApiError, Request

_SCHEME = re.compile(r"(simple|bearer)\s+(.*)", re.IGNORECASE)
REQUIRED = "authorization required"
"""What clients compare the answer to a request without credentials with."""


def caller_of(request: Request, platform: Platform, *, trusted: bool) -> Caller:
    """The caller that a request's `Authorization` header stands for.

    Accepted are an API key, and the token of a running algorithm, each bare or after `Simple` or `Bearer`.
    `trusted` says that a request without a credential comes from the platform's own person.

    The platform's own account is its administrator, but only in requests that ask for it with `sudo=true`
    (API sections 1.3, 3.3). An algorithm that acts for that account is not: it has the account's ordinary rights.

    Raises:
        ApiError: 401 if there is no credential, or one that nobody has; 403 if `sudo` is asked for without the right.
    """
    caller = _authenticated(request, platform, trusted=trusted)
    if not request.flag("sudo"):
        return caller
    if caller.inside or caller.account != platform.account:
        raise ApiError(403, DENIED, 2001)
    return replace(caller, administrator=True)


def _authenticated(request: Request, platform: Platform, *, trusted: bool) -> Caller:
    credential = request.header("Authorization")
    match = _SCHEME.fullmatch(credential)
    if match:
        credential = match[2].strip()
    if credential.lower() in {"", "null", "simple", "bearer"}:
        if trusted:
            return Caller(platform.account)
        raise ApiError(401, REQUIRED, 2002)
    running = platform.executor.context_of(credential) if "executor" in platform.parts else None
    if running:
        return Caller(running.caller, inside=running)
    owner = platform.metadata.owner_of_key(credential)
    if owner:
        return Caller(owner)
    if credential.count(".") == 2:
        raise ApiError(401, "This platform knows API keys only, no JWTs", 2002)
    raise ApiError(401, "The API key is not known to this platform", 2002)
