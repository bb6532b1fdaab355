"""Layered configuration, read fast: each value with its origin.

A value comes from the command's flag, the environment, the profile, the user's file, the administrator's files or the
built-in default, in this order; the `[enforce]` tables of the administrator's files override all of them.
`algo_core.settings.schema` declares the content of the files. Writing is done by `algo_core.settings.edit`, so that
reading never needs tomlkit.
"""

from __future__ import annotations

import functools
import os
import sys
from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple

from algo_core.errors import ConfigError, UsageError
from algo_core.settings import paths

FROM_ENVIRONMENT = "environment variable "
FROM_COMMAND = "credential_command"
"""The prefix of the origin of a value from an environment variable."""

DEFAULT_ADDRESS = "https://api.algorithmia.com"
"""The address that the guide's prompt shows; the public platform behind it no longer answers."""


Kind = type | tuple[str, ...]
"""The values that a setting takes: those of a type, or one of these words."""


class Setting(NamedTuple):
    """A setting: its type or allowed words, default, environment variable and description."""

    kind: Kind
    default: Any
    variable: str | None
    help: str


SETTINGS: dict[str, Setting] = {
    "profile": Setting(str, "default", "ALGO_PROFILE", "the profile to use when --profile is not given"),
    "timeout": Setting(float, 60.0, "ALGO_TIMEOUT", "time limit in seconds for each response"),
    "connect_timeout": Setting(float, 10.0, "ALGO_CONNECT_TIMEOUT", "time limit in seconds for making a connection"),
    "retries": Setting(int, 4, "ALGO_RETRIES", "number of retries of a request that is safe to repeat"),
    "insecure_http": Setting(bool, False, "ALGO_INSECURE_HTTP", "allow http:// addresses of other machines"),
    "client_cert": Setting(str, "", "ALGO_CLIENT_CERT", "PEM file with the certificate that servers ask for (mTLS)"),
    "client_key": Setting(str, "", "ALGO_CLIENT_KEY", "PEM file with its key, if that is a file of its own"),
    "system_trust": Setting(
        bool, False, "ALGO_SYSTEM_TRUST", "trust the operating system's certificates as well as the public ones"
    ),
    "proxy": Setting(str, "", "ALGO_PROXY", "address of the proxy, instead of that in HTTPS_PROXY and HTTP_PROXY"),
    "proxy_ca_cert": Setting(str, "", "ALGO_PROXY_CA_CERT", "PEM file of the CA that signed an https:// proxy"),
    "plugins.disabled": Setting(
        list, [], "ALGO_DISABLE_PLUGINS", "distributions whose plugins are not loaded; * for all"
    ),
}
"""Settings that are not part of a profile, by their dotted name."""

PROFILE_MEMBERS: dict[str, type] = {
    "address": str,
    "api_key": str,
    "bearer_token": str,
    "ca_cert": str,
    "credential_command": list,
    "keyring": bool,
    "insecure_http": bool,
    "client_cert": str,
    "client_key": str,
    "system_trust": bool,
    "proxy": str,
    "proxy_ca_cert": str,
    "timeout": float,
    "connect_timeout": float,
    "retries": int,
}
"""The members of a `[profiles.NAME]` table."""

SECRET_MEMBERS = frozenset({"api_key", "bearer_token"})
"""Members of a profile that are never shown."""


class Value(NamedTuple):
    """A setting's value, its origin, and whether the administrator enforces it."""

    value: Any
    origin: str
    enforced: bool = False

    @property
    def is_ambient(self) -> bool:
        """Whether an environment variable gives it."""
        return self.origin.startswith(FROM_ENVIRONMENT)

    @property
    def variable(self) -> str:
        """The environment variable that gives it, if one does."""
        return self.origin.removeprefix(FROM_ENVIRONMENT)


