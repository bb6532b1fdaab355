"""JSON without loss: long numbers, duplicate names and escapes are kept as written.

The functions take text that is known to be JSON, and parse only what they need.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from typing import Any, NamedTuple

_STRING = r'"[^"\\]*(?:\\.[^"\\]*)*"'
_TOKEN = re.compile(rf'{_STRING}|[\[\]{{}},:]|[^\s\[\]{{}},:"]+', re.DOTALL)
_NEXT = re.compile(r"[\s,{]*")
_COLON = re.compile(r"\s*:\s*")
_BETWEEN = {",": ", ", ":": ": "}

_SURROGATE = re.compile("[\ud800-\udfff]")


_encode = json.JSONEncoder(ensure_ascii=False, separators=(",", ":")).encode


class Written(NamedTuple):
    """A value together with its original JSON."""

    text: str
    value: Any


def decoded(content: bytes) -> str:
    """The text of a body, with halves of surrogate pairs escaped. Raises ValueError if it is not text."""
    text = content.decode(json.detect_encoding(content), "surrogatepass")
    return _escaped(text)


def _escaped(text: str) -> str:
    return _SURROGATE.sub(lambda found: f"\\u{ord(found[0]):04x}", text)


def member(text: str, name: str) -> str | None:
    """A member's value as written in an object; the last one of duplicate names, as in parsers."""
    found = None
    for key, start, end in _members(text):
        if key == name:
            found = text[start:end]
    return found


def _members(text: str) -> Iterator[tuple[str, int, int]]:
    """Names, and where their values begin and end."""
    skip = json.JSONDecoder(parse_int=float).raw_decode
    at = _end(_NEXT, text, 0)
    while text[at] != "}":
        key, at = skip(text, at)
        start = _end(_COLON, text, at)
        _, at = skip(text, start)
        yield key, start, at
        at = _end(_NEXT, text, at)


def _end(pattern: re.Pattern[str], text: str, at: int) -> int:
    found = pattern.match(text, at)
    return found.end() if found else at


def dumped(value: Any) -> str:
    """JSON without space in it, as `json.dumps` makes it; what is `Written` stays as it was written."""
    if isinstance(value, Written):
        return "".join(_TOKEN.findall(value.text))
    if isinstance(value, dict) and any(isinstance(member, (Written, dict)) for member in value.values()):
        return "{" + ",".join(f"{dumped(name)}:{dumped(member)}" for name, member in value.items()) + "}"
    return _escaped(_encode(value))


def on_one_line(text: str) -> str:
    """The same with a space behind each comma and colon, and no other space between its parts."""
    return "".join([_BETWEEN.get(token, token) for token in _TOKEN.findall(text)])


def indented(text: str, width: int = 2) -> str:
    """The same with each member and element on a line of its own, as `json.dumps` with `indent` sets them."""
    parts: list[str] = []
    level, opened = 0, False
    for found in _TOKEN.finditer(text):
        token = found[0]
        if token in "]}":
            level -= 1
            parts.append(token if opened else f"\n{' ' * (width * level)}{token}")
        else:
            if opened:
                parts.append("\n" + " " * (width * level))
            if token == ",":
                parts.append(",\n" + " " * (width * level))
            else:
                parts.append(": " if token == ":" else token)
        opened = token in "[{"
        level += opened
    return "".join(parts)
