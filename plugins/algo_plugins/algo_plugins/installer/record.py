"""The record of what was installed: `installed` and `isolated` under `[plugins]` of the user's file, as requirements.

`algo plugins restore` uses it. Libraries that a plugin can use without requiring them are recorded as well: they would
be missed just the same.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, Literal

from algo_core.errors import ConfigError
from algo_core.settings.config import Config
from algo_core.settings.edit import editing, table_at
from algo_plugins.installer.tools import name_in

Kind = Literal["installed", "isolated"]
KINDS: tuple[Kind, ...] = ("installed", "isolated")


def read(config: Config, kind: Kind) -> dict[str, str]:
    """The recorded requirements by normalized name.

    Raises:
        ConfigError: if the file holds something else there.
    """
    table = config.user.get("plugins", {})
    entries = table.get(kind, []) if isinstance(table, dict) else None
    if not isinstance(entries, list) or not all(isinstance(entry, str) and name_in(entry) for entry in entries):
        hint = f'Write {kind} = ["acme-bundle>=2"]'
        raise ConfigError(f"plugins.{kind} in {config.user_file} is not a list of requirements", hint)
    return {name_in(entry): entry for entry in entries}


def add(config: Config, kind: Kind, requirements: Iterable[str]) -> None:
    """Record requirements, each in the place of an older one of the same name."""
    with editing(config.user_file) as document:
        table = table_at(document, "plugins")
        if kind not in table:
            table[kind] = []
        entries = table[kind]
        for requirement in requirements:
            at = _position(entries, name_in(requirement))
            if at is None:
                entries.append(requirement)
            elif entries[at] != requirement:
                entries[at] = requirement


def remove(config: Config, names: Iterable[str]) -> None:
    """Forget the distributions of these names."""
    with editing(config.user_file) as document:
        table = document.get("plugins", {})
        for kind in KINDS:
            for name in names:
                if kind in table and (at := _position(table[kind], name)) is not None:
                    del table[kind][at]


def _position(entries: Any, name: str) -> int | None:
    return next((at for at, entry in enumerate(entries) if name_in(str(entry)) == name), None)
