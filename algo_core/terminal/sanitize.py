"""Escapes other people's text for a terminal, which interprets control characters.

Names, messages and results come from platforms, stores, algorithms and files. An escape like `\\x1b` or `\\u202e` takes
the place of each character that a terminal could obey (controls, with which its commands begin), that changes the order
in which text is read, or that cannot be seen. Everything else is unchanged.
"""

from __future__ import annotations

import functools
import re

_EMOJI = "\u2190-\u2bff\u3030\u303d\u3297\u3299\U0001f000-\U0001faff"
_JOINING = "\u0600-\u0dff\u1000-\u109f\u1780-\u17ff"  # scripts in which a joiner changes what is seen: Arabic to Khmer

HARMFUL = (
    "["
    "\x00-\x08\x0b-\x1f\x7f-\x9f"  # controls; some terminals obey those of C1 as well
    "\xad\u034f\u061c\u115f\u1160\u17b4\u17b5\u180b-\u180f\u200b\u200e\u200f\u2028-\u202e\u2060-\u206f\u3164"
    "\ufe00-\ufe0e\ufeff\uffa0\ufff0-\ufffb"  # directions, separators, and what is not shown
    "\u0600-\u0605\u06dd\u070f\u0890\u0891\u08e2\U000110bd\U000110cd\U00013430-\U0001345f"
    "\U0001bca0-\U0001bca3\U0001d173-\U0001d17a\U000e0000-\U000e0fff"  # more that formats
    "\ud800-\udfff"  # bytes that were no UTF-8
    "]"
    f"|\ufe0f(?<![{_EMOJI}]\ufe0f)|\u200d(?<![{_EMOJI}\ufe0f{_JOINING}]\u200d)|\u200c(?<![{_JOINING}]\u200c)"
)
"""The pattern of a character that must be escaped for a terminal. Tabs and newlines are not."""


@functools.lru_cache(maxsize=1)
def harmful() -> re.Pattern[str]:
    """The compiled pattern; compiling it takes longer than all else that TAB does, and few texts need it."""
    return re.compile(HARMFUL)


def is_plain(text: str) -> bool:
    """Whether a text has printable ASCII characters only, which is seen at once."""
    return text.isascii() and text.isprintable()


def is_harmful(text: str) -> bool:
    """Whether a character of a text must be escaped for a terminal."""
    return not is_plain(text) and harmful().search(text) is not None


def sanitize(text: str) -> str:
    """A text of any number of lines, escaped for a terminal."""
    if is_plain(text):
        return text
    return harmful().sub(_escaped, text.replace("\r\n", "\n"))


def on_one_line(text: str) -> str:
    """The same for what must not begin a new line, or move to another column: a name, the cell of a table."""
    if is_plain(text):
        return text
    return re.sub("[\t\n]", _escaped, harmful().sub(_escaped, text))


def sanitize_json(text: str) -> str:
    """The same for JSON, which has such characters in its strings only: its own escapes keep the value what it is."""
    return text if is_plain(text) else harmful().sub(_escaped_in_json, text.replace("\r\n", "\n"))


def _escaped(found: re.Match[str]) -> str:
    code = ord(found[0])
    if 0xDC80 <= code <= 0xDCFF:
        return f"\\x{code - 0xDC00:02x}"
    if found[0] in "\t\n\r":
        return {"\t": "\\t", "\n": "\\n", "\r": "\\r"}[found[0]]
    return f"\\x{code:02x}" if code < 0x100 else f"\\u{code:04x}" if code < 0x10000 else f"\\U{code:08x}"


def _escaped_in_json(found: re.Match[str]) -> str:
    units = found[0].encode("utf-16-be", "surrogatepass")
    return "".join(f"\\u{units[at]:02x}{units[at + 1]:02x}" for at in range(0, len(units), 2))
