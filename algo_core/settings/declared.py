"""Settings that plugins declare: checks of their names, and conversion to core settings."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import NamedTuple

from algo_core.errors import ConfigError
from algo_core.names import dotted
from algo_core.settings.config import SETTINGS, Kind, Setting, parse_text

KINDS: Mapping[str, type] = {"text": str, "count": int, "seconds": float, "flag": bool}
"""What the kinds of settings are in Python."""

OWN_TABLES = frozenset({"profiles", "connectors", "enforce", "plugins", "commands"})
"""Tables at the top of configuration files that no plugin can have."""


class PluginSetting(NamedTuple):
    """A setting that a plugin declares: `algo config` knows it like the core's own.

    `name` is `table.member`, such as `acme.queue`, where the table is the plugin's own. `kind` is `text`, `count` (a
    whole number), `seconds` or `flag`; `default` is written as on a command line; `variable` is an environment variable
    that gives it, `words` are the texts that are allowed, with blanks between them, all if empty.
    """

    name: str
    help: str
    kind: str = "text"
    default: str = ""
    variable: str = ""
    words: str = ""


def fault_of(declaration: PluginSetting) -> str | None:
    """The fault of a declaration, or None."""
    for member, value in declaration._asdict().items():
        if not isinstance(value, str):
            return f"has a {member} of type {type(value).__name__}: write a text"
    table, dot, member = declaration.name.partition(".")
    if not dot or dotted((table, member)) != declaration.name or not table or not member:
        return "is not a setting's name: write table.member, such as acme.queue"
    if table in OWN_TABLES or table in SETTINGS:
        return f"is in {table}, which is the core's: take a table of your own"
    if declaration.kind not in KINDS:
        return f"has the kind {declaration.kind!r}: write one of {', '.join(KINDS)}"
    variable = declaration.variable
    if variable and not (variable.isascii() and variable.isidentifier()):
        return f"has the variable {variable!r}: write a name such as ACME_QUEUE"
    if variable in {setting.variable for setting in SETTINGS.values()}:
        return f"has the variable {variable}, which is the core's: take one of your own"
    try:
        setting_of(declaration)
    except ConfigError as error:
        return f"has a wrong default: {error.message}"
    return None


def setting_of(declaration: PluginSetting) -> Setting:
    """The setting that was declared.

    Raises:
        ConfigError: if its default is not of its kind, or none of its words.
    """
    words = tuple(declaration.words.split())
    kind: Kind = words or KINDS[declaration.kind]
    needs_default = declaration.default or kind is not str
    default = parse_text(declaration.name, kind, declaration.default, "default") if needs_default else ""
    return Setting(kind, default, declaration.variable or None, declaration.help)


def declared(rows: Iterable[Sequence[str]]) -> dict[str, Setting]:
    """The settings in rows of the index, by name; where two plugins declare one, the first counts."""
    found: dict[str, Setting] = {}
    for row in rows:
        declaration = PluginSetting(*row)
        found.setdefault(declaration.name, setting_of(declaration))
    return found