def parse_text(key: str, kind: Kind, text: str, origin: str) -> Any:
    """Parse a value given as text (environment, command line).

    Raises:
        ConfigError: if the text is not of that type.
    """
    from algo_core.settings.values import check

    value: Any = text.strip()
    try:
        if kind is bool:
            value = {"1": True, "true": True, "yes": True, "on": True, "0": False, "false": False, "no": False,
                     "off": False, "": False}[value.lower()]  # fmt: skip
        elif kind is list:
            value = [part for part in text.replace(",", " ").split() if part]
        elif isinstance(kind, type):
            value = kind(value)
    except (KeyError, ValueError):
        pass  # still a text, which is not what the check wants
    if wanted := check(kind, value):
        raise ConfigError(f"{key} must be {wanted}, not {text!r} (from {origin})", _how_to_mend(origin))
    return value


def _how_to_mend(origin: str) -> str | None:
    """The hint for a wrong value from an environment variable."""
    variable = origin.removeprefix(FROM_ENVIRONMENT)
    return f"Correct it, or remove it: `unset {variable}`" if variable != origin else None


def check_kind(key: str, kind: Kind, value: Any, origin: str) -> Any:
    """A value from a file, checked for its type; integers are accepted for seconds.

    Raises:
        ConfigError: if it is of another type.
    """
    from algo_core.settings.values import check

    if wanted := check(kind, value):
        raise ConfigError(f"{key} must be {wanted} (in {origin})")
    return float(value) if kind is float else value


def read_toml(path: str, hint: str | None = None) -> dict[str, Any]:
    """The tables of a TOML file; a file that does not exist has none. `hint` is for one that is not TOML.

    Raises:
        ConfigError: if it cannot be read or is not TOML; the message names the file and the line.
    """
    try:
        with open(path, "rb") as file:
            content = file.read()
    except (FileNotFoundError, NotADirectoryError):
        return {}
    except OSError as error:
        raise ConfigError(f"Cannot read {path}: {error.strerror}") from None
    from algo_core.text import decoded

    try:
        return toml_loads(decoded(content))
    except ValueError as error:
        hint = hint or f"Ask the administrator of {path} to correct it"
        raise ConfigError(f"Cannot read {path}: {error}", hint) from None


def toml_loads(text: str) -> dict[str, Any]:
    """The tables of a TOML document. Raises ValueError if it is invalid."""
    if sys.version_info >= (3, 11):
        import tomllib as toml
    else:
        import tomli as toml
    tables: dict[str, Any] = toml.loads(text)
    return tables


class Layer(NamedTuple):
    """A file and the tables in it; a file that does not exist has none."""

    table: Mapping[str, Any]
    file: str


