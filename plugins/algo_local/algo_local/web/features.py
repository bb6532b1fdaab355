"""Feature switches, which administrators set for everybody or for one account."""

from __future__ import annotations

from typing import TYPE_CHECKING

from algo_local.error_codes import ErrorCode
from algo_local.refusals import Forbidden

if TYPE_CHECKING:
    from algo_local.platform import Platform

FEATURES = {
    "create_algorithms": "Accounts may create algorithms",
    "create_organizations": "Accounts may make organizations",
    "invites": "Invites may be accepted",
    "web_calls": "Algorithms may be called from web pages",
}
"""The features and their descriptions; rows of the table of operations name them."""


def check_feature(platform: Platform, feature: str, account: str) -> None:
    """Raise Forbidden if a feature is turned off for an account."""
    if not platform.administration.is_enabled(feature, account):
        raise Forbidden(f"Turned off on this platform: {FEATURES[feature].lower()}", ErrorCode.NOT_AUTHORIZED)
