"""The API keys of people and organizations (API section 1.3).

Keys are kept as hashes: a key itself is in the answer that makes it, and nowhere else. No key makes or becomes one that
may do more than itself.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from algo_local.callers import DENIED
from algo_local.error_codes import ErrorCode
from algo_local.metadata.keys import ADMINISTRATOR_KEY, ALGORITHM_KEY, CALLS, Permissions
from algo_local.refusals import Forbidden, Missing
from algo_local.times import iso, iso_or_none
from algo_local.web.bodies import read_body
from algo_local.web.times import seconds_of

if TYPE_CHECKING:
    from algo_local.metadata.keys import Key
    from algo_local.web.authorization import RequestContext

LABEL = "key"
"""The default label of a key."""


def index(context: RequestContext) -> list[dict[str, Any]]:
    """`GET /v1/users/USER/keys`, `GET /v1/organizations/ORG/keys`."""
    return [described(key) for key in context.platform.keys.of(context.account)]


def create(context: RequestContext) -> dict[str, Any]:
    """`POST /v1/users/USER/keys`, `POST /v1/organizations/ORG/keys`."""
    return _create(context, read_body(context))


def create_for_member(context: RequestContext) -> dict[str, Any]:
    """`POST /v1/organizations/ORG/members/USER/keys`: it may do what this member may, and ends with the membership."""
    body = read_body(context)
    member = context.platform.accounts.get(context.parameters["member"]).name
    if context.account not in context.platform.metadata.roles(member):
        raise Missing(f"{member} is not a member of {context.account}", ErrorCode.USER_NOT_FOUND)
    return _create(context, body, username=member)


def import_key(context: RequestContext) -> dict[str, Any]:
    """`POST /v1/admin/users/USER/keys`: a key for somebody else, new or brought along as `api_key`."""
    body = read_body(context)
    return _create(context, body, secret=body.get("api_key"))


def edit(context: RequestContext) -> dict[str, Any]:
    """`PUT .../keys/ID`: what is left out stays."""
    body = read_body(context)
    key = _key(context)
    given = {**key.permissions.as_json(), **body.get("permissions", {})}
    permissions = Permissions.of(given)
    expires_at = seconds_of(body["expires_at"]) if "expires_at" in body else key.expires_at
    _check_rights(context, key.kind, permissions, expires_at)
    label = body.get("key_label", key.label)
    return described(context.platform.keys.edit(key, label=label, permissions=permissions, expires_at=expires_at))


def rotate(context: RequestContext) -> dict[str, Any]:
    """`POST .../keys/ID/rotate`."""
    key = _key(context)
    _check_rights(context, key.kind, key.permissions, key.expires_at)
    return described(*context.platform.keys.rotate(key))


def delete(context: RequestContext) -> None:
    """`DELETE .../keys/ID`."""
    context.platform.keys.delete(_key(context))


def described(key: Key, secret: str | None = None) -> dict[str, Any]:
    """A key as the API has it; the key itself only if it is given."""
    return {
        "key_id": str(key.id),
        "username": key.username or key.owner,
        "key_label": key.label,
        "created_at": iso(key.created_at),
        "api_key_mask": key.mask,
        "api_key": secret or key.mask,
        "key_type": key.kind,
        "permissions": key.permissions.as_json(),
        "owner_name": key.owner,
        "expires_at": iso_or_none(key.expires_at),
        "last_used_at": iso_or_none(key.last_used_at),
    }


def _create(
    context: RequestContext, body: dict[str, Any], *, username: str | None = None, secret: str | None = None
) -> dict[str, Any]:
    kind = body.get("key_type", ALGORITHM_KEY)
    kind = kind if kind == ALGORITHM_KEY else ADMINISTRATOR_KEY
    if "permissions" in body:
        permissions = Permissions.of(body["permissions"])
    else:
        permissions = CALLS if kind == ALGORITHM_KEY else Permissions()
    ends_with = context.caller.key.expires_at if context.caller.key else None
    expires_at = seconds_of(body["expires_at"]) if "expires_at" in body else ends_with
    _check_rights(context, kind, permissions, expires_at)
    made, key = context.platform.keys.create(
        context.account,
        body.get("key_label", LABEL),
        kind=kind,
        permissions=permissions,
        username=username,
        expires_at=expires_at,
        key=secret,
    )
    return described(made, key)


def _check_rights(context: RequestContext, kind: str, permissions: Permissions, expires_at: float | None) -> None:
    """Raise Forbidden if the caller would get a key that may do more, or for longer, than what they came with."""
    caller = context.caller
    for_administrator = context.platform.metadata.is_administrator(context.account)
    if kind == ADMINISTRATOR_KEY and not (caller.administrator and for_administrator):
        raise Forbidden(f"{DENIED}: administrators make keys for administrators", ErrorCode.NOT_AUTHORIZED)
    if caller.key and not caller.key.is_administrators and not caller.key.permissions.cover(permissions):
        raise Forbidden(f"{DENIED}: a key cannot make one that may do more than itself", ErrorCode.NOT_AUTHORIZED)
    ends_with = caller.key.expires_at if caller.key else None
    if ends_with is not None and (expires_at is None or expires_at > ends_with):
        raise Forbidden(f"{DENIED}: a key cannot make one that is valid for longer", ErrorCode.NOT_AUTHORIZED)


def _key(context: RequestContext) -> Key:
    return context.platform.keys.get(context.account, context.parameters["keyId"])
