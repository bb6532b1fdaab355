"""Completion in PowerShell, which puts the text of a candidate in the place of the whole word, quotes included.

The answer has a line for each candidate, its fields separated by tabs: kind, text to insert, text to list, tooltip.
All but letters and digits is escaped as `\\uXXXX`, so that it passes any encoding; `[regex]::Unescape` reads it.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import TYPE_CHECKING

from algo_core.terminal.completion.candidates import after_program, candidates
from algo_core.terminal.sanitize import is_harmful, on_one_line

if TYPE_CHECKING:
    import click

    from algo_core.terminal.completion import Running

LINE_VARIABLE = "_ALGO_LINE"
"""The environment variable with the command as it was typed up to the cursor: what Windows PowerShell gives a program
as arguments loses quotes."""

SINGLE_QUOTES = "'\u2018\u2019\u201a\u201b"
DOUBLE_QUOTES = '"\u201c\u201d\u201e'
"""Characters that PowerShell takes for quotes."""

_PLAIN = re.compile(r"-[A-Za-z]|(?:--[A-Za-z]|[A-Za-z_./])[\w./:+=-]*", re.ASCII)
_BACKTICKED = {"0": "\0", "a": "\a", "b": "\b", "e": "\x1b", "f": "\f", "n": "\n", "r": "\r", "t": "\t", "v": "\v"}
_CODE = re.compile(r"u\{([0-9a-fA-F]{1,6})\}")


def answer(command: click.Command, app: Running, arguments: Sequence[str]) -> str:
    """The lines for PowerShell."""
    words, typed, quote = parse(app.environ.get(LINE_VARIABLE, ""))
    lines = []
    for kind, word, text in candidates(command, app, after_program(words), typed):
        shown = on_one_line(word)
        lines.append("\t".join(map(_escaped, (kind, quoted(word, quote), shown, on_one_line(text) or shown))) + "\n")
    return "".join(lines)


def _escaped(text: str) -> str:
    return "".join(character if character.isascii() and character.isalnum() else _code(character) for character in text)


def _code(character: str) -> str:
    code = ord(character)
    if code < 0x10000:
        return f"\\u{code:04x}"
    return f"\\u{0xD800 + (code - 0x10000 >> 10):04x}\\u{0xDC00 + (code & 0x3FF):04x}"


def quoted(word: str, quote: str = "") -> str:
    """A word as PowerShell reads it: as it is, in single quotes, or in double ones if they were begun or are needed.

    Only those can express what a terminal must not get, and only PowerShell 6 and later reads the escapes for it.
    """
    if (quote and quote in DOUBLE_QUOTES) or is_harmful(word) or re.search("[\t\n]", word):
        return '"' + "".join(map(_in_double, word)) + '"'
    if not quote and _PLAIN.fullmatch(word):
        return word
    return "'" + re.sub(f"[{SINGLE_QUOTES}]", r"\g<0>\g<0>", word) + "'"


def _in_double(character: str) -> str:
    if is_harmful(character) or character in "\t\n":
        return f"`u{{{ord(character):x}}}"
    return 2 * character if character in DOUBLE_QUOTES else f"`{character}" if character in "`$#" else character


def parse(line: str) -> tuple[list[str], str, str]:
    """The words of a command before the one being typed, that word, and the quote that was begun last in it.

    None of them has its quotes any more. The command may stop anywhere; variables stay as they are written.
    """
    words: list[str] = []
    word, quote, begun, is_word, at = "", "", "", False, 0
    while at < len(line):
        character, step = line[at], 1
        same = SINGLE_QUOTES if quote in SINGLE_QUOTES else DOUBLE_QUOTES
        if quote and character in same:
            if line[at + 1 : at + 2] and line[at + 1] in same:
                word, step = word + character, 2
            else:
                quote = ""
        elif character == "`" and not (quote and quote in SINGLE_QUOTES):
            text, step = _after_backtick(line[at + 1 :])
            word, is_word, step = word + text, True, step + 1
        elif quote:
            word += character
        elif character in SINGLE_QUOTES + DOUBLE_QUOTES:
            quote, begun, is_word = character, character, True
        elif character.isspace():
            if is_word:
                words.append(word)
            word, begun, is_word = "", "", False
        else:
            word, is_word = word + character, True
        at += step
    return words, word, begun


def _after_backtick(rest: str) -> tuple[str, int]:
    if found := _CODE.match(rest):
        return (chr(int(found[1], 16)) if int(found[1], 16) < 0x110000 else ""), found.end()
    return _BACKTICKED.get(rest[:1], rest[:1]), 1
