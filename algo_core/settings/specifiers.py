"""Distributions in the configuration: a name, which may contain `*`, and version bounds such as `>=2,<3`."""

from __future__ import annotations

import re

_NAME = re.compile(r"[A-Za-z0-9*](?:[A-Za-z0-9._*-]*[A-Za-z0-9*])?")
_BOUNDS = "<>=!~"
_PLAIN = re.compile(r"(?:[<>]=?|[=!]=)\s*\d+(?:\.\d+)*|[=!]=\s*\d+(?:\.\d+)*\.\*|~=\s*\d+(?:\.\d+)+")
"""The form of most version bounds, which are checked without a library."""


def normalized(name: str) -> str:
    """A distribution's name as package indexes compare it."""
    return re.sub(r"[-_.]+", "-", name).lower()


def split(entry: str) -> tuple[str, str]:
    """The name in an entry, and its version bounds, which may be empty."""
    entry = entry.strip()
    at = next((i for i, c in enumerate(entry) if c in _BOUNDS or c.isspace()), len(entry))
    return entry[:at], entry[at:].strip()


def fault_of(entry: str) -> str | None:
    """Why an entry is invalid, or None."""
    name, bounds = split(entry)
    if not is_name(name):
        return f"{entry!r} does not begin with a distribution's name"
    if not bounds or are_plain(bounds):
        return None
    from packaging.specifiers import InvalidSpecifier, SpecifierSet

    try:
        SpecifierSet(bounds)
    except InvalidSpecifier:
        return f"{bounds!r} in {entry!r} is not a version specifier such as >=2,<3"
    return None


def are_plain(bounds: str) -> bool:
    """Whether version bounds have the common form; others may be valid as well."""
    return all(_PLAIN.fullmatch(bound.strip()) for bound in bounds.split(","))


def is_name(text: str) -> bool:
    """Whether a text is the name of a distribution, or a pattern of such names."""
    return _NAME.fullmatch(text) is not None


def matches(entry: str, dist: str, version: str | None, *, incomparable: bool = False) -> bool:
    """Whether an entry matches this distribution.

    A version of None is one that is not known yet: then only an entry without bounds matches. `incomparable` is the
    answer for an installed version that is none (PEP 440), which bounds cannot be compared with.
    """
    from fnmatch import fnmatchcase

    name, bounds = split(entry)
    if not fnmatchcase(normalized(dist), normalized(name)):
        return False
    if not bounds or version is None:
        return not bounds
    from packaging.specifiers import SpecifierSet
    from packaging.version import InvalidVersion, Version

    try:
        return SpecifierSet(bounds).contains(Version(version), prereleases=True)
    except InvalidVersion:
        return incomparable
