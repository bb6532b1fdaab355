"""Whose request it is, and whether they may do what its operation does (API sections 1.2, 1.3)."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from algo_local.algorithms.visibility import visible_algorithm
from algo_local.callers import DENIED, Caller
from algo_local.error_codes import ErrorCode
from algo_local.web.http import ApiError, Request
from algo_local.web.operations import Operation, Who

if TYPE_CHECKING:
    from algo_local.algorithms.registry import Algorithm
    from algo_local.platform import Platform
    from algo_local.web.app import Application
    from algo_local.web.routing import Route

REQUIRED = "authorization required"
"""What clients compare the answer to a request without credentials with."""

_NOBODY = Caller("")
_SCHEME = re.compile(r"(simple|bearer)\s+(.*)", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class Target:
    """What a path names, and what the caller is to it."""

    who: Who
    algorithm: Algorithm | None = None
    account: str = ""


@dataclass(frozen=True, slots=True)
class RequestContext:
    """A request whose caller may do what its operation does: what a handler is given."""

    app: Application
    request: Request
    operation: Operation
    parameters: Mapping[str, str]
    caller: Caller
    """Of no account if the operation needs no credential."""
    target: Target

    @property
    def platform(self) -> Platform:
        """The platform that was asked."""
        return self.app.platform

    @property
    def algorithm(self) -> Algorithm:
        """The algorithm that the path names; the caller may see it."""
        assert self.target.algorithm, f"{self.operation.path} names no algorithm"
        return self.target.algorithm

    @property
    def account(self) -> str:
        """The account that the path names, as it is spelled."""
        assert self.target.account, f"{self.operation.path} names no account"
        return self.target.account


def authorize(app: Application, request: Request, route: Route) -> RequestContext:
    """Find the operation of a request, and see that its caller may do that.

    What a path names is looked up, and the caller's right to it, before the method: a method that a path has not got
    tells no more than one that it has.

    Raises:
        ApiError: 401 without a valid credential, 404 for what the caller may not see, 403 for what they may not do,
            405 if the path has no such method.
    """
    operation = route.operation(request.method)
    who = operation.access.who if operation else route.least
    caller, target = _NOBODY, Target(Who.ANYONE)
    if who > Who.ANYONE:
        caller = authenticate(request, app.platform, trusted=app.trusted)
        target = _target(app.platform, caller, route.parameters)
        if target.who < who:
            raise ApiError(403, DENIED, ErrorCode.NOT_AUTHORIZED)
    if not operation:
        message = f"{request.method} is not possible here, only {route.allowed}"
        raise ApiError(405, message, ErrorCode.INVALID_REQUEST, {"Allow": route.allowed})
    return RequestContext(app, request, operation, route.parameters, caller, target)


def authenticate(request: Request, platform: Platform, *, trusted: bool) -> Caller:
    """The caller that a request's `Authorization` header stands for.

    Accepted are an API key, and the token of a running algorithm, each bare or after `Simple` or `Bearer`.
    `trusted` says that a request without a credential comes from the platform's own person.

    The platform's own account is its administrator, but only in requests that ask for it with `sudo=true`
    (API sections 1.3, 3.3). An algorithm that acts for that account is not: it has the account's ordinary rights.

    Raises:
        ApiError: 401 if there is no credential, or one that nobody has; 403 if `sudo` is asked for without the right.
    """
    caller = _holder(request, platform, trusted=trusted)
    if not request.flag("sudo"):
        return caller
    if caller.inside or caller.account != platform.account:
        raise ApiError(403, DENIED, ErrorCode.NOT_AUTHORIZED)
    return replace(caller, administrator=True)


def _holder(request: Request, platform: Platform, *, trusted: bool) -> Caller:
    credential = request.header("Authorization")
    match = _SCHEME.fullmatch(credential)
    if match:
        credential = match[2].strip()
    if credential.lower() in {"", "null", "simple", "bearer"}:
        if trusted:
            return Caller(platform.account)
        raise ApiError(401, REQUIRED, ErrorCode.NOT_AUTHENTICATED)
    running = platform.executor.context_of(credential) if "executor" in platform.parts else None
    if running:
        return Caller(running.caller, inside=running)
    owner = platform.metadata.owner_of_key(credential)
    if owner:
        return Caller(owner)
    if credential.count(".") == 2:
        raise ApiError(401, "This platform knows API keys only, no JWTs", ErrorCode.NOT_AUTHENTICATED)
    raise ApiError(401, "The API key is not known to this platform", ErrorCode.NOT_AUTHENTICATED)


def _target(platform: Platform, caller: Caller, parameters: Mapping[str, str]) -> Target:
    """What the parameters of a path name. ApiError 404 if there is no such thing, or none that the caller may see."""
    if "algorithm" in parameters:
        owner, _, name = parameters["algorithm"].partition("/")
        algorithm = visible_algorithm(platform.registry, caller, owner, name)
        if not algorithm:
            raise ApiError(404, "No such algorithm", bare=True)
        return _to_algorithm(caller, algorithm)
    if "reference*" in parameters:
        from algo_local.web.references import Reference, unknown

        reference = Reference(parameters["reference*"])
        names = reference.names
        algorithm = visible_algorithm(platform.registry, caller, *names) if names else None
        if not algorithm:
            raise unknown(reference)
        return _to_algorithm(caller, algorithm)
    if "username" in parameters:
        name = parameters["username"]
        account = caller.account if name == ".my" else platform.metadata.account(name)
        if not account:
            raise ApiError(404, f"No account {name[:100]}", ErrorCode.USER_NOT_FOUND)
        return Target(_rank(caller, account, Who.ACCOUNT), account=account)
    return Target(Who.ADMINISTRATOR if caller.administrator else Who.ACCOUNT)


def _to_algorithm(caller: Caller, algorithm: Algorithm) -> Target:
    return Target(_rank(caller, algorithm.owner, Who.VIEWER), algorithm, algorithm.owner)


def _rank(caller: Caller, owner: str, otherwise: Who) -> Who:
    if caller.administrator:
        return Who.ADMINISTRATOR
    return Who.OWNER if caller.account == owner else otherwise
