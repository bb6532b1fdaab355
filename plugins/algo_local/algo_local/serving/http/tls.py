"""TLS of the served platform."""

from __future__ import annotations

import ssl  # noqa: TID253 - this module is only imported when a certificate is given
from pathlib import Path

from algo_core.errors import ConfigError


def tls_context(certificate: Path, key: Path | None) -> ssl.SSLContext:
    """The context of a server with this certificate and key, both PEM files; the key may be in the same file.

    Raises:
        ConfigError: if they cannot be used.
    """
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    context.set_alpn_protocols(["http/1.1"])
    try:
        context.load_cert_chain(certificate, key or certificate)
    except (OSError, ssl.SSLError) as error:
        raise ConfigError(
            f"The TLS certificate {certificate} cannot be used: {error}",
            "Give PEM files that belong together with --tls-cert and --tls-key",
        ) from error
    return context
