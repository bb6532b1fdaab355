"""Options of a connector, from `[connectors.NAME]` or from the platform."""

from __future__ import annotations

import inspect
import json
from collections.abc import Callable, Mapping
from difflib import get_close_matches
from typing import Any, TypeVar

from algo_core.errors import ConfigError

_T = TypeVar("_T")
_NUMBERS = ("port", "timeout", "retries", "concurrency", "block_size")
"""Suffixes of options with numeric values; keys of digits stay text."""


class ConnectorOptions:
    """The options of one connector; each is taken once, and the rest is passed to the file system's class."""

    def __init__(self, scheme: str, given: Mapping[str, Any]) -> None:
        self.scheme = scheme
        self._known: set[str] = set()
        self._given: dict[str, Any] = {}
        for name, value in given.items():
            self._set(name.split("."), _value(name, value))

    def _set(self, path: list[str], value: Any) -> None:
        """`client_kwargs.region_name` is a member of the table `client_kwargs`."""
        table = self._given
        for part in path[:-1]:
            table = table.setdefault(part, {})
            if not isinstance(table, dict):
                raise ConfigError(f"The option {part} of {self.scheme}:// is given as a value and as a table")
        table[path[-1]] = value

    def names(self) -> set[str]:
        """The options that were given, and not taken yet."""
        return set(self._given)

    def set(self, name: str, value: Any) -> None:
        """Set an option."""
        self._given[name] = value

    def peek(self, name: str) -> Any:
        """An option's value, or None; it stays to be taken, or passed on."""
        return self._given.get(name)

    def take(self, name: str) -> Any:
        """Take an option's value, or None; it is not passed on."""
        self._known.add(name)
        return self._given.pop(name, None)

    def table(self, name: str) -> dict[str, Any]:
        """An option that is a table, empty if it is not given. Raises ConfigError if it is none."""
        self._known.add(name)
        found = self._given.pop(name, None) or {}
        if not isinstance(found, Mapping):
            raise ConfigError(f"The option {name} of {self.scheme}:// is a table, not {found!r}")
        return dict(found)

    def rename(self, name: str, other: str) -> None:
        """Accept an option under a second name, which the platform or the cloud's own tools use."""
        self._known |= {name, other}
        if name in self._given:
            self._given.setdefault(other, self._given.pop(name))

    def refuse_rest(self) -> None:
        """Raise ConfigError if an option was not taken."""
        if self._given:
            raise ConfigError(f"{self.scheme}:// has no option {', '.join(sorted(self._given))}")

    def make(self, kind: Callable[..., _T], *, takes_others: bool = True, **fixed: Any) -> _T:
        """Create the file system from the remaining options.

        Many classes ignore unknown options: a misspelt address would send keys to the public one.

        Raises:
            ConfigError: if its class does not accept an option, or an option is misspelt. Without `takes_others`, every
                option that the class does not declare is refused.
        """
        known = self._known | _named_by(kind) | set(fixed)
        for name in sorted(self._given.keys() - known):
            meant = get_close_matches(name, known, n=1, cutoff=0.8)
            if meant or not takes_others:
                question = f": did you mean {meant[0]!r}?" if meant else ""
                raise ConfigError(f"{self.scheme}:// has no option {name!r}{question}", _where_it_is(self.scheme))
        try:
            return kind(**self._given, **fixed)
        except (TypeError, ValueError, KeyError) as error:
            raise ConfigError(
                f"{self.scheme}:// cannot be opened with these options: {error}",
                f"Options given: {', '.join(sorted(self._given)) or 'none'}",
            ) from error


def _named_by(kind: Any) -> set[str]:
    """The options declared by a class and its bases; fsspec's own accept some without declaring them."""
    makers = [vars(base)["__init__"] for base in getattr(kind, "__mro__", ()) if "__init__" in vars(base)]
    named = {name for make in makers for name in inspect.signature(make).parameters}
    return named | {"use_listings_cache", "listings_expiry_time", "max_paths", "skip_instance_cache"}


def _where_it_is(scheme: str) -> str:
    return f"Correct it in [connectors.{scheme}], or in the options of the platform's connector"


def _value(name: str, value: Any) -> Any:
    """The value of an option from the command line: true, false, JSON objects and lists, some numbers, else text."""
    if not isinstance(value, str):
        return value
    text = value.strip()
    if text.lower() in {"true", "false"}:
        return text.lower() == "true"
    if text[:1] in {"{", "["}:
        try:
            return json.loads(text)
        except ValueError:
            return value
    if text.isdecimal() and name.endswith(_NUMBERS):
        return int(text)
    return value
