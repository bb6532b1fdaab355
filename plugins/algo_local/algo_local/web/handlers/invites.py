"""Invites: codes with which people make accounts for themselves."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from algo_local.metadata.accounts import PROFILE
from algo_local.times import iso, iso_or_none
from algo_local.web.bodies import read_body
from algo_local.web.handlers.keys import described as described_key
from algo_local.web.times import seconds_of

if TYPE_CHECKING:
    from algo_local.metadata.administration import Invite
    from algo_local.web.authorization import RequestContext

DEFAULT_KEY = "default-key"
"""The label of the key that an account begins with (API section 1.3)."""


def index(context: RequestContext) -> list[dict[str, Any]]:
    """`GET /v1/admin/invites`."""
    return [_described(invite) for invite in context.platform.administration.invites()]


def create(context: RequestContext) -> dict[str, Any]:
    """`POST /v1/admin/invites`."""
    body = read_body(context)
    made = context.platform.administration.add_invite(
        body["inviteCode"],
        body.get("comments", ""),
        body.get("signupCredits", 0),
        seconds_of(body["expiresAt"]) if "expiresAt" in body else None,
        context.caller.account,
    )
    return _described(made)


def delete(context: RequestContext) -> None:
    """`DELETE /v1/admin/invites/CODE`."""
    context.platform.administration.delete_invite(context.parameters["invite_code"])


def accept(context: RequestContext) -> dict[str, Any]:
    """`POST /v1/invites/CODE`: makes the account, and answers with its first key, which is shown this once."""
    context.platform.administration.invite(context.parameters["invite_code"])
    body = read_body(context)
    made = context.platform.accounts.create(body["username"], {name: body[name] for name in PROFILE if name in body})
    return described_key(*context.platform.keys.create(made.name, DEFAULT_KEY))


def _described(invite: Invite) -> dict[str, Any]:
    return {
        "inviteCode": invite.code,
        "signupCredits": invite.signup_credits,
        "comments": invite.comments,
        "expiresAt": iso_or_none(invite.expires_at),
        "createdAt": iso(invite.created_at),
        "createdBy": invite.created_by,
    }
