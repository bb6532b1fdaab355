"""Finds a profile by name: in the files, with the environment, or the stand-in if none is configured."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from typing import Any
from urllib.parse import urlsplit

from algo_core.errors import ConfigError, UsageError
from algo_core.settings import credentials
from algo_core.settings.config import DEFAULT_ADDRESS, FROM_ENVIRONMENT, Config, Value
from algo_core.settings.profile import PUBLIC_ORIGIN, Network, Profile, check_address

NETWORK_SETTINGS = ("client_cert", "client_key", "system_trust", "proxy", "proxy_ca_cert")
"""Settings that say how a profile's host is reached."""


def check_proxy(address: str, origin: str) -> None:
    """Raise ConfigError unless it is the address of a proxy: `http://` or `https://`, a host, a port, maybe a user."""
    try:
        parts = urlsplit(address)
        is_right = parts.scheme in {"http", "https"} and bool(parts.hostname) and parts.path in {"", "/"}
        _ = parts.port
    except ValueError:
        is_right = False
    if not is_right:
        raise ConfigError(
            f"Not the address of a proxy (from {origin})", "It looks like http://proxy.example:3128 or https://..."
        )


def check_ca_file(path: str, origin: str) -> str:
    """An absolute path to a PEM file with at least one certificate.

    Raises:
        ConfigError: if it is missing, unreadable or has no certificate; the message names its origin.
    """
    import ssl

    file = os.path.expanduser(path)
    hint = "Give the path of a PEM file that holds the CA's certificate"
    try:
        with open(file, "rb") as opened:
            opened.read(1)
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        context.load_verify_locations(file)
    except ssl.SSLError:
        raise ConfigError(f"No certificate in the CA file {path} (from {origin})", hint) from None
    except OSError as error:
        raise ConfigError(f"Cannot read the CA file {path} (from {origin}): {error.strerror}", hint) from None
    return os.path.abspath(file)


OtherCredential = Callable[[Profile, "credentials.Credential | None"], "credentials.Credential | None"]


