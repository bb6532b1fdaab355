"""Compares the outputs of two versions of an algorithm."""

from __future__ import annotations

import math
from typing import Any


def difference(one: Any, other: Any, tolerance: float = 0.0, path: str = "$") -> str | None:
    """The first difference of two JSON values, or None; `tolerance` for numbers is relative or absolute."""
    if _is_number(one) and _is_number(other):
        if math.isclose(one, other, rel_tol=tolerance, abs_tol=tolerance):
            return None
        return f"{path}: {one} became {other}"
    if type(one) is not type(other):
        return f"{path}: {_kind(one)} became {_kind(other)}"
    if isinstance(one, dict):
        for name in sorted({*one, *other}):
            if name not in other:
                return f"{path}.{name} is missing"
            if name not in one:
                return f"{path}.{name} is new"
            if found := difference(one[name], other[name], tolerance, f"{path}.{name}"):
                return found
        return None
    if isinstance(one, list):
        for index, (before, after) in enumerate(zip(one, other, strict=False)):
            if found := difference(before, after, tolerance, f"{path}[{index}]"):
                return found
        return None if len(one) == len(other) else f"{path}: {len(one)} elements became {len(other)}"
    return None if one == other else f"{path}: {_shown(one)} became {_shown(other)}"


def _is_number(value: Any) -> bool:
    return isinstance(value, (int, float)) and not isinstance(value, bool)


def _kind(value: Any) -> str:
    names = {dict: "an object", list: "a list", str: "text", bool: "true or false", type(None): "null"}
    return names.get(type(value), "a number")


def _shown(value: Any) -> str:
    text = repr(value)
    return text if len(text) <= 60 else f"{text[:57]}..."