class Config:
    """The user's file, the administrator's files and the environment, combined.

    `sites` are the administrator's files, the most binding first. `user`, `user_file`, `site` and `site_file` are what
    plugins look at; `site` is all of the administrator's files together.
    """

    def __init__(self, user: Layer, sites: Sequence[Layer], environ: Mapping[str, str]) -> None:
        self.user, self.user_file = user
        self.sites = tuple(sites)
        self.environ = environ
        self.find_declared: Callable[[], Mapping[str, Setting]] = dict
        """Finds the settings that plugins declare; asked only for a name that the core does not know, and for lists."""

    @functools.cached_property
    def settings(self) -> Mapping[str, Setting]:
        """All settings by name, those of plugins included."""
        return {**SETTINGS, **self.find_declared()}

    def known(self, key: str) -> Setting:
        """The setting of this name.

        Raises:
            UsageError: if there is none; the hint names the nearest, or lists the existing ones.
        """
        found = SETTINGS.get(key) or self.settings.get(key)
        if found is None:
            raise UsageError(f"No such setting: {key}", self.nearest_to(key))
        return found

    def nearest_to(self, key: str) -> str:
        """A hint for a setting that does not exist."""
        from difflib import get_close_matches

        close = get_close_matches(key.lower(), self.settings, n=1)
        return f"Did you mean {close[0]}?" if close else "Settings: " + ", ".join(self.settings)

    @classmethod
    def load(cls, environ: Mapping[str, str] = os.environ) -> Config:
        """Read all files.

        Raises:
            ConfigError: if one of them cannot be read or is not TOML.
        """
        user_file = paths.user_config_file(environ)
        sites = [Layer(read_toml(file), file) for file in paths.site_config_files(environ)]
        user = read_toml(user_file, "Correct it with: `algo config edit`; or move it away")
        return cls(Layer(user, user_file), sites, environ)

    @property
    def site(self) -> Mapping[str, Any]:
        """The administrator's files merged; the most binding file wins."""
        merged: dict[str, Any] = {}
        for layer in reversed(self.sites):
            merged = _merged(merged, layer.table)
        return merged

    @property
    def site_file(self) -> str:
        """The administrator's file for messages: the existing ones, else the system's."""
        return ", ".join(layer.file for layer in self.sites if layer.table) or self.sites[0].file

    @property
    def is_empty(self) -> bool:
        """Whether no file has any content."""
        return not self.user and not any(layer.table for layer in self.sites)

    def enforced(self, key: str) -> Value | None:
        """The enforced value of a key, if any."""
        for layer in self.sites:
            if (value := _dig(layer.table.get("enforce"), key)) is not None:
                return Value(value, f"enforced by {layer.file}", True)
        return None

    def get(
        self,
        key: str,
        *,
        flag: Any = None,
        profile: Mapping[str, Any] | None = None,
        origin: str = "",
        ambient: bool = True,
    ) -> Value:
        """A setting's value; `profile` is the table of the current profile, `origin` the origin of that table.

        Without `ambient`, the environment is ignored.

        Raises:
            ConfigError: if a value has the wrong type.
            UsageError: if there is no such setting, or a flag contradicts an enforced value.
        """
        setting = self.known(key)
        if value := self.enforced(key):
            if flag is not None and flag != value.value:
                raise UsageError(f"{key} cannot be changed: {value.origin}")
            return Value(check_kind(key, setting.kind, value.value, value.origin), value.origin, True)
        if flag is not None:
            return Value(flag, "command line")
        text = self.environ.get(setting.variable) if setting.variable and ambient else None
        if text:
            where = f"{FROM_ENVIRONMENT}{setting.variable}"
            return Value(parse_text(key, setting.kind, text, where), where)
        for table, where in ((profile or {}, origin), (self.user, self.user_file), *self.sites):
            found = _dig(table, key)
            if found is not None:
                return Value(check_kind(key, setting.kind, found, where), where)
        return Value(setting.default, "default")

    def profile_tables(self, name: str) -> list[tuple[Mapping[str, Any], str]]:
        """The tables that describe a profile, the user's before the administrator's, each with its origin.

        Raises:
            ConfigError: if one is not a table.
        """
        found: list[tuple[Mapping[str, Any], str]] = []
        for source, file in ((self.user, self.user_file), *self.sites):
            table = _profiles(source, file).get(name)
            if table is None:
                continue
            if not isinstance(table, dict):
                raise ConfigError(f"[profiles.{name}] in {file} is not a table")
            found.append((table, file))
        return found

    def chosen_commands(self) -> dict[str, str]:
        """The chosen distribution of each command that several have: `[plugins.commands]` of all files."""
        chosen: dict[str, str] = {}
        for source in (self.user, *(layer.table for layer in reversed(self.sites))):
            table = _dig(source, "plugins.commands")
            if isinstance(table, Mapping):
                chosen.update({str(name): str(dist) for name, dist in table.items()})
        return chosen

    def profile_names(self) -> list[str]:
        """The names of all profiles in all files, sorted."""
        return sorted(
            {name for source, file in ((self.user, self.user_file), *self.sites) for name in _profiles(source, file)}
        )


def _profiles(source: Mapping[str, Any], file: str) -> Mapping[str, Any]:
    tables = source.get("profiles", {})
    if not isinstance(tables, dict):
        raise ConfigError(f"'profiles' in {file} is not a table", "Write [profiles.NAME] tables")
    return tables


def _merged(lower: Mapping[str, Any], upper: Mapping[str, Any]) -> dict[str, Any]:
    """Both tables merged; members of the upper one win."""
    both = {name: _merged(lower[name], value) for name, value in upper.items()
            if isinstance(value, Mapping) and isinstance(lower.get(name), Mapping)}  # fmt: skip
    return {**lower, **upper, **both}


def _dig(table: Any, key: str) -> Any:
    for part in key.split("."):
        if not isinstance(table, Mapping) or part not in table:
            return None
        table = table[part]
    return table
