"""Compares outputs of an algorithm: of two versions, or of a call now and one on record."""

from __future__ import annotations

import math
from typing import Any

from algo_run.json_text import Written, dumped

Row = dict[str, Any]


def difference_of_rows(before: Row, after: Row, tolerance: float = 0.0) -> str | None:
    """How the outcome of a call differs from an earlier one, or None; both are rows with `result` or `error`.

    Two failures are the same if type and message are. A binary result is no text, even of the same characters.
    """
    if "error" in before or "error" in after:
        return _difference_of_errors(before.get("error"), after.get("error"))
    was, became = _type_of(before), _type_of(after)
    if was and became and was != became and "binary" in (was, became):
        return f"$: content type {was} became {became}"
    one, other = before["result"], after["result"]
    if isinstance(one, Written) and isinstance(other, Written) and dumped(one) == dumped(other):
        return None
    try:
        return difference(_value(one), _value(other), tolerance)
    except RecursionError:
        return "$: nested too deeply to be compared, and not the same text"


def _difference_of_errors(before: Any, after: Any) -> str | None:
    if before is None:
        return f"it failed: {_message(after)}"
    if after is None:
        return f"it failed before: {_message(before)}"
    types = {error["error_type"] for error in (before, after) if error.get("error_type")}
    if _message(before) == _message(after) and len(types) < 2:
        return None
    return f"it failed otherwise: {_message(before)}, now {_message(after)}"


def _message(error: Any) -> str:
    return " ".join(str(error.get("message") or "without a message").split())


def _type_of(row: Row) -> str | None:
    metadata = row.get("metadata")
    found = metadata.get("content_type") if isinstance(metadata, dict) else None
    return found if isinstance(found, str) else None


def _value(result: Any) -> Any:
    return result.value if isinstance(result, Written) else result


def difference(one: Any, other: Any, tolerance: float = 0.0, path: str = "$") -> str | None:
    """The first difference of two JSON values, or None; `tolerance` for numbers is relative or absolute.

    Raises:
        RecursionError: if they are nested too deeply.
    """
    if _is_number(one) and _is_number(other):
        return None if _is_close(one, other, tolerance) else f"{path}: {_shown(one)} became {_shown(other)}"
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


def _is_close(one: float, other: float, tolerance: float) -> bool:
    """Exact without tolerance, and for integers that no float holds; what overflowed while it was read is unknown."""
    if math.inf in (abs(one), abs(other)):
        return False
    if one == other or not tolerance:
        return one == other
    try:
        return math.isclose(one, other, rel_tol=tolerance, abs_tol=tolerance)
    except OverflowError:
        from fractions import Fraction

        first, second = Fraction(one), Fraction(other)
        largest = max((abs(first), abs(second), Fraction(1)))
        return abs(first - second) <= Fraction(tolerance) * largest


def _kind(value: Any) -> str:
    names = {dict: "an object", list: "a list", str: "text", bool: "true or false", type(None): "null"}
    return names.get(type(value), "a number")


def _shown(value: Any) -> str:
    text = repr(value)
    return text if len(text) <= 60 else f"{text[:57]}..."
