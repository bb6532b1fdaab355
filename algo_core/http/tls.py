"""The certificate authorities that are trusted, for all transports."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from algo_core.errors import ConfigError

if TYPE_CHECKING:
    import ssl

BUNDLE_VARIABLES = ("REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE")
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


def tls_context(ca_cert: str | None) -> ssl.SSLContext:
    """The TLS context of the direct transport: verified, with the defaults of `ssl`.

    `ca_cert` is the profile's CA, which is trusted in addition to the public roots, whatever the environment says.

    Raises:
        ConfigError: if the environment names a bundle that does not exist or holds no certificate.
    """
    import ssl

    bundle = None if ca_cert else environment_bundle()
    if bundle is None:
        import certifi

        bundle = certifi.where()
    try:
        if os.path.isdir(bundle):
            context = ssl.create_default_context(capath=bundle)
        else:
            context = ssl.create_default_context(cafile=bundle)
    except OSError as error:
        raise ConfigError(
            f"No certificates in the CA bundle {bundle}: {error.strerror or error}",
            f"Fix or unset {' and '.join(v for v in BUNDLE_VARIABLES if os.environ.get(v)) or 'what installed it'}",
        ) from error
    if ca_cert:
        context.load_verify_locations(ca_cert)
    context.hostname_checks_common_name = False  # names of hosts have another place in certificates
    context.set_alpn_protocols(["http/1.1"])
    return context
