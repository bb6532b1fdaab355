"""How pip and uv reach package indexes: with the company's CA, client certificate and proxy that `algo` itself uses.

They are handed over in the environment, never as arguments. What pip's and uv's own settings say (`PIP_CERT`,
`PIP_PROXY`, pip's and uv's files) goes before them.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from algo_core.errors import AlgoError, ConfigError
from algo_core.http.tls import BUNDLE_VARIABLES
from algo_core.scratch import scratch_directory
from algo_core.settings.profile import Network
from algo_core.settings.profiles import NETWORK_SETTINGS, check_ca_file, check_proxy

if TYPE_CHECKING:
    from algo_core.context import App
    from algo_core.settings.profile import Profile

PROXY_VARIABLES = ("HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY", "http_proxy", "https_proxy", "all_proxy")


@contextmanager
def tools_environ(app: App) -> Iterator[dict[str, str]]:
    """The environment for tools that ask an index, while the block runs.

    Raises:
        ConfigError: if a certificate cannot be read, or the proxy's address is none; it names the setting's origin.
    """
    ca_cert, network = _settings(app)
    with scratch_directory() as folder:
        yield {
            **app.environ,
            **_trusted(app.environ, ca_cert, network, folder),
            **_client(app.environ, network, folder),
            **_proxy(network),
        }


def _settings(app: App) -> tuple[str | None, Network]:
    """The CA and the network settings of the profile in use; its credential is not asked for."""
    name = str(app.config.get("profile", flag=app.profile_flag).value)
    table, origin = app.profiles.table(name) or ({}, "")
    preset = None if table else _preset(app, name)
    network = preset.network if preset else Network()
    for member in NETWORK_SETTINGS:
        value = app.setting(member)
        if value.origin != "default":
            network = network._replace(**{member: value.value, "origins": {**network.origins, member: value.origin}})
    if network.proxy:
        check_proxy(network.proxy, network.origin("proxy"))
    if network.proxy_ca_cert:
        check_ca_file(network.proxy_ca_cert, network.origin("proxy_ca_cert"))
    enforced = app.config.enforced("ca_cert")
    found = (enforced.value if enforced else table.get("ca_cert")) or (preset.ca_cert if preset else None)
    if not found:
        return None, network
    ca_cert = os.path.expanduser(str(found))
    check_ca_file(ca_cert, enforced.origin if enforced else f"profile {name} in {origin or 'its plugin'}")
    return ca_cert, network


def _preset(app: App, name: str) -> Profile | None:
    """A bundle's profile; one that is broken may be what is to be replaced."""
    try:
        return app.profiles.stand_in(name)
    except AlgoError as error:
        app.output.warn(error.message)
        return None


def _trusted(environ: Mapping[str, str], ca_cert: str | None, network: Network, folder: str) -> dict[str, str]:
    """Variables that make both tools trust the same authorities: requests and pip read one, uv the other."""
    given = next((path for name in BUNDLE_VARIABLES if (path := environ.get(name))), None)
    if not (ca_cert or network.system_trust or network.proxy_ca_cert):
        if given is None:
            return {}
        return {"REQUESTS_CA_BUNDLE": given, "SSL_CERT_DIR" if os.path.isdir(given) else "SSL_CERT_FILE": given}
    files = [given or _public(), *(_of_system() if network.system_trust else ())]
    files += [path for path in (ca_cert, os.path.expanduser(network.proxy_ca_cert)) if path]
    bundle = os.path.join(folder, "trusted.pem")
    Path(bundle).write_bytes(b"\n".join(_certificates(path) for path in files))
    found = {"REQUESTS_CA_BUNDLE": bundle, "SSL_CERT_FILE": bundle}
    if network.system_trust and sys.platform in {"darwin", "win32"} and not ca_cert:
        del found["SSL_CERT_FILE"]  # there these authorities are in no file, and uv asks the system itself
        found |= {"UV_NATIVE_TLS": "1", "UV_SYSTEM_CERTS": "1"}
    return found


def _public() -> str:
    import certifi

    return certifi.where()


def _of_system() -> list[str]:
    import ssl

    paths = ssl.get_default_verify_paths()
    return [path for path in (paths.cafile, paths.capath) if path]


def _certificates(path: str) -> bytes:
    """The content of a PEM file, or of those in a directory."""
    try:
        if not os.path.isdir(path):
            return Path(path).read_bytes()
        files = (file for file in sorted(Path(path).iterdir()) if file.is_file())
        return b"\n".join(content for file in files if b"BEGIN CERTIFICATE" in (content := file.read_bytes()))
    except OSError as error:
        raise ConfigError(f"Cannot read the certificates in {path}: {error.strerror}", "Correct its path") from None


def _client(environ: Mapping[str, str], network: Network, folder: str) -> dict[str, str]:
    """Variables for the client certificate, which both tools want in one file with its key."""
    if not network.client_cert:
        return {}
    pair = os.path.join(folder, "client.pem")
    try:
        with open(os.open(pair, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb") as file:
            for path in filter(None, (network.client_cert, network.client_key)):
                file.write(Path(path).expanduser().read_bytes() + b"\n")
    except OSError as error:
        origin = network.origin("client_cert")
        raise ConfigError(
            f"Cannot read the client certificate (from {origin}): {error.strerror}", "Correct client_cert"
        ) from None
    return {"PIP_CLIENT_CERT": environ.get("PIP_CLIENT_CERT", pair), "SSL_CLIENT_CERT": pair}


def _proxy(network: Network) -> dict[str, str]:
    return dict.fromkeys(PROXY_VARIABLES, network.proxy) if network.proxy else {}
