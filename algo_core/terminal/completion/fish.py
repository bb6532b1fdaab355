"""Completion in fish, which quotes candidates itself.

The answer is `plain` or `file`, and after `plain` the candidates, each with a tab and its description where it has one.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import TYPE_CHECKING

from algo_core.terminal.completion.candidates import after_program, candidates
from algo_core.terminal.completion.posix import joined
from algo_core.terminal.sanitize import HARMFUL, is_plain, on_one_line

if TYPE_CHECKING:
    import click

    from algo_core.terminal.completion import Running

_ESCAPES = {"a": "\a", "b": "\b", "e": "\x1b", "f": "\f", "n": "\n", "r": "\r", "t": "\t", "v": "\v"}
_CODE = re.compile(
    r"(?P<byte>[xX][\da-fA-F]{1,2})|u(?P<u>[\da-fA-F]{1,4})|U(?P<U>[\da-fA-F]{1,8})|(?P<octal>[0-7]{1,3})"
)


def answer(command: click.Command, app: Running, arguments: Sequence[str]) -> str:
    """The records for fish; the argument is the command up to the cursor."""
    words, typed = parse(arguments[0])
    found = candidates(command, app, after_program(words), typed)
    if any(candidate.is_local for candidate in found):
        return "file\0"
    texts = (f"{word}\t{on_one_line(text)}" if text else word for _, word, text in found if not _is_raw(word))
    return "plain\0" + "".join(f"{text}\0" for text in texts)


_RAW = f"\t|(?![\0-\x7f\udc80-\udcff])(?:\\s|{HARMFUL})"
"""Characters that fish does not quote, treats as the end of a word, or passes to the terminal unescaped."""


def _is_raw(word: str) -> bool:
    """Whether fish would not quote a word as a whole."""
    return word.startswith("~") or (not is_plain(word) and re.search(_RAW, word) is not None)


def parse(line: str) -> tuple[list[str], str]:
    """The words of an incomplete command, and the word being typed, without quotes."""
    words: list[str] = []
    word, quote, is_word, at = "", "", False, 0
    while at < len(line):
        character, following, step = line[at], line[at + 1 : at + 2], 1
        if quote:
            if character == quote:
                quote = ""
            elif character == "\\" and following and following in ("\\'" if quote == "'" else '\\"$\n'):
                word, step = word + following.strip("\n"), 2
            elif character != "\\" or following:
                word += character
        elif character == "\\":
            text, step = _after_backslash(line[at + 1 :])
            word, is_word, step = word + text, True, step + 1
        elif character in "'\"":
            quote, is_word = character, True
        elif character in " \t\n":
            if is_word:
                words.append(joined(word))
            word, is_word = "", False
        else:
            word, is_word = word + character, True
        at += step
    return words, joined(word)


def _after_backslash(rest: str) -> tuple[str, int]:
    if found := _CODE.match(rest):
        byte, code = found["byte"] or found["octal"], found["u"] or found["U"]
        if code:
            return (chr(int(code, 16)) if int(code, 16) < 0x110000 else ""), found.end()
        number = int(byte[1:], 16) if found["byte"] else int(byte, 8)
        return chr(number if number < 0x80 else 0xDC00 + (number & 0xFF)), found.end()
    return ("" if rest[:1] == "\n" else _ESCAPES.get(rest[:1], rest[:1])), 1
