"""Wildcards as regular expressions: those of a shell, with `**` for any number of directories."""

from __future__ import annotations

import re

from algo_core.errors import UsageError

ANY_DEPTH = "**"
"""The component that stands for any number of directories, none included."""

_MAGIC = frozenset("*?[")


def is_magic(text: str) -> bool:
    """Whether a text holds a wildcard."""
    return not _MAGIC.isdisjoint(text)


def name_pattern(pattern: str) -> re.Pattern[str]:
    """The regular expression of a pattern for one name.

    Raises:
        UsageError: for a range that runs backwards.
    """
    return _compiled(_name(pattern), pattern)


def path_pattern(pattern: str) -> re.Pattern[str]:
    """The regular expression of a pattern for a relative path (`a/**/b?.txt`).

    Raises:
        UsageError: for a range that runs backwards.
    """
    parts = [part for part in pattern.split("/") if part]
    last = len(parts) - 1
    text = ""
    for index, part in enumerate(parts):
        if part == ANY_DEPTH:
            text += ".+" if index == last else "(?:[^/]+/)*"
        else:
            text += _name(part) + ("" if index == last else "/")
    return _compiled(text, pattern)


def _compiled(text: str, pattern: str) -> re.Pattern[str]:
    try:
        return re.compile(f"(?s:{text})\\Z")
    except re.error as error:
        hint = "Write [a-z] for a range, and [[] for a bracket itself"
        raise UsageError(f"Not a pattern: {pattern} ({error.msg})", hint) from None


def _name(pattern: str) -> str:
    text, at = "", 0
    while at < len(pattern):
        character, at = pattern[at], at + 1
        if character == "*":
            text += "" if text.endswith("[^/]*") else "[^/]*"
        elif character == "?":
            text += "[^/]"
        elif character == "[" and (end := _closing(pattern, at)):
            text, at = text + _class(pattern[at:end]), end + 1
        else:
            text += re.escape(character)
    return text


def _closing(pattern: str, at: int) -> int:
    """Where a class that begins at `at` is closed, or 0: a bracket without its other half means itself."""
    first = at + 1 if pattern[at : at + 1] in {"!", "^"} else at
    return max(0, pattern.find("]", first + 1))


def _class(content: str) -> str:
    is_negated = content[0] in "!^"
    members = re.sub(r"([\\\[\]^&~|])", r"\\\1", content[is_negated:])
    return f"[^/{members}]" if is_negated else f"[{members}]"
