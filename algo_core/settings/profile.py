"""The value of a profile, from `[profiles.NAME]`, environment variables or a plugin."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, NamedTuple

from algo_core.errors import UsageError

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


ALLOW_HTTP = "`algo config set insecure_http true`"


def check_address(text: str, *, insecure_http: bool = False, remedy: str = ALLOW_HTTP) -> str:
    """An API address in normalized form: a scheme, a host, no `/v1`, no trailing slash.

    `remedy` is the command that allows plain http.

    Raises:
        UsageError: if it is not an address, or would send a credential unencrypted to another machine.
    """
    from urllib.parse import urlsplit

    from algo_core.settings.config import DEFAULT_ADDRESS

    text = text.strip().rstrip("/")
    scheme, colon, rest = text.partition(":")
    if colon and not rest.strip("/") and scheme.isalpha() and scheme.lower() not in {"http", "https"}:
        return f"{scheme.lower()}:"
    try:
        parts = urlsplit(text)
        host, _ = parts.hostname, parts.port
    except ValueError:
        host = None
    if not host or parts.scheme not in {"http", "https"} or any(c.isspace() for c in text):
        raise UsageError(f"Not an API address: {text!r}", f"It looks like {DEFAULT_ADDRESS}")
    if parts.username or parts.password or parts.query or parts.fragment:
        raise UsageError("An API address has no user name, query or fragment", f"It looks like {DEFAULT_ADDRESS}")
    if parts.scheme == "http" and not insecure_http and not is_loopback(host):
        raise UsageError(
            f"Plain http would send the key unencrypted to {host}",
            f"Use https://, or allow it with: {remedy}",
        )
    return text[: -len("/v1")] if text.endswith("/v1") else text


def is_loopback(host: str) -> bool:
    """Whether a host name or address is this machine's loopback."""
    if host == "localhost" or host.endswith(".localhost"):
        return True
    import socket

    try:
        return socket.inet_pton(socket.AF_INET, host)[0] == 127
    except OSError:
        pass
    try:
        return socket.inet_pton(socket.AF_INET6, host) == bytes(15) + b"\1"
    except OSError:
        return False
