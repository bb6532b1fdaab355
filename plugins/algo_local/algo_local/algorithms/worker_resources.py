"""The resources of a worker on a cluster: `cpus`, `gpus`, `memory`, and custom resources that nodes declare.

`algorithmia.conf` and the settings of an algorithm have the same members; settings take precedence. Both are stored as
an amount by name, with memory in bytes.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from typing import Any

Resources = tuple[tuple[str, float], ...]
"""Amounts by name."""

AMOUNTS = ("cpus", "gpus")
MEMBERS = (*AMOUNTS, "memory", "resources")
"""The members of `algorithmia.conf` and of the settings."""

DEFAULT = "default"
"""The value of a member of the settings for what `algorithmia.conf` says."""

MOST_NAMES = 50
"""Resources that one algorithm can name."""

_MOST = float(1 << 50)
_UNITS = {"": 0, "K": 10, "M": 20, "G": 30, "T": 40}
_SIZE = re.compile(r"(\d{1,12})\s*([KMGT]?)(?:i?B)?", re.IGNORECASE | re.ASCII)
_NAME = re.compile(r"[A-Za-z][\w.-]{0,99}", re.ASCII)
_OWN = frozenset({"cpu", "cpus", "gpu", "gpus", "memory", "object_store_memory"})


class Unfit(ValueError):
    """A member has an invalid value."""

    def __init__(self, name: str, wanted: str, value: Any) -> None:
        super().__init__(f"{name!r} must be {wanted}, not {json.dumps(value, ensure_ascii=False)[:100]}")
        self.name, self.wanted, self.value = name, wanted, value


def amounts(members: Mapping[str, Any]) -> dict[str, float]:
    """The amounts in `members`; other members are ignored.

    Raises:
        Unfit: if a value is invalid.
    """
    found = {name: _amount(name, members[name]) for name in AMOUNTS if name in members}
    if "memory" in members:
        found["memory"] = _size(members["memory"])
    others = members.get("resources", {})
    if not isinstance(others, dict) or len(others) > MOST_NAMES:
        raise Unfit("resources", f'an object of at most {MOST_NAMES} names, such as {{"ssd": 1}}', others)
    for name, value in others.items():
        if not _NAME.fullmatch(name) or name.lower() in _OWN:
            raise Unfit("resources", "names that nodes declare, cpus, gpus and memory being members", name)
        found[name] = _amount(name, value)
    return found


def taken(*sources: Resources) -> Resources:
    """The resources of a worker; later sources take precedence. `cpus` is always set."""
    merged = {name: value for source in sources for name, value in source}
    return tuple(sorted((name, value) for name, value in merged.items() if value or name == "cpus"))


def changed(before: str, members: Mapping[str, Any]) -> str:
    """Stored settings after a change: missing members keep their value, `DEFAULT` removes one.

    Raises:
        Unfit: if a value is invalid.
    """
    kept = dict(stored(before))
    for name in MEMBERS:
        if name in members:
            for each in [name] if name != "resources" else [known for known in kept if known not in MEMBERS]:
                kept.pop(each, None)
    kept |= amounts({name: members[name] for name in MEMBERS if members.get(name, DEFAULT) != DEFAULT})
    return json.dumps(kept, sort_keys=True) if kept else ""


def stored(text: str) -> Resources:
    """The amounts in stored settings."""
    return tuple(json.loads(text).items()) if text else ()


def as_members(resources: Resources) -> dict[str, Any]:
    """Amounts as members of settings, memory in bytes."""
    whole: dict[str, Any] = {name: int(value) if value == int(value) else value for name, value in resources}
    found: dict[str, Any] = {name: whole.pop(name) for name in (*AMOUNTS, "memory") if name in whole}
    return {**found, "resources": whole} if whole else found


def _amount(name: str, value: Any) -> float:
    """Parse a fraction below one, or a whole number: clusters accept no other amounts."""
    is_number = type(value) in (int, float) and 0 <= value < _MOST
    if not is_number or (value > 1 and value != int(value)):
        raise Unfit(name, "a number from 0 to 1, or a whole one", value)
    return float(value)


def _size(value: Any) -> float:
    match = _SIZE.fullmatch(value.strip()) if isinstance(value, str) else None
    size = int(match[1]) << _UNITS[match[2].upper()] if match else value
    if type(size) is not int or not 0 <= size < _MOST:
        raise Unfit("memory", "a size such as 2G, or bytes", value)
    return float(size)
