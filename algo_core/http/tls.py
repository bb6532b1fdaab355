"""Certificate authorities and client certificates of TLS connections, for all transports."""

from __future__ import annotations

import os
import sys
from typing import TYPE_CHECKING

from algo_core.errors import ConfigError

if TYPE_CHECKING:
    import ssl

    from algo_core.settings.profile import Network, Profile

BUNDLE_VARIABLES = ("REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE", "SSL_CERT_FILE", "SSL_CERT_DIR")
"""Environment variables that replace the public authorities, for profiles without a CA."""


def environment_bundle() -> str | None:
    """The bundle that the environment names: a file, or a directory of certificates.

    Raises:
        ConfigError: if it does not exist.
    """
    for variable in BUNDLE_VARIABLES:
        if path := os.environ.get(variable):
            if not os.path.exists(path):
                raise ConfigError(
                    f"The CA bundle {path} does not exist (from environment variable {variable})",
                    f"Fix or unset {variable}",
                )
            return path
    return None


def tls_context(profile: Profile) -> ssl.SSLContext:
    """The TLS context of the direct transport: verified, with the defaults of `ssl`.

    The profile's CA is trusted in addition to the public roots, whatever the environment says.

    Raises:
        ConfigError: if the environment names a bundle that does not exist or holds no certificate, or the client
            certificate cannot be used.
    """
    bundle = None if profile.ca_cert else environment_bundle()
    if bundle is None:
        import certifi

        bundle = certifi.where()
    context = base_context(profile.network)
    try:
        if os.path.isdir(bundle):
            context.load_verify_locations(capath=bundle)
        else:
            context.load_verify_locations(cafile=bundle)
    except OSError as error:
        raise ConfigError(
            f"No certificates in the CA bundle {bundle}: {error.strerror or error}",
            f"Fix or unset {' and '.join(v for v in BUNDLE_VARIABLES if os.environ.get(v)) or 'what installed it'}",
        ) from error
    if profile.ca_cert:
        context.load_verify_locations(profile.ca_cert)
    show_certificate(context, profile.network)
    context.set_alpn_protocols(["http/1.1"])
    return context


def base_context(network: Network) -> ssl.SSLContext:
    """A context that verifies, and trusts nobody yet but the operating system's authorities, if they are wanted.

    Raises:
        ConfigError: if the operating system's authorities cannot be asked here.
    """
    import ssl

    if not network.system_trust:
        return _strict(ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT))
    try:
        import truststore
    except ImportError:
        if sys.platform in {"darwin", "win32"}:
            raise ConfigError(
                f"system_trust needs the package truststore here (from {network.origin('system_trust')})",
                "Install it where algo is: pip install truststore",
            ) from None
        context = _strict(ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT))
        context.load_default_certs()
        return context
    return _strict(truststore.SSLContext(ssl.PROTOCOL_TLS_CLIENT))


def _strict(context: ssl.SSLContext) -> ssl.SSLContext:
    context.hostname_checks_common_name = False  # names of hosts have another place in certificates
    return context


def show_certificate(context: ssl.SSLContext, network: Network) -> None:
    """Let a context show the profile's certificate to servers that ask for one.

    Raises:
        ConfigError: if the files cannot be read, do not fit, or are encrypted; the message names their origin.
    """
    if not network.client_cert:
        if network.client_key:
            raise ConfigError(
                f"There is a client_key (from {network.origin('client_key')}), and no client_cert", "Set client_cert"
            )
        return
    import ssl

    files = " and ".join(part for part in (network.client_cert, network.client_key) if part)
    origin = network.origin("client_cert")
    try:
        context.load_cert_chain(network.client_cert, network.client_key or None, password=_no_password)
    except ssl.SSLError as error:
        why = "the key does not belong to the certificate" if "MISMATCH" in str(error.reason) else "not PEM"
        raise ConfigError(
            f"Cannot use the client certificate {files} (from {origin}): {why}",
            "Give the PEM file of the certificate as client_cert, and that of its key as client_key",
        ) from None
    except OSError as error:
        raise ConfigError(
            f"Cannot read the client certificate {files} (from {origin}): {error.strerror}", "Correct client_cert"
        ) from None


def _no_password() -> str:
    raise ConfigError("The client certificate's key is encrypted", "Give a file with the unencrypted key, mode 0600")
