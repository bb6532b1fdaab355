"""Layered configuration, read fast: each value with the place it came from.

A value is looked for in the command's flag, the environment, the profile, the user's file, the administrator's site
file and the built-in default, in this order; the site file's `[enforce]` table goes before all of them. Writing is the
business of `algo_core.settings.edit`, so that reading never needs tomlkit.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Mapping
from typing import Any, NamedTuple

from algo_core.errors import ConfigError, UsageError
from algo_core.settings import paths

DEFAULT_ADDRESS = "https://api.algorithmia.com"
"""The address that the guide's prompt shows; the public platform behind it no longer answers."""


class Setting(NamedTuple):
    """One thing that can be set: its type, its default, the environment variable, and what it is for."""

    kind: type
    default: Any
    variable: str | None
    help: str


SETTINGS: dict[str, Setting] = {
    "profile": Setting(str, "default", "ALGO_PROFILE", "the profile to use when --profile is not given"),
    "timeout": Setting(float, 60.0, "ALGO_TIMEOUT", "seconds without an answer after which a request is given up"),
    "connect_timeout": Setting(float, 10.0, "ALGO_CONNECT_TIMEOUT", "seconds to wait for a connection"),
    "retries": Setting(int, 4, "ALGO_RETRIES", "how often a request that may be repeated is tried again"),
    "insecure_http": Setting(bool, False, "ALGO_INSECURE_HTTP", "allow http:// addresses beyond this machine"),
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
    "timeout": float,
    "connect_timeout": float,
    "retries": int,
}
"""What a `[profiles.NAME]` table may hold."""

SECRET_MEMBERS = frozenset({"api_key", "bearer_token"})
"""Members of a profile that are never shown."""


class Value(NamedTuple):
    """A setting's value, where it came from, and whether the administrator enforces it."""

    value: Any
    origin: str
    enforced: bool = False


def parse_text(key: str, kind: type, text: str, origin: str) -> Any:
    """Read a value that was given as text (environment, command line).

    Raises:
        ConfigError: if the text is not of that kind.
    """
    try:
        if kind is bool:
            return {"1": True, "true": True, "yes": True, "on": True, "0": False, "false": False, "no": False,
                    "off": False, "": False}[text.strip().lower()]  # fmt: skip
        if kind is list:
            return [part for part in text.replace(",", " ").split() if part]
        return kind(text)
    except (KeyError, ValueError):
        noun = {bool: "true or false", int: "a whole number", float: "a number of seconds"}.get(kind, "a text")
        raise ConfigError(f"{key} wants {noun}, not {text!r} (from {origin})") from None


def check_kind(key: str, kind: type, value: Any, origin: str) -> Any:
    """A value from a file, if it is of the kind that its key wants; whole numbers do for seconds.

    Raises:
        ConfigError: if it is of another kind.
    """
    if kind is float and isinstance(value, int) and not isinstance(value, bool):
        return float(value)
    if not isinstance(value, kind) or (kind is int and isinstance(value, bool)):
        raise ConfigError(f"{key} in {origin} is not of the right kind: {value!r}", f"It wants a {kind.__name__}")
    return value


