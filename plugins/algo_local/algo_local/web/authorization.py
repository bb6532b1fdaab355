"""Authentication and authorization of requests (API sections 1.2, 1.3)."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import replace
from typing import TYPE_CHECKING, NamedTuple

from algo_local.algorithms.visibility import visible_algorithm
from algo_local.callers import DENIED, Caller
from algo_local.error_codes import ErrorCode
from algo_local.names import KEY_LENGTH
from algo_local.web.http import ApiError, Request
from algo_local.web.operations import Access, Operation, Permission, Who

if TYPE_CHECKING:
    from algo_local.algorithms.registry import Algorithm, Version
    from algo_local.platform import Platform
    from algo_local.records.record import Record
    from algo_local.web.routing import Route

REQUIRED = "authorization required"
"""The message for a missing credential, which clients compare."""

_NOBODY = Caller("")
_PAGE = re.compile(r"https?://(?:[^/@]*@)?([^/?#]*)", re.IGNORECASE)
_SCHEME = re.compile(r"(simple|bearer)\s+(.*)", re.IGNORECASE)


class Target(NamedTuple):
    """The object of a path, and the caller's role towards it."""

    who: Who
    algorithm: Algorithm | None = None
    account: str = ""
    record: Record | None = None
    """The call on record."""
    version: Version | None = None
    """The version that a reference names, if there is one."""


class RequestContext(NamedTuple):
    """An authorized request: the argument of a handler."""

    platform: Platform
    request: Request
    operation: Operation
    parameters: Mapping[str, str]
    caller: Caller
    """The caller; of no account if the operation needs no credential."""
    target: Target
    address: str
    """The address at which the client reaches the platform."""

    def url(self, path: str) -> str:
        """The address of a path of this platform, as the client reaches it."""
        return self.address + path

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


def authorize(platform: Platform, request: Request, route: Route, *, trusted: bool, address: str) -> RequestContext:
    """Find the operation of a request, and check that its caller is allowed to do it.

    The object of a path and the caller's role are checked before the method, so that an unsupported method reveals no
    more than a supported one.

    Raises:
        ApiError: 401 without a valid credential, 404 for what the caller may not see, 403 for what they may not do,
            405 if the path has no such method.
    """
    operation = route.operation(request.method)
    access = operation.access if operation else route.least
    caller, target = _NOBODY, Target(Who.ANYONE)
    if access.who > Who.ANYONE:
        caller = _asked_for(authenticate(request, platform, trusted=trusted), request, access)
        target = _target(platform, caller, route.parameters)
        if target.who < access.who:
            raise ApiError(403, DENIED, ErrorCode.NOT_AUTHORIZED)
        _check_key(caller, access.permission, request, target.algorithm)
    if not operation:
        message = f"{request.method} is not allowed here, only {route.allowed}"
        raise ApiError(405, message, ErrorCode.INVALID_REQUEST, {"Allow": route.allowed})
    return RequestContext(platform, request, operation, route.parameters, caller, target, address)


def authenticate(request: Request, platform: Platform, *, trusted: bool) -> Caller:
    """The caller of a request's `Authorization` header, without an administrator's rights.

    Accepted are an API key, and the token of a running algorithm, each bare or after `Simple` or `Bearer`.
    `trusted` says that a request without a credential comes from the platform's own person.

    Raises:
        ApiError: 401 for a missing or unknown credential.
    """
    credential = _credential(request.header("Authorization"))
    if not credential:
        if trusted:
            account = platform.account
            return Caller(account, may_administer=True, roles=platform.metadata.roles(account))
        raise ApiError(401, REQUIRED, ErrorCode.NOT_AUTHENTICATED)
    caller = holder_of(platform, credential)
    running = platform.executor.context_of(credential) if not caller and "executor" in platform.parts else None
    if running:
        return Caller(running.caller, inside=running, roles=platform.metadata.roles(running.caller))
    return _checked(platform, credential, caller)


