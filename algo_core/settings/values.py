"""Checks of values; each returns a description of the expected value, or None."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from typing import Any

from algo_core.settings import specifiers

Check = Callable[[Any], "str | None"]
"""Describes the expected value if a value is wrong; None if it is right."""

LONGEST = 1_000_000.0
"""Maximum time limit in seconds that sockets accept."""


def text(value: Any) -> str | None:
    """Any text."""
    return None if isinstance(value, str) else "a text"


def filled(value: Any) -> str | None:
    """A text that is not empty: an empty one would silently mean a default."""
    return None if isinstance(value, str) and value.strip() else "a text that is not empty"


def flag(value: Any) -> str | None:
    """true or false."""
    return None if isinstance(value, bool) else "true or false"


def seconds(value: Any) -> str | None:
    """A time limit in seconds."""
    if isinstance(value, (int, float)) and not isinstance(value, bool):
        if math.isfinite(value) and 0 < value <= LONGEST:
            return None
        return f"a number of seconds above 0, at most {LONGEST:,.0f}"
    return "a number of seconds"


def count(value: Any) -> str | None:
    """A whole number, 0 or more."""
    right = isinstance(value, int) and not isinstance(value, bool) and value >= 0
    return None if right else "a whole number, 0 or more"


def words(value: Any) -> str | None:
    """A command: a list of words, with at least one."""
    right = isinstance(value, list) and value and all(isinstance(word, str) for word in value)
    return None if right else 'a list of words such as ["program", "argument"]'


def _each(value: Any, fault_of: Callable[[str], str | None], wanted: str) -> str | None:
    if not isinstance(value, list) or not all(isinstance(entry, str) for entry in value):
        return wanted
    for entry in value:
        if why := fault_of(entry):
            return f"{wanted}: {why}"
    return None


def distributions(value: Any) -> str | None:
    """A list of distributions, whatever their version."""
    return _each(
        value,
        lambda entry: None if specifiers.is_name(entry) else f"{entry!r} is not a distribution's name",
        'a list of distributions such as ["acme-bundle"]',
    )


def distribution(value: Any) -> str | None:
    """The name of one distribution."""
    right = isinstance(value, str) and specifiers.is_name(value) and "*" not in value
    return None if right else "a distribution's name"


def bounded(value: Any) -> str | None:
    """A list of distributions, with or without version bounds."""
    return _each(value, specifiers.fault_of, 'a list of distributions such as ["acme-bundle>=2"]')


def requirements(value: Any) -> str | None:
    """A list of requirements as pip takes them."""
    return _each(value, _requirement_fault, 'a list of requirements such as ["acme-bundle>=2"]')


def _requirement_fault(entry: str) -> str | None:
    name, bounds = specifiers.split(entry)
    if specifiers.is_name(name) and "*" not in name and (not bounds or specifiers.are_plain(bounds)):
        return None
    from packaging.requirements import InvalidRequirement, Requirement

    try:
        Requirement(entry)
    except InvalidRequirement:
        return "one of them is not a requirement"  # which may hold a password: it is not shown
    return None


def any_value(value: Any) -> str | None:
    """Any value: the plugin interprets it."""
    return None


BY_KIND: Mapping[type, Check] = {str: text, bool: flag, int: count, float: seconds, list: distributions}
"""The check of a setting by its kind; the only settings that are lists are lists of distributions."""


def without_password(address: str) -> str:
    """The address of a proxy as it may be shown."""
    scheme, slashes, rest = address.partition("://")
    user, at, host = rest.rpartition("@")
    return f"{scheme}{slashes}{user.partition(':')[0]}:****@{host}" if at else address


def check_of(kind: type | tuple[str, ...]) -> Check:
    """The check of a setting's values: of its type, or for its allowed words."""
    return one_of(kind) if isinstance(kind, tuple) else BY_KIND[kind]


def one_of(allowed: tuple[str, ...]) -> Check:
    """A check that the value is one of these words."""
    *most, last = allowed
    described = f"{', '.join(most)} or {last}" if most else last
    return lambda value: None if isinstance(value, str) and value in allowed else described


def check(kind: type | tuple[str, ...], value: Any) -> str | None:
    """The description of the expected value, if a setting's value is wrong."""
    return check_of(kind)(value)
