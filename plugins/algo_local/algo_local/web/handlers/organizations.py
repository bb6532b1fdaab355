"""Organizations, their types, and their members (API section 7)."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from algo_local.callers import DENIED
from algo_local.error_codes import ErrorCode
from algo_local.metadata.organizations import INVITED, MEMBER, OWNER
from algo_local.refusals import Forbidden, Invalid
from algo_local.retirement import delete_account
from algo_local.web.bodies import read_body
from algo_local.web.operations import Who
from algo_local.web.pages import page

if TYPE_CHECKING:
    from algo_local.metadata.organizations import Organization
    from algo_local.web.authorization import RequestContext

ATTRIBUTES = (
    *("org_label", "org_contact_name", "org_email", "org_url", "stripe_customer_id"),
    *("external_admin_group", "external_member_group", "external_executor_group"),
)


def index(context: RequestContext) -> dict[str, Any]:
    """`GET /v1/organizations`: those that the caller belongs to or is invited to; all for an administrator."""
    mine = context.platform.organizations.of(context.caller.account)
    found = [
        organization
        for organization in context.platform.organizations.all()
        if context.caller.administrator or organization.name in mine or organization.name == context.caller.account
    ]
    return page(context, [_described(context, organization) for organization in found])


def create(context: RequestContext) -> dict[str, Any]:
    """`POST /v1/organizations`: its owners are the named ones, else the caller."""
    body = read_body(context)
    accounts = context.platform.accounts
    owners = [accounts.get(identifier) for identifier in body.get("owner_ids", [])]
    owners = owners or [accounts.get(context.caller.account)]
    if any(owner.is_organization for owner in owners):
        message = "An organization needs a person as its owner"
        raise Invalid(message, ErrorCode.CANNOT_RESERVE_USER_FOR_ORGANIZATION)
    strangers = [owner for owner in owners if owner.name != context.caller.account]
    if strangers and not context.caller.administrator:
        message = f"{DENIED}: invite {strangers[0].name} when the organization is there"
        raise Forbidden(message, ErrorCode.NOT_AUTHORIZED)
    made = context.platform.organizations.create(
        body["org_name"],
        body["type_id"].lower(),
        _attributes(body),
        body.get("external_id"),
        [owner.name for owner in owners],
    )
    return _described(context, made)


def show(context: RequestContext) -> dict[str, Any]:
    """`GET /v1/organizations/ORG`."""
    return _described(context, _organization(context))


def by_external_id(context: RequestContext) -> dict[str, Any]:
    """`GET /v1/organizations/externalId/ID`."""
    found = context.platform.organizations.by_external_id(context.parameters["externalId"])
    return _described(context, found)


def edit(context: RequestContext) -> None:
    """`PUT /v1/organizations/ORG`. Its name stays: clients send another one, and go on with the old one."""
    body = read_body(context)
    organization = _organization(context)
    attributes = {**organization.attributes, **_attributes(body)}
    external_id = body.get("external_id", organization.external_id)
    context.platform.organizations.edit(organization, body["type_id"].lower(), attributes, external_id)


def delete(context: RequestContext) -> None:
    """`DELETE /v1/organizations/ORG`; only administrators delete what is public."""
    registry = context.platform.registry
    public = registry.public()
    if not context.caller.administrator and any(found.id in public for found in registry.algorithms(context.account)):
        message = f"{DENIED}: it has public algorithms; unpublish them first"
        raise Forbidden(message, ErrorCode.NOT_AUTHORIZED)
    delete_account(context.platform, context.platform.accounts.get(context.account))


def members(context: RequestContext) -> dict[str, Any]:
    """`GET /v1/organizations/ORG/members`."""
    found = context.platform.organizations.members(context.account)
    return page(context, [_member(context, account, role) for account, role in found])


def put_member(context: RequestContext) -> dict[str, Any]:
    """`PUT /v1/organizations/ORG/members/USER`.

    Administrators add members; owners invite people, and change the roles of members; who is invited accepts by adding
    themselves.
    """
    role = read_body(context).get("role")
    account = context.platform.accounts.get(context.parameters["member"])
    current = context.platform.organizations.of(account.name).get(context.account)
    if context.target.who == Who.ADMINISTRATOR:
        role = role or current or MEMBER
    elif context.target.who == Who.OWNER:
        role = role or current or INVITED
        if role != INVITED and current in {None, INVITED}:
            message = f"{DENIED}: {account.name} has to accept an invitation first"
            raise Forbidden(message, ErrorCode.NOT_AUTHORIZED)
    elif account.name == context.caller.account and current == INVITED and role in {None, MEMBER}:
        role = MEMBER
    else:
        raise Forbidden(DENIED, ErrorCode.NOT_AUTHORIZED)
    context.platform.organizations.set_role(context.account, account, role)
    return _member(context, account.name, role)


def remove_member(context: RequestContext) -> None:
    """`DELETE /v1/organizations/ORG/members/USER`: by an owner, or by oneself."""
    account = context.platform.accounts.get(context.parameters["member"])
    if context.target.who < Who.OWNER and account.name != context.caller.account:
        raise Forbidden(DENIED, ErrorCode.NOT_AUTHORIZED)
    context.platform.organizations.remove(context.account, account.name)


def types(context: RequestContext) -> list[dict[str, Any]]:
    """`GET /v1/organization/types`."""
    return [{"id": identifier, "name": name} for identifier, name in context.platform.organizations.types()]


def create_type(context: RequestContext) -> dict[str, Any]:
    """`POST /v1/organization/types`."""
    body = read_body(context)
    identifier, name = context.platform.organizations.create_type(body["name"], body.get("id", "").lower() or None)
    return {"id": identifier, "name": name}


def delete_type(context: RequestContext) -> None:
    """`DELETE /v1/organization/types/NAME`."""
    context.platform.organizations.delete_type(context.parameters["orgTypeName"])


def _organization(context: RequestContext) -> Organization:
    return context.platform.organizations.get(context.account)


def _attributes(body: dict[str, Any]) -> dict[str, Any]:
    return {name: body[name] for name in ATTRIBUTES if name in body}


def _described(context: RequestContext, organization: Organization) -> dict[str, Any]:
    members = context.platform.organizations.members(organization.name)
    owners = [context.platform.accounts.get(account).id for account, role in members if role == OWNER]
    return {
        "id": organization.id,
        "org_name": organization.name,
        **organization.attributes,
        "org_created_at": _local_time(organization.created_at),
        "type_id": organization.type_id,
        "external_id": organization.external_id,
        "owner_ids": owners,
        "resource_type": "organization",
        "self_link": context.url(f"/v1/organizations/{organization.name}"),
    }


def _local_time(seconds: float) -> str:
    """A time in the format of organizations: to the second, without a zone (API section 7)."""
    from algo_local.times import iso

    return iso(seconds)[:19]


def _member(context: RequestContext, account: str, role: str) -> dict[str, Any]:
    return {
        "username": account,
        "role": role,
        "user_link": context.url(f"/v1/users/{account}"),
        "resource_type": "organization_member",
    }