def _credential(header: str) -> str:
    """The credential in the value of an `Authorization` header; empty if there is none."""
    if header.startswith("Simple sim"):  # as almost all clients send it
        return header[7:]
    match = _SCHEME.fullmatch(header)
    credential = match[2].strip() if match else header
    return "" if credential.lower() in {"null", "simple", "bearer"} else credential


def _checked(platform: Platform, credential: str, caller: Caller | None) -> Caller:
    """The account of a key, which is used now. ApiError 401 if there is none, or the key has expired."""
    key = caller.key if caller else None
    if not caller or not key:
        jwt = credential.count(".") == 2
        reason = "This platform knows API keys only, no JWTs" if jwt else "The API key is not known to this platform"
        raise ApiError(401, reason, ErrorCode.NOT_AUTHENTICATED)
    if key.has_expired:
        raise ApiError(401, "The API key has expired", ErrorCode.NOT_AUTHENTICATED)
    platform.keys.note_use(key)
    return caller


def holder_of(platform: Platform, credential: str) -> Caller | None:
    """The account of an API key, which may have expired; None if the credential is none."""
    if len(credential) > KEY_LENGTH:  # no other is a key, nor may fill the memory
        return None
    return platform.database.remembered(("holder", credential), lambda: _find_holder(platform, credential))


def _find_holder(platform: Platform, credential: str) -> Caller | None:
    """The account of a key, which may have expired. An organization's key for a member has that member's rights."""
    key = platform.keys.find(credential)
    if not key:
        return None
    roles = platform.metadata.roles(key.username or key.owner)
    if key.username:
        roles = {name: role for name, role in roles.items() if name == key.owner}
    is_administrator = not key.username and platform.metadata.is_administrator(key.owner)
    return Caller(key.owner, key=key, may_administer=is_administrator, roles=roles)


def _asked_for(caller: Caller, request: Request, access: Access) -> Caller:
    """The caller, with an administrator's rights if the request asks for them (API sections 1.3, 3.3).

    `sudo=true` asks for them, and so does what only administrators may do, unless an ordinary key comes with it. With
    an administrator's key all asks for them but calls and data. An algorithm never has them, whoever it acts for.
    """
    sudo = request.flag("sudo")
    if sudo and not caller.may_administer:
        raise ApiError(403, DENIED, ErrorCode.NOT_AUTHORIZED)
    if caller.key:
        implied = caller.key.is_administrators and access.permission in (None, Permission.MANAGE)
    else:
        implied = access.who == Who.ADMINISTRATOR
    return replace(caller, administrator=True) if sudo or (implied and caller.may_administer) else caller


def _check_key(caller: Caller, permission: Permission | None, request: Request, algorithm: Algorithm | None) -> None:
    """Raise ApiError 403 for what the caller's key, or an algorithm, may not do."""
    if permission is None or (caller.key is None and not (caller.inside and permission is Permission.MANAGE)):
        return
    if caller.key is None:
        raise ApiError(403, f"{DENIED}: algorithms cannot {permission.value}", ErrorCode.NOT_AUTHORIZED)
    granted = caller.key.permissions
    if permission is Permission.READ_DATA:
        allowed = granted.allow_data
    elif permission is Permission.WRITE_DATA:
        allowed = granted.allow_data and granted.allow_data_write
    elif permission is Permission.CALL:
        allowed = granted.allow_algo
    elif permission is Permission.CALL_FROM_PAGE:
        allowed = granted.allow_web_algo and _comes_from(request, granted.referer_host)
    else:
        allowed = granted.allow_algo_management or caller.key.is_administrators
    if algorithm and permission in (Permission.CALL, Permission.CALL_FROM_PAGE):
        allowed = allowed and granted.may_call(algorithm.owner, algorithm.name)
    if not allowed:
        raise ApiError(403, f"{DENIED}: its key may not {permission.value} here", ErrorCode.NOT_AUTHORIZED)


def _comes_from(request: Request, host: str) -> bool:
    """Whether a browser sent a request from a page of a host; from any page if none is named."""
    if not host:
        return True
    page = request.header("Origin") or request.header("Referer")
    match = _PAGE.match(page)
    return match is not None and host.lower() in {match[1].lower(), match[1].lower().rpartition(":")[0]}


