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
_SPACE = re.compile(r"\s")
_NEXT = re.compile(r"[\s,{]*")
_COLON = re.compile(r"\s*:\s*")
_BETWEEN = {",": ", ", ":": ": "}

_SURROGATE = re.compile("[\ud800-\udfff]")


_encode = json.JSONEncoder(ensure_ascii=False, separators=(",", ":")).encode
_skip = json.JSONDecoder(parse_int=float).raw_decode


class Written(NamedTuple):
    """A value together with its original JSON."""

    text: str
    value: Any


def decoded(content: bytes) -> str:
    """The text of a body, with halves of surrogate pairs escaped. Raises ValueError if it is not text."""
    text = content.decode(json.detect_encoding(content), "surrogatepass")
    return _escaped(text)


def _escaped(text: str) -> str:
    return text if text.isascii() else _SURROGATE.sub(lambda found: f"\\u{ord(found[0]):04x}", text)


def member(text: str, name: str) -> str | None:
    """A member's value as written in an object; the last one of duplicate names, as in parsers."""
    found = None
    for key, start, end in _members(text):
        if key == name:
            found = text[start:end]
    return found


def _members(text: str) -> Iterator[tuple[str, int, int]]:
    """Names, and where their values begin and end."""
    at = _end(_NEXT, text, 0)
    while text[at] != "}":
        key, at = _skip(text, at)
        start = at + 1 if text[at] == ":" and text[at + 1] > " " else _end(_COLON, text, at)
        _, at = _skip(text, start)
        yield key, start, at
        at = at + 1 if text[at] == "," and text[at + 1] == '"' else _end(_NEXT, text, at)


def _end(pattern: re.Pattern[str], text: str, at: int) -> int:
    found = pattern.match(text, at)
    return found.end() if found else at


def dumped(value: Any) -> str:
    """JSON without space in it, as `json.dumps` makes it; what is `Written` stays as it was written."""
    if isinstance(value, Written):
        return "".join(_TOKEN.findall(value.text)) if _SPACE.search(value.text) else value.text
    if not _has_written(value):
        return _escaped(_encode(value))
    parts: list[str] = []
    plain: dict[str, Any] = {}  # neighbours that are encoded in one go, which takes a tenth of the time
    for name, member in value.items():
        if _has_written(member):
            parts += [_escaped(_encode(plain)[1:-1])] if plain else []
            parts.append(f"{_escaped(_encode(name))}:{dumped(member)}")
            plain = {}
        else:
            plain[name] = member
    parts += [_escaped(_encode(plain)[1:-1])] if plain else []
    return "{" + ",".join(parts) + "}"


def _has_written(value: Any) -> bool:
    """Whether a value, or a member of objects in it, is `Written`."""
    return isinstance(value, Written) or (isinstance(value, dict) and any(map(_has_written, value.values())))


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
