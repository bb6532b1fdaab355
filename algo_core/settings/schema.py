"""The schema of config.toml and the administrator's file; everything else in them is a fault.

A table is a `Table`: its members by name, and what members of any other name hold (`others`; None: there are none). A
member is another table, or a check: a function that says what the value should be where it is something else. Tables at
the top whose names mean nothing here belong to plugins, unless they are spelled like one of ours.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import Any, NamedTuple

from algo_core.settings.config import PROFILE_MEMBERS, SECRET_MEMBERS, SETTINGS, Setting
from algo_core.settings.values import (
    BY_KIND,
    Check,
    any_value,
    bounded,
    check_of,
    distribution,
    filled,
    flag,
    requirements,
    text,
    words,
)


class Table(NamedTuple):
    """The members of a table, and what members of other names hold."""

    members: Mapping[str, Check | Table]
    others: Check | Table | None = None


class Fault(NamedTuple):
    """A fault in a file: its path, the reason, and the probable name."""

    file: str
    path: tuple[str, ...]
    text: str
    meant: str | None = None

    @property
    def key(self) -> str:
        """The path as TOML writes it: `profiles."a.b".address`."""
        return _dotted(self.path)


def _dotted(path: Iterable[str]) -> str:
    from algo_core.names import dotted  # only where something is wrong

    return dotted(path)


CONNECTOR = Table({"direct": flag, "protocol": filled}, others=any_value)
"""`[connectors.NAME]`: two members of ours, and options that the plugin which opens the store knows."""

PROFILE = Table(
    {
        **{name: BY_KIND[kind] for name, kind in PROFILE_MEMBERS.items()},
        "address": filled,
        "credential_command": words,
    }
)
"""`[profiles.NAME]`."""


def _settings(prefix: str = "") -> dict[str, Check | Table]:
    """The settings with a prefix, by the rest of their names."""
    return {
        name[len(prefix) :]: check_of(setting.kind)
        for name, setting in SETTINGS.items()
        if name.startswith(prefix) and "." not in name[len(prefix) :]
    }


_CONNECTORS = Table({}, others=CONNECTOR)
_SHARED: dict[str, Check | Table] = {
    **_settings(),
    "profile": filled,
    "profiles": Table({}, others=PROFILE),
    "connectors": _CONNECTORS,
}
_PLUGINS: dict[str, Check | Table] = {**_settings("plugins."), "commands": Table({}, others=distribution)}

USER = Table({**_SHARED, "plugins": Table({**_PLUGINS, "installed": requirements, "isolated": requirements})})
"""A person's config.toml."""

SITE = Table(
    {
        **_SHARED,
        "plugins": Table({**_PLUGINS, "allow": bounded, "deny": bounded, "require": bounded, "help": text}),
        "enforce": Table(
            {
                **_settings(),
                "profile": filled,
                "address": filled,
                "ca_cert": filled,
                "connectors": _CONNECTORS,
                "plugins": Table(_settings("plugins.")),
            }
        ),
    }
)
"""The administrator's file."""


def with_declared(settings: Mapping[str, Setting]) -> tuple[Table, Table]:
    """The tables of the administrator's and a person's file, with the settings that plugins declare."""
    tables: dict[str, dict[str, Check | Table]] = {}
    for name, setting in settings.items():
        if name not in SETTINGS:
            table, _, member = name.partition(".")
            tables.setdefault(table, {})[member] = check_of(setting.kind)
    if not tables:
        return SITE, USER
    more: dict[str, Check | Table] = {name: Table(members, others=any_value) for name, members in tables.items()}
    profile = PROFILE._replace(members={**PROFILE.members, **more})
    enforce = SITE.members["enforce"]
    assert isinstance(enforce, Table)
    more_of_all: dict[str, Check | Table] = {**more, "profiles": Table({}, others=profile)}
    enforced = enforce._replace(members={**enforce.members, **more})
    return (
        SITE._replace(members={**SITE.members, **more_of_all, "enforce": enforced}),
        USER._replace(members={**USER.members, **more_of_all}),
    )


def faults(file: str, values: Mapping[str, Any], table: Table, other: Table) -> list[Fault]:
    """All faults of a file; `other` is what the other of the two may hold."""
    whose = "a person's own file" if "enforce" in table.members else "the administrator's file"
    return [Fault(file, *found) for found in _Walk(whose).faults(values, table, other, ())]


def foreign(values: Mapping[str, Any], table: Table) -> list[str]:
    """The names of tables that belong to plugins."""
    return [name for name, value in values.items() if name not in table.members and _is_table(value)]


_Found = tuple[tuple[str, ...], str, "str | None"]