def _target(platform: Platform, caller: Caller, parameters: Mapping[str, str]) -> Target:
    """The object of a path. ApiError 404 if it does not exist, or the caller may not see it."""
    if "algorithm" in parameters:
        owner, _, name = parameters["algorithm"].partition("/")
        algorithm = visible_algorithm(platform.registry, caller, owner, name)
        if not algorithm:
            raise ApiError(404, "No such algorithm", bare=True)
        return Target(_rank(caller, algorithm.owner, Who.VIEWER), algorithm, algorithm.owner)
    if "reference*" in parameters:
        return _called(platform, caller, parameters["reference*"])
    if "requestId" in parameters:
        return _call_on_record(platform, caller, parameters["requestId"])
    if "orgName" in parameters:
        return _organization(platform, caller, parameters["orgName"])
    for parameter in ("username", "userId"):
        if parameter in parameters:
            name = parameters[parameter]
            account = caller.account if name == ".my" else platform.metadata.account(name)
            if not account:
                raise ApiError(404, f"No account {name[:100]}", ErrorCode.USER_NOT_FOUND)
            return Target(_rank(caller, account, Who.ACCOUNT), account=account)
    return Target(Who.ADMINISTRATOR if caller.administrator else Who.ACCOUNT)


def _called(platform: Platform, caller: Caller, raw: str) -> Target:
    from algo_local.web.references import parsed, unknown

    reference = parsed(raw)
    algorithm = visible_algorithm(platform.registry, caller, *reference.names) if reference.names else None
    if not algorithm:
        raise unknown(reference, caller)
    if caller.inside and not platform.registry.may_call_others(*caller.inside.algorithm):
        owner, name = caller.inside.algorithm
        raise ApiError(403, f"{owner}/{name} may not call other algorithms", ErrorCode.NOT_AUTHORIZED)
    as_owner = caller.owns_algorithm(algorithm.owner)
    version = platform.registry.resolve(algorithm, reference.version, as_owner=as_owner)
    return Target(_rank(caller, algorithm.owner, Who.VIEWER), algorithm, algorithm.owner, version=version)


def _call_on_record(platform: Platform, caller: Caller, identifier: str) -> Target:
    """Calls are visible to their account and the algorithm's owner; to a running algorithm, those that it made."""
    record = platform.records.find(identifier)
    # By its id: whoever has the name of an owner now need not be the owner of then.
    algorithm = platform.registry.algorithm(record.algorithm) if record else None
    if record and caller.inside:
        is_visible = record.parent == caller.inside.request_id
    else:
        owns = algorithm is not None and caller.owns_algorithm(algorithm.owner)
        is_visible = record is not None and (caller.administrator or caller.acts_for(record.account) or owns)
    if not record and platform.records.is_lost(identifier):
        message = f"The record of {identifier} was lost: the platform could not write it"
        raise ApiError(410, message, ErrorCode.REQUEST_ID_NOT_FOUND)
    if not record or not is_visible:
        raise ApiError(404, f"No request {identifier[:100]}", ErrorCode.REQUEST_ID_NOT_FOUND)
    return Target(_rank(caller, record.account, Who.VIEWER), algorithm, record.account, record)


def _organization(platform: Platform, caller: Caller, name: str) -> Target:
    account = platform.accounts.find(name)
    if not account or not account.is_organization:
        raise ApiError(404, f"No organization {name[:100]}", ErrorCode.ORGANIZATION_NOT_FOUND)
    rank = _rank(caller, account.name, Who.ACCOUNT)
    if rank == Who.ACCOUNT and account.name in platform.organizations.of(caller.account):
        rank = Who.INVITED
    return Target(rank, account=account.name)


def _rank(caller: Caller, owner: str, otherwise: Who) -> Who:
    if caller.administrator:
        return Who.ADMINISTRATOR
    if owner in caller.roles:
        return Who.OWNER if caller.roles[owner] == "owner" else Who.MEMBER
    return Who.OWNER if caller.account == owner else otherwise
