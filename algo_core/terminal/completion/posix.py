"""How bash and zsh read quotes, and how a word is quoted for them."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from typing import NamedTuple

from algo_core.terminal.sanitize import HARMFUL, is_harmful, is_plain

NO_QUOTE, SINGLE, DOUBLE, ANSI_C = "", "'", '"', "$'"

_PLAIN = re.compile(r"[\w./:@%+=,-]", re.ASCII)
_PLAIN_WORD = re.compile(r"[\w./:@%+,-][\w./:@%+=,-]*", re.ASCII)
_ESCAPES = {"a": "\a", "b": "\b", "e": "\x1b", "E": "\x1b", "f": "\f", "n": "\n", "r": "\r", "t": "\t", "v": "\v"}
_CODE = re.compile(r"x(?P<hex>[\da-fA-F]{1,2})|u(?P<u>[\da-fA-F]{1,4})|U(?P<U>[\da-fA-F]{1,8})|(?P<octal>[0-7]{1,3})")


class Unit(NamedTuple):
    """A piece of a command line: its text without quotes, its end, and the quote that is open there.

    `kind` is `text`, `blank` or `operator`.
    """

    kind: str
    text: str
    end: int
    quote: str


def units(line: str) -> Iterator[Unit]:
    """Parse an incomplete line; an incomplete escape counts as empty."""
    position, quote = 0, NO_QUOTE
    while position < len(line):
        unit = _next(line, position, quote)
        position, quote = unit.end, unit.quote
        yield unit


def unquoted(raw: str) -> tuple[str, str]:
    """The text of a typed word without quotes, and the quote that is open at its end."""
    text, quote = "", NO_QUOTE
    for unit in units(raw):
        text += unit.text
        quote = unit.quote
    return joined(text), quote


def joined(text: str) -> str:
    """Text with the bytes of escapes put together to the characters that they mean in UTF-8."""
    return text if text.isascii() else text.encode("utf-8", "surrogateescape").decode("utf-8", "surrogateescape")


def _next(line: str, at: int, quote: str) -> Unit:
    if quote == SINGLE:
        return Unit("text", "", at + 1, NO_QUOTE) if line[at] == "'" else Unit("text", line[at], at + 1, quote)
    if quote == DOUBLE:
        return _in_double(line, at)
    if quote == ANSI_C:
        return _in_ansi_c(line, at)
    return _bare(line, at)


def _bare(line: str, at: int) -> Unit:
    character, following = line[at], line[at + 1 : at + 2]
    if character == "\\":
        return Unit("text", "" if following == "\n" else following, min(at + 2, len(line)), NO_QUOTE)
    if character in (SINGLE, DOUBLE):
        return Unit("text", "", at + 1, character)
    if character == "$" and following and following in "'\"":
        return Unit("text", "", at + 2, ANSI_C if following == "'" else DOUBLE)
    if character in " \t":
        return Unit("blank", "", at + 1, NO_QUOTE)
    if character in "|&;()<>`\n":
        return Unit("operator", character, at + 1, NO_QUOTE)
    return Unit("text", character, at + 1, NO_QUOTE)


def _in_double(line: str, at: int) -> Unit:
    character, following = line[at], line[at + 1 : at + 2]
    if character == '"':
        return Unit("text", "", at + 1, NO_QUOTE)
    if character == "\\" and not following:
        return Unit("text", "", at + 1, DOUBLE)
    if character == "\\" and following in '$`"\\\n':
        return Unit("text", "" if following == "\n" else following, at + 2, DOUBLE)
    return Unit("text", character, at + 1, DOUBLE)


def _in_ansi_c(line: str, at: int) -> Unit:
    character = line[at]
    if character == "'":
        return Unit("text", "", at + 1, NO_QUOTE)
    if character != "\\":
        return Unit("text", character, at + 1, ANSI_C)
    rest = line[at + 1 :]
    if found := _CODE.match(rest):
        is_cut = found.end() == len(rest) and found["hex"] is not None and len(found["hex"]) < 2
        return Unit("text", "" if is_cut else _coded(found), at + 1 + found.end(), ANSI_C)
    if not rest or rest in {"x", "u", "U"}:
        return Unit("text", "", len(line), ANSI_C)
    known = _ESCAPES.get(rest[0]) or (rest[0] if rest[0] in "\\'\"?" else "\\" + rest[0])
    return Unit("text", known, at + 2, ANSI_C)


def _coded(found: re.Match[str]) -> str:
    code = found["u"] or found["U"]
    if code:
        return chr(int(code, 16)) if int(code, 16) < 0x110000 else ""
    byte = (int(found["hex"], 16) if found["hex"] else int(found["octal"], 8)) & 0xFF
    return chr(byte) if byte < 0x80 else chr(0xDC00 + byte)


def quoted(text: str, quote: str = NO_QUOTE) -> str:
    """A word, or the rest of one, as it is to be typed where `quote` is open; the same quote is open behind it.

    Nothing in it is a character that a terminal could obey or would not show: those are escaped.
    """
    if quote == NO_QUOTE and _PLAIN_WORD.fullmatch(text):
        return text
    made = "".join(_pieces(text, quote))
    return "\\" + made if made.startswith("=") and not quote else made  # zsh looks for a command after it


def _pieces(text: str, quote: str) -> Iterator[str]:
    for piece in [text] if is_plain(text) else re.split(f"({HARMFUL}|[\\t\\n])", text):
        if is_harmful(piece) or piece in {"\t", "\n"}:
            yield _IN_CODE[quote].format(_code(piece))
        else:
            yield from (_QUOTERS[quote](character) for character in piece)


def _code(character: str) -> str:
    return "".join(f"\\x{byte:02x}" for byte in character.encode("utf-8", "surrogateescape"))


_IN_CODE = {NO_QUOTE: "$'{}'", SINGLE: "'$'{}''", DOUBLE: "\"$'{}'\"", ANSI_C: "{}"}


def _quote_bare(character: str) -> str:
    return character if _PLAIN.match(character) or not character.isascii() else "\\" + character


def _quote_single(character: str) -> str:
    return "'\\''" if character == "'" else character


def _quote_double(character: str) -> str:
    if character == "!":  # expanded between double quotes, where a backslash before it would stay
        return '"\\!"'
    return "\\" + character if character in '$`"\\' else character


def _quote_ansi_c(character: str) -> str:
    if character == "!":
        return "\\x21"
    return "\\" + character if character in "\\'" else character


_QUOTERS = {NO_QUOTE: _quote_bare, SINGLE: _quote_single, DOUBLE: _quote_double, ANSI_C: _quote_ansi_c}

CLOSING = {NO_QUOTE: "", SINGLE: "'", DOUBLE: '"', ANSI_C: "'"}


def beginning(texts: Sequence[str]) -> str:
    """The common prefix of texts."""
    first, last = (min(texts), max(texts)) if texts else ("", "")
    length = next((at for at, pair in enumerate(zip(first, last, strict=False)) if len(set(pair)) > 1), len(first))
    return first[:length]


_DIVIDER = {NO_QUOTE: "''", SINGLE: "''", DOUBLE: '""', ANSI_C: "'$'"}


def keep_apart(texts: list[str], common: str, quote: str) -> None:
    """Limit the common prefix of several texts to `common`, the quoted common prefix of all words. A shell types the
    common prefix of all texts: without this, half of an escape as well.
    """
    if len(texts) > 1 and len(beginning(texts)) > len(common):
        texts[0] = common + _DIVIDER[quote] + texts[0][len(common) :]
