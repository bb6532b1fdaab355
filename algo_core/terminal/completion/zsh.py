"""Completion in zsh: candidates, quoted for the open quote at the cursor.

zsh would quote by itself, but between quotes it breaks bytes that are no UTF-8, and inserts what cannot be seen.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from algo_core.terminal.completion.candidates import candidates
from algo_core.terminal.completion.posix import beginning, keep_apart, quoted, unquoted
from algo_core.terminal.sanitize import on_one_line

if TYPE_CHECKING:
    import click

    from algo_core.terminal.completion import Running


def answer(command: click.Command, app: Running, arguments: Sequence[str]) -> str:
    """The records for zsh.

    `arguments` are the words of the command before this one without quotes, the quote that has been begun, behind which
    zsh inserts, and this word as it was typed.
    """
    *words, begun, typed = arguments
    _, quote = unquoted(begun)
    found = candidates(command, app, words, unquoted(typed)[0])
    width = max((len(candidate.word) for candidate in found if candidate.help), default=0)
    texts = [quoted(candidate.word, quote) for candidate in found]
    keep_apart(texts, quoted(beginning([candidate.word for candidate in found]), quote), quote)
    shown = (f"{word:{width}}  -- {text}" if text else word for _, word, text in found)
    return "".join(
        f"{candidate.kind}\0{text}\0{on_one_line(line)}\0"
        for candidate, text, line in zip(found, texts, shown, strict=True)
    )
