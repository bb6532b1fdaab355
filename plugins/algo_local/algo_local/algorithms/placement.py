"""What a worker takes of a node of a cluster: `cpus`, `gpus`, `memory`, and whatever else nodes declare.

`algorithmia.conf` and the settings of an algorithm say it in the same members. Both are kept as one amount by name,
memory in bytes; what the settings have goes ahead of the file.
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
    """A member has a value that it cannot have."""

    def __init__(self, name: str, wanted: str, value: Any) -> None:
        super().__init__(f"{name!r} must be {wanted}, not {json.dumps(value, ensure_ascii=False)[:100]}")
        self.name, self.wanted, self.value = name, wanted, value


def amounts(members: Mapping[str, Any]) -> dict[str, float]:
    """The amounts that members name, among others.

    Raises:
        Unfit: if one has a value that it cannot have.
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
    """What a worker takes, later sources going ahead of earlier ones. Processors count also if there are none."""
    merged = {name: value for source in sources for name, value in source}
    return tuple(sorted((name, value) for name, value in merged.items() if value or name == "cpus"))


def changed(before: str, members: Mapping[str, Any]) -> str:
    """Stored settings after a change: members that are left out stay, `DEFAULT` removes one.

    Raises:
        Unfit: if a member has a value that it cannot have.
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
    """A share of one, or a whole number: nodes give no other parts of what they have."""
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