def read_toml(path: str) -> dict[str, Any]:
    """The tables of a TOML file; a file that does not exist has none.

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
    if sys.version_info >= (3, 11):
        import tomllib as toml
    else:
        import tomli as toml
    try:
        tables: dict[str, Any] = toml.loads(content.decode("utf-8"))
        return tables
    except ValueError as error:
        raise ConfigError(
            f"Cannot read {path}: {error}", "Mend it by hand, or move it away and run 'algo auth'"
        ) from None


class Config:
    """The user's file, the administrator's file and the environment, looked at together."""

    def __init__(
        self,
        user: Mapping[str, Any],
        site: Mapping[str, Any],
        environ: Mapping[str, str],
        user_file: str,
        site_file: str,
    ) -> None:
        self.user = user
        self.site = site
        self.environ = environ
        self.user_file = user_file
        self.site_file = site_file

    @classmethod
    def load(cls, environ: Mapping[str, str] = os.environ) -> Config:
        """Read both files.

        Raises:
            ConfigError: if one of them cannot be read or is not TOML.
        """
        user_file = os.path.join(paths.config_dir(environ), paths.CONFIG_FILE)
        site_file = paths.site_config_file(environ)
        return cls(read_toml(user_file), read_toml(site_file), environ, user_file, site_file)

    def enforced(self, key: str) -> Value | None:
        """What the administrator's `[enforce]` table says about a key, if anything."""
        value = _dig(self.site.get("enforce", {}), key)
        return None if value is None else Value(value, f"enforced by {self.site_file}", True)

    def get(self, key: str, *, flag: Any = None, profile: Mapping[str, Any] | None = None, origin: str = "") -> Value:
        """A setting's value: `profile` is the table of the profile in use, `origin` where that table stands.

        Raises:
            ConfigError: if a value is not of the kind that the setting wants.
            UsageError: if there is no such setting, or a flag contradicts an enforced value.
        """
        setting = known(key)
        if value := self.enforced(key):
            if flag is not None and flag != value.value:
                raise UsageError(f"{key} cannot be changed: {value.origin}")
            return Value(check_kind(key, setting.kind, value.value, self.site_file), value.origin, True)
        if flag is not None:
            return Value(flag, "command line")
        text = self.environ.get(setting.variable) if setting.variable else None
        if text:
            where = f"environment variable {setting.variable}"
            return Value(parse_text(key, setting.kind, text, where), where)
        layers = ((profile or {}, origin), (self.user, self.user_file), (self.site, self.site_file))
        for table, where in layers:
            found = _dig(table, key)
            if found is not None:
                return Value(check_kind(key, setting.kind, found, where), where)
        return Value(setting.default, "default")

    def profile_tables(self, name: str) -> list[tuple[Mapping[str, Any], str]]:
        """The tables that describe a profile, the user's before the administrator's, each with its origin.

        Raises:
            ConfigError: if one is not a table, or a member is not of the kind that it should be.
        """
        found: list[tuple[Mapping[str, Any], str]] = []
        for source, file in ((self.user, self.user_file), (self.site, self.site_file)):
            table = _profiles(source, file).get(name)
            if table is None:
                continue
            if not isinstance(table, dict):
                raise ConfigError(f"[profiles.{name}] in {file} is not a table")
            for member, value in table.items():
                if member in PROFILE_MEMBERS:
                    check_kind(f"profiles.{name}.{member}", PROFILE_MEMBERS[member], value, file)
            found.append((table, file))
        return found

    def chosen_commands(self) -> dict[str, str]:
        """Which distribution a command is taken from where several have it: `[plugins.commands]` of both files."""
        chosen: dict[str, str] = {}
        for source in (self.user, self.site):
            table = _dig(source, "plugins.commands")
            if isinstance(table, Mapping):
                chosen.update({str(name): str(dist) for name, dist in table.items()})
        return chosen

    def profile_names(self) -> list[str]:
        """The names of all profiles in both files, sorted."""
        names = {*_profiles(self.user, self.user_file), *_profiles(self.site, self.site_file)}
        return sorted(names)


def known(key: str) -> Setting:
    """The setting of this name.

    Raises:
        UsageError: if there is none; the hint lists those that there are.
    """
    if key not in SETTINGS:
        raise UsageError(f"No such setting: {key}", "Settings: " + ", ".join(SETTINGS))
    return SETTINGS[key]


def _profiles(source: Mapping[str, Any], file: str) -> Mapping[str, Any]:
    tables = source.get("profiles", {})
    if not isinstance(tables, dict):
        raise ConfigError(f"'profiles' in {file} is not a table", "Write [profiles.NAME] tables")
    return tables


def _dig(table: Any, key: str) -> Any:
    for part in key.split("."):
        if not isinstance(table, Mapping) or part not in table:
            return None
        table = table[part]
    return table
