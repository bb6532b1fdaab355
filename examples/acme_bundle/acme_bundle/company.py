"""Where things are at Acme: settings, which the administrator's file can change and enforce, in its table `[acme]`."""

from __future__ import annotations

import functools
from dataclasses import dataclass, fields
from pathlib import Path

from algo_core import App, PluginSetting, Profile
from algo_core.errors import ConfigError, UsageError
from algo_core.settings.profile import Network, check_address

ORIGIN = "acme-bundle"

SETTINGS = [
    PluginSetting("acme.address", "address of Acme's platform", default="https://api.acme.example"),
    PluginSetting("acme.archive", "address of the archive, acme://", default="https://archive.acme.example/files"),
    PluginSetting("acme.issuer", "address of the OpenID provider for log-ins", default="https://login.acme.example"),
    PluginSetting("acme.client_id", "name under which the OpenID provider knows algo", default="algo"),
    PluginSetting("acme.ca_cert", "PEM file of Acme's CA; the package's own if empty"),
    PluginSetting("acme.client_cert", "PEM file of this machine's certificate (mTLS)"),
    PluginSetting("acme.client_key", "PEM file of its key, unless the certificate's file holds it"),
    PluginSetting("acme.signing_key", "file with the key that requests are signed with; none are if empty"),
    PluginSetting("acme.session_file", "file that keeps the log-in", default="~/.acme/session.json"),
    PluginSetting("acme.audit_log", "file that gets a line for all that algo does; none if empty"),
]


@dataclass(frozen=True)
class Company:
    """The values of the settings; paths are absolute, or empty."""

    address: str
    archive: str
    issuer: str
    client_id: str
    ca_cert: str
    client_cert: str
    client_key: str
    signing_key: str
    session_file: str
    audit_log: str

    def profile(self, name: str, address: str) -> Profile:
        """A profile for one of the company's servers: all are behind its CA, and may ask for a certificate."""
        network = Network(
            client_cert=self.client_cert,
            client_key=self.client_key,
            origins={"client_cert": ORIGIN, "client_key": ORIGIN},
        )
        ca_cert = self.ca_cert or str(Path(__file__).with_name("company-ca.pem"))
        return Profile(name, address, ca_cert=ca_cert, ca_cert_origin=ORIGIN, origin=ORIGIN, network=network)


@functools.lru_cache(maxsize=16)
def company(app: App) -> Company:
    """The company as the configuration describes it; read once for each `app`, since requests and observers ask for it.

    Raises:
        ConfigError: if an address or another value is wrong.
    """
    values = {field.name: str(app.setting(f"acme.{field.name}").value) for field in fields(Company)}
    for name in ("address", "archive", "issuer"):
        try:
            values[name] = check_address(values[name])
        except UsageError as error:
            raise ConfigError(f"{error.message} (acme.{name})", error.hint) from None
    for name in ("ca_cert", "client_cert", "client_key", "signing_key", "session_file", "audit_log"):
        values[name] = str(Path(values[name]).expanduser()) if values[name] else ""
    return Company(**values)
