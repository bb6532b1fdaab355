"""The configuration file of the older command lines (API sections 9.3, 10.4); it is never written."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from algo_core.errors import ConfigError
from algo_core.settings import paths
from algo_core.settings.config import read_toml

MEMBERS = {
    "api_key": "api_key",
    "api_server": "address",
    "ca_cert": "ca_cert",
    "bearer_token": "bearer_token",
}
"""Members of the older command lines' profiles, and their names here."""

OTHERS = frozenset({"git_server"})
"""Members that only the older tools use."""


def legacy_profiles(environ: Mapping[str, str]) -> tuple[dict[str, dict[str, str]], str | None]:
    """The usable profiles of the older command lines, and their file.

    The older tool wrote an empty `default` profile at its first use: one without a credential does not count.

    Raises:
        ConfigError: if the file exists but cannot be read.
    """
    tables, file = _tables(environ)
    found = {}
    for name, table in tables.items():
        members = {new: str(table[old]) for old, new in MEMBERS.items() if table.get(old)}
        if "api_key" in members or "bearer_token" in members:
            found[name] = members
    return found, file


def check_legacy(environ: Mapping[str, str], name: str) -> None:
    """Refuse a profile with an address in an unknown member: its key would be sent to the default address.

    Raises:
        ConfigError: if the profile has such a member.
    """
    tables, file = _tables(environ)
    table = tables.get(name, {})
    if table.get("api_server"):
        return
    for member, value in table.items():
        if member not in MEMBERS and member not in OTHERS and (member in MEMBERS.values() or "://" in str(value)):
            raise ConfigError(
                f"{file}: [profiles.{name}] has no member {member!r}: did you mean 'api_server'?",
                f"Correct it there, or configure the profile here: `algo auth --profile {name}`",
            )


def _tables(environ: Mapping[str, str]) -> tuple[dict[str, dict[str, Any]], str | None]:
    file = paths.legacy_config_file(environ)
    tables = read_toml(file).get("profiles", {}) if file else {}
    if not isinstance(tables, dict):
        return {}, file
    return {name: table for name, table in tables.items() if isinstance(table, dict)}, file
