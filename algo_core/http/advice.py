"""Hints for failed requests: the value that may be wrong, its origin, and the command that changes it."""

from __future__ import annotations

import re
import shlex
from collections.abc import Callable
from urllib.parse import urlsplit

from algo_core.errors import AuthError, NetworkError, RequestRefused, TimedOut, TlsError
from algo_core.settings.config import FROM_COMMAND, FROM_ENVIRONMENT
from algo_core.settings.profile import ASKED, Profile
from algo_core.settings.remedies import change, change_to, flag_of, whence
from algo_core.settings.values import without_password

_WANTS_TLS = re.compile(r"HTTP request .{0,40}HTTPS|plain HTTP to an SSL", re.IGNORECASE)
"""The messages of web servers for plain HTTP on a TLS port."""


def not_authenticated(message: str, profile: Profile | None) -> AuthError:
    """The error for a credential that the platform rejects, with the credential's origin."""
    if profile is None:
        return AuthError(message)
    auth = f"`algo auth{flag_of(profile)}`"
    credential = profile.credential
    if credential is None:
        return AuthError(message, f"Profile {profile.name} has no key; give it one with: {auth}")
    if credential.origin == ASKED:
        return AuthError(message, "Missing or invalid credential: check the key and the address")
    told = f"{message} (the key comes from {credential.origin})" if credential.origin else message
    if credential.origin.startswith(FROM_ENVIRONMENT):
        variable = credential.origin.removeprefix(FROM_ENVIRONMENT)
        return AuthError(told, f"Correct {variable}, or remove it: `unset {variable}`")
    if credential.origin.startswith(FROM_COMMAND):
        return AuthError(told, f"Run that command yourself, and check what it prints: algo profile show {profile.name}")
    return AuthError(told, f"Give this profile a valid key with: {auth}")


def not_permitted(profile: Profile | None) -> str:
    """The hint for a caller without the necessary permission."""
    if profile and profile.credential is None:
        return "Without a key, commands act as your own account; with --sudo, where they have it, as an administrator"
    origin = profile.credential.origin if profile and profile.credential else ""
    whose = f" from {origin}" if origin else ""
    return f"The key{whose} does not permit that; use another profile with: --profile NAME"


def explain(error: NetworkError, profile: Profile, longer: Callable[[bool], str]) -> None:
    """Complete the hint of an error of a connection to the profile's platform.

    `longer` gives the advice for more time for a connection (True), or for a response.
    """
    if isinstance(error, TimedOut):
        error.hint = f"Try again, or {longer(error.nothing_sent)}"
    elif error.scheme:
        right = urlsplit(profile.address)._replace(scheme=error.scheme).geturl()
        error.hint = f"{error.hint}: {change_to(profile, right)}"
    elif error.concerns_proxy and profile.network.proxy:
        proxy, origin = without_password(profile.network.proxy), profile.network.origin("proxy")
        error.hint = f"Check the proxy {proxy}, which comes from {origin}"
    elif isinstance(error, TlsError) and error.concerns_certificate:
        error.hint = f"{error.hint}: {_certificate(profile)}"
    elif isinstance(error, TlsError):
        trusted = f" (besides the public ones, {profile.ca_cert} is trusted: {profile.ca_cert_origin})"
        error.hint = f"{error.hint}{trusted if profile.ca_cert else ''}"
    elif error.concerns_address:
        error.hint = f"Check the network, and the address, which comes from {whence(profile)}: {change(profile)}"


def _certificate(profile: Profile) -> str:
    """The hint for a rejected client certificate: its origin, and the setting that changes it."""
    from algo_core.names import dotted

    key = shlex.quote(dotted(("profiles", profile.name, "client_cert")))
    shown, origin = profile.network.client_cert, profile.network.origin("client_cert")
    if origin.startswith("enforced by "):
        return f"ask your administrator; {shown} was shown ({origin})"
    return f"`algo config set {key} PATH`" + (f"; {shown} was shown, from {origin}" if shown else "")


def proxy_wants_password() -> AuthError:
    """The error for a proxy that does not let anybody pass without a name and a password."""
    return AuthError(
        "The proxy asks for a user name and a password, or does not accept them (407)",
        "Write them into its address, http://USER:PASSWORD@HOST:PORT, in the setting 'proxy' or in HTTPS_PROXY",
    )


def wants_tls(said: str, message: str, profile: Profile | None) -> RequestRefused | None:
    """The error for a TLS server that was sent plain HTTP, if its response says so."""
    if profile is None or not profile.address.startswith("http:") or not _WANTS_TLS.search(said):
        return None
    right = profile.address.replace("http:", "https:", 1)
    return RequestRefused(message, f"Give the address with https://: {change_to(profile, right)}")


def wrong_address(profile: Profile | None) -> str:
    """The hint for a response that is not from the API."""
    if profile is None:
        return "Check that the profile's address is that of the API"
    return f"Check that the address is that of the API; it comes from {whence(profile)}: {change(profile)}"