class _Walk(NamedTuple):
    """Goes through a file's tables; `whose` is the other file, for members that belong there."""

    whose: str

    def faults(
        self, values: Mapping[str, Any], table: Table, other: Check | Table | None, path: tuple[str, ...]
    ) -> Iterator[_Found]:
        """The faults of a table; `other` is the other file's table in its place."""
        for name, value in values.items():
            here = (*path, name)
            expected = table.members.get(name, table.others)
            there = (other.members.get(name) or other.others) if isinstance(other, Table) else None
            if name not in table.members and table.others in (None, any_value):
                yield from self._unknown(here, value, table, other)
            elif isinstance(expected, Table):
                if isinstance(value, Mapping):
                    yield from self.faults(value, expected, there, here)
                else:
                    yield here, f"{_dotted(here)} must be a table: write [{_dotted(here)}]", None
            elif expected and (wanted := expected(value)):
                meant = nearest(name, _tables(table)) if _is_table(value) else None
                yield here, f"{_dotted(here)} must be {wanted}{_shown(name, value)}", meant

    def _unknown(
        self, path: tuple[str, ...], value: Any, table: Table, other: Check | Table | None
    ) -> Iterator[_Found]:
        """The fault of an unknown member: it belongs to the other file, is misspelt, or is a plugin's."""
        *parents, name = path
        is_table = _is_table(value)
        plugins_may = table.others is any_value or (is_table and _may_be_a_plugins(path))
        elsewhere = other.members if isinstance(other, Table) else {}
        there = elsewhere.get(name) or (other.others if isinstance(other, Table) else None)
        if there and (len(path) == 1 or not plugins_may):
            yield path, f"{f'[{_dotted(path)}]' if is_table else _dotted(path)} belongs in {self.whose}", None
            return
        known = _tables(table) if is_table and not table.others else table.members
        meant = nearest(name, known, cutoff=0.82 if table.others else 0.75 if plugins_may else 0.6)
        if plugins_may and not meant:
            return
        if is_table:
            wrong = f"there is no table [{_dotted(path)}]"
            if len(path) > 1 and parents == ["plugins"]:
                meant = nearest(name, known, cutoff=0.75)
            if (own := _plugins_own(path, value)) and not (meant and len(path) > 1):
                wrong, meant = f"{wrong}; a plugin's settings are in a table of its own, [{own}]", None
        else:
            wrong = f"[{_dotted(parents)}] has no member {name!r}" if parents else f"there is no setting {name!r}"
        if not meant and (of_the_other := nearest(name, elsewhere)):
            wrong += f"; {of_the_other!r} belongs in {self.whose}"
        yield path, wrong, meant


def _plugins_own(path: tuple[str, ...], value: Any) -> str | None:
    """The table that `[plugin.acme]` or `[plugins.acme]` means: one of the plugin's own."""
    if path[:-1] == ("plugins",):
        return _dotted(path[1:])
    tables = [name for name, below in value.items() if _is_table(below)] if isinstance(value, Mapping) else []
    return _dotted(tables[:1]) if len(path) == 1 and tables and path[0].lower() in {"plugin", "plugins"} else None


def _may_be_a_plugins(path: tuple[str, ...]) -> bool:
    """Whether a table there can hold settings of a plugin, which may not be installed."""
    return len(path) == 1 or (len(path) == 2 and path[0] == "enforce") or (len(path) == 3 and path[0] == "profiles")


def _tables(table: Table) -> list[str]:
    return [name for name, expected in table.members.items() if isinstance(expected, Table)]


def _shown(name: str, value: Any) -> str:
    """The wrong value, unless it is secret or long."""
    shown = repr(value)
    return "" if name in SECRET_MEMBERS or isinstance(value, (list, dict)) or len(shown) > 40 else f", not {shown}"


def _is_table(value: Any) -> bool:
    """Whether a value is a table, or `[[several]]` of them."""
    several = isinstance(value, list) and bool(value) and all(isinstance(part, Mapping) for part in value)
    return isinstance(value, Mapping) or several


def nearest(name: str, known: Iterable[str], *, cutoff: float = 0.6) -> str | None:
    """The most similar known name."""
    from difflib import get_close_matches

    names = {other.lower(): other for other in known}
    if (meant := _OTHER_NAMES.get(name.lower())) in names.values():
        return meant
    lower = name.lower()
    found = get_close_matches(lower, names, n=1, cutoff=cutoff) or [o for o in names if _are_swapped(lower, o)]
    return names[found[0]] if found else None


def _are_swapped(name: str, other: str) -> bool:
    """Whether two neighbouring letters are swapped, which string similarity misses in short names."""
    differ = [index for index, (one, two) in enumerate(zip(name, other, strict=False)) if one != two]
    if len(name) != len(other) or len(differ) != 2 or differ[0] + 1 != differ[1]:
        return False
    first, second = differ
    return name[first] == other[second] and name[second] == other[first]


_OTHER_NAMES = {"api_server": "address", "server": "address", "url": "address", "token": "bearer_token"}
"""Names of members in other tools."""
