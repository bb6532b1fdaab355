"""Completion in zsh, which quotes what it is given for where the cursor stands."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from algo_core.terminal.completion.candidates import candidates
from algo_core.terminal.completion.posix import unquoted
from algo_core.terminal.sanitize import on_one_line

if TYPE_CHECKING:
    import click

    from algo_core.terminal.completion import Running


def answer(command: click.Command, app: Running, arguments: Sequence[str]) -> str:
    """The records for zsh; `arguments` are the words of the command without quotes, the last one as it was typed."""
    *words, typed = arguments
    found = candidates(command, app, words, unquoted(typed)[0])
    width = max((len(candidate.word) for candidate in found if candidate.help), default=0)
    return "".join(
        f"{kind}\0{word}\0{on_one_line(f'{word:{width}}  -- {text}' if text else word)}\0" for kind, word, text in found
    )
