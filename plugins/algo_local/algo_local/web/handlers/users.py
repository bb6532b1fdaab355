"""The accounts of people (API section 7)."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from algo_local.callers import DENIED
from algo_local.error_codes import ErrorCode
from algo_local.metadata.accounts import PROFILE
from algo_local.refusals import Forbidden, Invalid, Missing
from algo_local.retirement import delete_account
from algo_local.web.bodies import read_body
from algo_local.web.pages import page

if TYPE_CHECKING:
    from algo_local.metadata.accounts import Account
    from algo_local.web.authorization import RequestContext


def index(context: RequestContext) -> dict[str, Any]:
    """`GET /v1/users`."""
    return page(context, [described(context, account) for account in context.platform.accounts.people()])


def create(context: RequestContext) -> dict[str, Any]:
    """`POST /v1/users`. The account gets a key with `POST /v1/admin/users/USER/keys`."""
    body = read_body(context)
    profile = {name: body[name] for name in PROFILE if name in body}
    accounts = context.platform.accounts
    made = accounts.create(body["username"], profile, is_administrator=body.get("is_administrator", False))
    return described(context, made)


def show(context: RequestContext) -> dict[str, Any]:
    """`GET /v1/users/USER`."""
    return described(context, person(context))


def update(context: RequestContext) -> dict[str, Any]:
    """`PUT /v1/users/USER`. Only administrators make administrators."""
    body = read_body(context)
    account = person(context)
    if body.get("username", account.name).lower() != account.name.lower():
        raise Invalid(f"The username does not match the address: {account.name}", ErrorCode.INCONSISTENT_USERNAME)
    if "is_administrator" in body:
        if not context.caller.administrator:
            raise Forbidden(DENIED, ErrorCode.NOT_AUTHORIZED)
        context.platform.accounts.set_administrator(account.name, body["is_administrator"])
    return described(context, context.platform.accounts.edit(account, {n: body[n] for n in PROFILE if n in body}))


def delete(context: RequestContext) -> None:
    """`DELETE /v1/users/USER`."""
    account = person(context)
    if account.name == context.platform.account:
        raise Forbidden("The account of the platform's own user cannot be deleted", ErrorCode.NOT_AUTHORIZED)
    if needing := context.platform.organizations.needs(account.name):
        message = f"{account.name} is the only owner of {', '.join(needing)}; make another owner first"
        raise Invalid(message, ErrorCode.ORGANIZATION_REQUIRES_OWNER)
    delete_account(context.platform, account)


def person(context: RequestContext) -> Account:
    """The person's account that the path names. Raises Missing if it is an organization's."""
    account = context.platform.accounts.get(context.account)
    if account.is_organization:
        raise Missing(f"{account.name} is an organization", ErrorCode.USER_NOT_FOUND)
    return account


def described(context: RequestContext, account: Account) -> dict[str, Any]:
    """An account as the API has it."""
    return {
        "id": account.id,
        "username": account.name,
        "email": account.email,
        "fullname": account.fullname,
        "company_name": account.company_name,
        "company_role": account.company_role,
        "is_administrator": account.is_administrator,
        "self_link": context.url(f"/v1/users/{account.name}"),
        "resource_type": "user",
    }
