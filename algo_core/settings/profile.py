"""The value of a profile, from `[profiles.NAME]`, environment variables or a plugin."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from algo_core.settings.credentials import Credential


ASKED = "algo auth"
"""The origin of values that the user just entered."""

PUBLIC_ORIGIN = "default"
"""The origin of the default address."""


class Network(NamedTuple):
    """The network settings of a profile: client certificate, trusted authorities, and proxy.

    `client_cert` and `client_key` are paths of PEM files for servers that ask for a certificate; without a key the
    certificate's file holds it. With `system_trust` the operating system's authorities are trusted, too. `proxy` is an
    address, used instead of those in the environment; `proxy_ca_cert` is a PEM file that is trusted for the proxy.
    `origins` says where each value came from, for messages.
    """

    client_cert: str = ""
    client_key: str = ""
    system_trust: bool = False
    proxy: str = ""
    proxy_ca_cert: str = ""
    origins: Mapping[str, str] = {}

    def origin(self, name: str) -> str:
        """Where a value came from."""
        return self.origins.get(name, "the profile")


class Profile(NamedTuple):
    """Where requests go and as whom: an address, a credential, a company's CA.

    `address` has no `/v1` and no slash at its end; `origin` says where the profile came from and `address_origin` where
    its address did, for messages; `notice` is a line to print on stderr when the profile is used without having been
    asked for.
    `ca_cert` is a path to a PEM file that is trusted *in addition to* the public roots; `network` is what the host and
    the way to it ask for beyond that.
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
    network: Network = Network()
