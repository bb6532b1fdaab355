"""Prompts on stderr, with hidden input, and plain lines if the input is a pipe."""

from __future__ import annotations

import sys
from collections.abc import Callable
from typing import TypeVar

import click

from algo_core.errors import AlgoError, UsageError
from algo_core.terminal.output import Output
from algo_core.text import decoded, first_line, lines_in_utf_8

Answer = TypeVar("Answer")


class Prompter:
    """Asks questions one after the other and checks the answers.

    On a terminal, a wrong answer is asked for again, with the reason. From a pipe it is an error, since the next line
    answers the next question.
    """

    def __init__(self, output: Output) -> None:
        self._output = output
        self.is_terminal = sys.stdin is not None and sys.stdin.isatty()
        self._lines = lines_in_utf_8(sys.stdin.buffer) if sys.stdin is not None else iter(())

    def ask(
        self, text: str, check: Callable[[str], Answer], *, default: str | None = None, hidden: bool = False
    ) -> Answer:
        """Ask until `check` accepts the answer; it raises AlgoError with the reason otherwise.

        Raises:
            UsageError: when the input ends before the answer.
            AlgoError: what `check` raised, when the input is not a terminal.
            KeyboardInterrupt: on Ctrl-C.
        """
        while True:
            answer = self._line(f"{text}: ", text, hidden)
            try:
                return check(answer.strip() or (default or ""))
            except AlgoError as error:
                if not self.is_terminal:
                    raise
                self._output.error(error.message)
                if error.hint:
                    self._output.hint(error.hint)

    def confirm(self, text: str) -> bool:
        """Ask a yes-or-no question; no is the default, and the answer when the input is not a terminal."""
        return self.is_terminal and self._line(f"{text} [y/N]: ", text, False).strip().lower() in {"y", "yes"}

    def _line(self, prompt: str, question: str, hidden: bool) -> str:
        try:
            if hidden and self.is_terminal:
                return self._hidden(prompt)
            self._output.prompt(prompt)
            line = sys.stdin.readline() if self.is_terminal else next(self._lines, b"").decode("utf-8", "replace")
        except EOFError:
            line = ""
        if not self.is_terminal or not line:
            self._output.prompt("\n")
        if not line:
            raise UsageError(f"No answer to {question!r}: the input has ended", "Give the answers as options: --help")
        return line

    @staticmethod
    def _hidden(prompt: str) -> str:
        from getpass import getpass

        from algo_core.terminal.sanitize import on_one_line

        return getpass(on_one_line(prompt), stream=sys.stderr)


def read_secret_from_stdin(what: str) -> str:
    """The first line of standard input.

    Raises:
        click.UsageError: if there is none.
    """
    line = first_line(sys.stdin.buffer).strip() if sys.stdin is not None else ""
    if not line:
        raise click.UsageError(f"Standard input contains no {what}")
    return line


def text_on_stdin() -> str:
    """All of standard input.

    Raises:
        UsageError: if it is closed, or no text.
    """
    if sys.stdin is None:
        raise UsageError("Standard input is closed", "Pipe the text in")
    try:
        return decoded(sys.stdin.buffer.read())
    except UnicodeDecodeError as error:
        raise UsageError(f"Standard input is not UTF-8 text, from byte {error.start} on") from None
