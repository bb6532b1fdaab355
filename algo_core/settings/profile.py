"""A profile as a value: what `[profiles.NAME]`, an environment variable or a plugin describes."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from algo_core.settings.credentials import Credential


ASKED = "algo auth"
"""The origin of what a person has just been asked for."""

PUBLIC_ORIGIN = "default"
"""The origin of an address that nobody has chosen."""


class Profile(NamedTuple):
    """Where requests go and as whom: an address, a credential, a company's CA.

    `address` has no `/v1` and no slash at its end; `origin` says where the profile came from and `address_origin` where
    its address did, for messages; `notice` is a line to print on stderr when the profile is used without having been
    asked for.
    `ca_cert` is a path to a PEM file that is trusted *in addition to* the public roots.
    """

    name: str
    address: str
    credential: Credential | None = None
    ca_cert: str | None = None
    ca_cert_origin: str | None = None
    origin: str = ""
    notice: str | None = None
    insecure_http: bool = False
    address_origin: str = ""
