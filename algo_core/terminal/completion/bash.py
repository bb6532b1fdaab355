"""Completion in bash: the text for readline to insert, quoted like the part typed so far."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, NamedTuple

from algo_core.terminal.completion.candidates import OPEN, PLAIN, after_program, candidates
from algo_core.terminal.completion.posix import (
    CLOSING,
    NO_QUOTE,
    SINGLE,
    beginning,
    keep_apart,
    quoted,
    units,
    unquoted,
)

if TYPE_CHECKING:
    import click

    from algo_core.terminal.completion import Running


class Typed(NamedTuple):
    """The text before the cursor: the words of the command without quotes, and the start of the last one."""

    words: list[str]
    start: int
    is_file: bool
    """Whether it is the name of a file after a redirection."""


def answer(command: click.Command, app: Running, arguments: Sequence[str]) -> str:
    """The records for bash; `arguments` are the line up to the cursor, and the end of it that readline replaces."""
    line, replaced = arguments
    typed = parse(line)
    if typed is None or typed.is_file:
        return "file\0\0"
    found = candidates(command, app, after_program(typed.words), unquoted(line[typed.start :])[0])
    if local := next((candidate for candidate in found if candidate.is_local), None):
        return f"{local.kind}\0\0"
    insertion = Insertion(line, typed.start, replaced)
    fitting = {text: candidate for candidate in found if (text := insertion.of(candidate.word, candidate.kind))}
    kind = OPEN if all(candidate.kind == OPEN for candidate in fitting.values()) else PLAIN
    texts = list(fitting)
    if kind == OPEN and len(texts) == 1 and insertion.is_quoted and not texts[0].endswith("/"):
        # Of a single text readline closes the quote, and quotes that are typed next (in JSON) would be outside of it.
        texts.append(f"{texts[0]}...")
    keep_apart(texts, insertion.of(beginning([c.word for c in fitting.values()]), OPEN), insertion.quote)
    return "".join(f"{kind}\0{text}\0" for text in texts)


def parse(line: str) -> Typed | None:
    """Read a line up to the cursor; None if the command there is another one, within a substitution or behind it."""
    words, start, end, follows_redirection = [], 0, 0, False
    is_word = is_nested = False
    for unit in units(line):
        if unit.kind == "text":
            if not is_word:
                start, is_word = end, True
        else:
            is_descriptor = unit.text in {"<", ">"} and line[start:end].isdigit()
            if is_word and not follows_redirection and not is_descriptor:
                words.append(unquoted(line[start:end])[0])
            if is_word:
                follows_redirection = False
            is_word = False
            if unit.text in {"<", ">"}:
                follows_redirection = True
            elif unit.text in {"(", "`"} and not is_nested:
                words, is_nested = [], True
            elif unit.text in {"(", ")", "`"}:
                return None
            elif unit.kind == "operator" and not (unit.text == "&" and follows_redirection):
                words, follows_redirection = [], False
        end = unit.end
    if is_nested and words[:1] != ["algo"]:
        return None
    return Typed(words, start if is_word else len(line), follows_redirection)


class Insertion:
    """Makes the text that readline puts in the place of what it takes for the word: that may be only the end of it.

    Between quotes, readline takes the opening one away when the text begins with it, and adds a closing one to a text
    that does not end with it: so the text has both, but for a directory, which has none at its end.
    """

    def __init__(self, line: str, start: int, replaced: str) -> None:
        self._readlines_quote = open_quote(line)
        at = max(len(line) - len(replaced) - len(self._readlines_quote), start)
        self._opening = line[at : at + len(self._readlines_quote)]
        self._kept, self.quote = unquoted(line[start : at + len(self._opening)])

    @property
    def is_quoted(self) -> bool:
        """Whether a quote is open for readline."""
        return bool(self._readlines_quote)

    def of(self, word: str, kind: str) -> str:
        """The text for a word; empty if it does not go on from what stays in the line."""
        if not word.startswith(self._kept):
            return ""
        text = self._opening + quoted(word[len(self._kept) :], self.quote)
        if kind == OPEN:
            return text
        text += CLOSING[self.quote]
        if self._readlines_quote and not text.endswith(self._readlines_quote):
            text += 2 * self._readlines_quote
        return text


def open_quote(line: str) -> str:
    """The quote that readline takes for open at the end of a line: it knows no `$'`."""
    quote, is_escaped = NO_QUOTE, False
    for character in line:
        if is_escaped:
            is_escaped = False
        elif character == "\\" and quote != SINGLE:
            is_escaped = True
        elif quote:
            quote = NO_QUOTE if character == quote else quote
        elif character in "'\"":
            quote = character
    return quote
