"""The candidates for the word that is being typed, from the commands."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, NamedTuple

from click.shell_completion import ShellComplete

from algo_core.terminal.completion import COMPLETE_VARIABLE

if TYPE_CHECKING:
    import click
    from click.shell_completion import CompletionItem

    from algo_core.terminal.completion import Running

PLAIN, OPEN = "plain", "open"
LOCAL_KINDS = {"file", "dir"}
"""Kinds of candidates that the shell completes itself."""


class Candidate(NamedTuple):
    """A whole word, not quoted; its kind, as the package describes it; a line of help, which may be empty."""

    kind: str
    word: str
    help: str = ""

    @property
    def is_local(self) -> bool:
        """Whether the shell is to complete a local path instead."""
        return self.kind in LOCAL_KINDS


def candidates(command: click.Command, app: Running, words: Sequence[str], typed: str) -> list[Candidate]:
    """The candidates for `typed` after `words`, the preceding arguments of `algo`, without quotes.

    Words that cannot be arguments (with a NUL or half of a surrogate pair) are omitted.
    """
    items = ShellComplete(command, {"obj": app}, "algo", COMPLETE_VARIABLE).get_completions(list(words), typed)
    return list(dict.fromkeys(_all(items, _option_before(words, typed))))


def _all(items: Sequence[CompletionItem[str]], option: str) -> Iterator[Candidate]:
    for item in items:
        if item.type in LOCAL_KINDS:
            yield Candidate(item.type, option + item.value)
        elif _is_expressible(item.value):
            kind = OPEN if item.type == OPEN or item.value.endswith("/") else PLAIN
            yield Candidate(kind, option + item.value, " ".join((item.help or "").replace("\0", " ").split()))


def _option_before(words: Sequence[str], typed: str) -> str:
    """`--name=` where the value of an option is typed behind it: click completes the value alone."""
    if "--" in words or not typed.startswith("-") or "=" not in typed:
        return ""
    return typed[: typed.index("=") + 1]


def after_program(words: Sequence[str]) -> list[str]:
    """The arguments of `algo` in a command that may begin with something else, such as an assignment."""
    for at, word in enumerate(words):
        if word.replace("\\", "/").rpartition("/")[2].lower() in {"algo", "algo.exe"}:
            return list(words[at + 1 :])
    return list(words[1:])


def _is_expressible(word: str) -> bool:
    try:
        return b"\0" not in word.encode("utf-8", "surrogateescape")
    except UnicodeEncodeError:
        return False