class ProfileResolver:
    """Finds the profile to use.

    `stand_in` is asked for a profile when nobody has configured one (the hook `algo_default_profile`), and
    `other_credential` for a credential when the profile has none, or the platform has refused it (`algo_credentials`).
    """

    def __init__(
        self,
        config: Config,
        stand_in: Callable[[str], Profile | None] = lambda name: None,
        other_credential: OtherCredential = lambda profile, refused: None,
    ) -> None:
        self.config = config
        self.stand_in = stand_in
        self.other_credential = other_credential

    def table(self, name: str) -> tuple[Mapping[str, Any], str] | None:
        """The members of a configured profile and its file: the user's, the administrator's or the older tools'."""
        tables = self.config.profile_tables(name)
        if tables:
            merged: dict[str, Any] = {}
            for table, _ in reversed(tables):
                merged.update(table)
            return merged, tables[0][1]
        from algo_core.settings.legacy import legacy_profiles

        legacy, file = legacy_profiles(self.config.environ)
        return (legacy[name], str(file)) if name in legacy else None

    def names(self) -> list[str]:
        """The names of all configured profiles."""
        from algo_core.settings.legacy import legacy_profiles

        try:
            legacy, _ = legacy_profiles(self.config.environ)
        except ConfigError:
            legacy = {}
        return sorted({*self.config.profile_names(), *legacy})

    def resolve(self, flag: str | None = None) -> Profile:
        """The profile to use; `flag` is the name from `--profile`, which overrides key and address of the environment.

        Raises:
            ConfigError: if there is no such profile, one of its parts is missing or wrong, or the configuration has
                faults.
        """
        if not self.config.is_empty:
            from algo_core.settings.repair import check

            check(self.config)
        chosen = self.config.get("profile", flag=flag)
        name, environ = str(chosen.value), self.config.environ
        explicit = flag is not None
        found = self.table(name)
        ambient_address = environ.get("ALGORITHMIA_API", "").strip()
        ambient = None if explicit else credentials.from_environment(environ)
        if found is None and not ambient and not (ambient_address and not explicit):
            if stand_in := self.stand_in(name):
                stand_in = stand_in._replace(address_origin=stand_in.address_origin or stand_in.origin)
                controlled = self._under_control(self._safe(stand_in))
                if controlled.address_origin != stand_in.address_origin:
                    controlled = controlled._replace(origin=controlled.address_origin)
                return self._with_other_credential(self._with_network(controlled, {}, ""))
            raise self._missing(name, chosen.origin)
        # A preset gives an address, or the CA for the one of the environment: plain HTTP needs neither.
        preset = None if found or ambient_address.lower().startswith("http://") else self._preset(name)
        table, origin = found or (_as_table(preset) if preset else ({}, "environment"))
        if found and not self.config.profile_tables(name):
            from algo_core.settings.legacy import check_legacy

            check_legacy(environ, name)
        written = str(table.get("address") or "")
        address = Value(written, self._origin(name, "address", origin)) if written else Value("", PUBLIC_ORIGIN)
        if ambient_address and (not explicit or not written):
            address = Value(ambient_address, f"{FROM_ENVIRONMENT}ALGORITHMIA_API")
        insecure = bool(self.config.get("insecure_http", profile=table, origin=origin).value)
        profile = Profile(
            name=name,
            address=str(address.value),
            credential=ambient or self._written_credential(name, table, origin),
            ca_cert=table.get("ca_cert") or None,
            ca_cert_origin=self._origin(name, "ca_cert", origin) if table.get("ca_cert") else None,
            origin=origin,
            insecure_http=insecure,
            address_origin=address.origin,
            network=preset.network if preset else Network(),
        )
        profile = self._with_network(_checked(self._under_control(profile)), table, origin)
        return self._with_other_credential(profile)

    def _safe(self, stand_in: Profile) -> Profile:
        """A plugin's profile whose address is one that a person could have configured, if requests go there by HTTP.

        Raises:
            ConfigError: if it is none, or would send a credential unencrypted to another machine.
        """
        if not stand_in.address.lower().startswith(("http:", "https:")):
            return stand_in
        insecure = stand_in.insecure_http or bool(self.config.get("insecure_http").value)
        return _checked(stand_in._replace(insecure_http=insecure))

    def _written_credential(self, name: str, table: Mapping[str, Any], origin: str) -> credentials.Credential | None:
        member = next((member for member in credentials.MEMBERS if table.get(member)), "")
        return credentials.from_table(name, table, self._origin(name, member, origin))

    def _origin(self, name: str, member: str, default: str) -> str:
        """The origin of a member of a profile."""
        for table, file in self.config.profile_tables(name):
            if member in table:
                return f"profile {name} in {file}"
        return f"profile {name} in {default}"

    def _preset(self, name: str) -> Profile | None:
        """A company's preset, for a key from the environment; the embedded platform needs no key."""
        preset = self.stand_in(name)
        return preset if preset and preset.address.startswith("http") else None

    def _under_control(self, profile: Profile) -> Profile:
        """A profile with the administrator's enforced values.

        Raises:
            ConfigError: if the enforced address is invalid.
        """
        if enforced := self.config.enforced("address"):
            address, origin = str(enforced.value), enforced.origin
            profile = _checked(profile._replace(address=address, address_origin=origin, notice=None))
        if enforced := self.config.enforced("ca_cert"):
            ca_cert = os.path.expanduser(str(enforced.value))
            profile = profile._replace(ca_cert=ca_cert, ca_cert_origin=enforced.origin)
        return profile

    def _with_network(self, profile: Profile, table: Mapping[str, Any], origin: str) -> Profile:
        """A profile with the settings for the way to its host, which go before those of a preset.

        Raises:
            ConfigError: if the proxy's address is none.
        """
        network = profile.network
        for name in NETWORK_SETTINGS:
            value = self.config.get(name, profile=table, origin=self._origin(profile.name, name, origin))
            if value.origin == "default":
                continue
            setting: Any = value.value
            if isinstance(setting, str) and name != "proxy":
                setting = os.path.expanduser(setting)
            changes: dict[str, Any] = {name: setting, "origins": {**network.origins, name: value.origin}}
            network = network._replace(**changes)
        if network.proxy:
            check_proxy(network.proxy, network.origin("proxy"))
        return profile._replace(network=network)

    def _with_other_credential(self, profile: Profile) -> Profile:
        if profile.credential is None and (credential := self.other_credential(profile, None)):
            return profile._replace(credential=credential)
        return profile

    def renewed(self, profile: Profile, refused: credentials.Credential) -> credentials.Credential | None:
        """A new credential in place of one that was refused or expires; None if there is none.

        The profile's command and plugins are asked again; what is written down or in the environment stays what it is.

        Raises:
            ConfigError: if the profile's command fails.
        """
        if refused.origin.startswith(FROM_ENVIRONMENT):
            return None
        table, origin = self.table(profile.name) or ({}, "")
        if any(table.get(member) for member in credentials.MEMBERS):
            return credentials.renewed_by_command(profile.name, table, self._origin(profile.name, "", origin))
        return self.other_credential(profile._replace(credential=None), refused)

    def _missing(self, name: str, origin: str) -> ConfigError:
        others = self.names()
        flag = "" if name == "default" else f" --profile {name}"
        where = "" if origin == "default" else f" (asked for by {origin})"
        return ConfigError(
            f"There is no profile {name!r}{where}",
            f"Configure it with: algo auth{flag}" + (f"; there are: {', '.join(others)}" if others else ""),
        )


def _as_table(preset: Profile) -> tuple[Mapping[str, Any], str]:
    """A preset as the table of a profile, and its origin."""
    return {"address": preset.address, "ca_cert": preset.ca_cert}, preset.origin


def _checked(profile: Profile) -> Profile:
    """A profile with its address normalized and its CA file expanded.

    Raises:
        ConfigError: if the address is invalid; the message names its origin.
    """
    try:
        address = check_address(profile.address or DEFAULT_ADDRESS, insecure_http=profile.insecure_http)
    except UsageError as error:
        from algo_core.settings.remedies import change

        remedy = "" if error.hint and "`" in error.hint else f": {change(profile)}"
        raise ConfigError(f"{error.message} (from {profile.address_origin})", f"{error.hint}{remedy}") from None
    ca_cert = os.path.expanduser(profile.ca_cert) if profile.ca_cert else None
    return profile._replace(address=address, ca_cert=ca_cert)
