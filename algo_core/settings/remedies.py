"""Commands that change a profile's address at its origin: a variable, a file, or the default."""

from __future__ import annotations

import shlex

from algo_core.settings.config import FROM_ENVIRONMENT
from algo_core.settings.profile import ASKED, PUBLIC_ORIGIN, Profile

_ENFORCED = "enforced by "


def flag_of(profile: Profile) -> str:
    """The flag that selects a profile, after a blank; empty for the default one."""
    return "" if profile.name == "default" else f" --profile {shlex.quote(profile.name)}"


def whence(profile: Profile) -> str:
    """The origin of a profile's address, for messages."""
    if profile.address_origin == PUBLIC_ORIGIN:
        return "nowhere: it is the public one"
    return profile.address_origin or profile.origin or f"profile {profile.name}"


def change(profile: Profile) -> str:
    """The command that sets another address."""
    origin = profile.address_origin
    if origin.startswith(FROM_ENVIRONMENT):
        return f"`unset {origin.removeprefix(FROM_ENVIRONMENT)}`"
    if origin.startswith(_ENFORCED):
        return "ask your administrator"
    return "give another one" if origin == ASKED else f"`algo auth{flag_of(profile)}`"


def change_to(profile: Profile, address: str) -> str:
    """The command that sets this address."""
    origin = profile.address_origin
    if origin.startswith(FROM_ENVIRONMENT):
        return f"`export {origin.removeprefix(FROM_ENVIRONMENT)}={shlex.quote(address)}`"
    if origin.startswith("profile "):
        from algo_core.names import dotted

        key = dotted(("profiles", profile.name, "address"))
        return f"`algo config set {shlex.quote(key)} {shlex.quote(address)}`"
    return address if origin == ASKED else f"{address}; it comes from {whence(profile)}"
