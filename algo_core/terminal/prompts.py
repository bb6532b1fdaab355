"""Prompts on stderr, with hidden input, and plain lines if the input is a pipe."""

from __future__ import annotations

import sys
from collections.abc import Callable, Mapping, Sequence
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
        self._hint = "Give the answers as options; --help lists them"
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
                self._output.prompt("")  # a line of progress makes room
                return self._hidden(prompt)
            self._output.prompt(prompt)
            line = sys.stdin.readline() if self.is_terminal else next(self._lines, b"").decode("utf-8", "replace")
        except EOFError:
            line = ""
        if not self.is_terminal or not line:
            self._output.prompt("\n")
        if not line:
            raise UsageError(f"No answer to {question!r}: the input has ended", self._hint)
        return line

    @staticmethod
    def _hidden(prompt: str) -> str:
        from getpass import getpass

        from algo_core.terminal.sanitize import on_one_line

        return getpass(on_one_line(prompt), stream=sys.stderr)


class Questions:
    """Asks the person at the terminal (`App.ask`): `app.ask("Project")`, and the methods below.

    Without a person nothing is asked and UsageError is raised: where standard input or standard error is no terminal,
    with `--json`, and during completion. `instead` is the option that gives the answer then, for the hint. An answer
    that is not accepted is asked for again; Ctrl-C ends the command (exit code 130), and Ctrl-D is a UsageError.

        name = app.ask("Project", default="main", instead="--project NAME")
        token = app.ask.secret("Token", instead="ACME_TOKEN")
        region = app.ask.choice("Region", ["eu", "us"], default="eu", instead="--region REGION")
        if app.ask.confirm("Delete it?", instead="--yes"):
            delete(name)
    """

    def __init__(self, output: Output, environ: Mapping[str, str]) -> None:
        self._output = output
        self._environ = environ

    def __call__(
        self,
        question: str,
        *,
        default: str | None = None,
        check: Callable[[str], str] | None = None,
        instead: str = "",
    ) -> str:
        """Ask for a line of text, without blanks at its ends; an empty one stands for the default, if there is one.

        `check` returns the answer to use, or raises AlgoError with the reason to ask again.

        Raises:
            UsageError: if there is nobody to ask.
        """

        def checked(answer: str) -> str:
            return check(_needed(answer)) if check else _needed(answer)

        shown = f"{question} [{default}]" if default else question
        return self._prompter(question, instead).ask(shown, checked, default=default)

    def secret(self, question: str, *, instead: str = "") -> str:
        """Ask for a text that is not shown.

        Raises:
            UsageError: if there is nobody to ask.
        """
        return self._prompter(question, instead).ask(question, _needed, hidden=True)

    def choice(self, question: str, choices: Sequence[str], *, default: str | None = None, instead: str = "") -> str:
        """Ask for one of several texts, in lower or upper case.

        Raises:
            UsageError: if there is nobody to ask.
            ValueError: if there is nothing to choose from, or the default is none of the choices.
        """
        if not choices or (default is not None and default not in choices):
            raise ValueError(
                f"{question!r} cannot be answered: its choices are {list(choices)}, its default {default!r}"
            )
        known = {choice.lower(): choice for choice in choices}
        listed = ", ".join(choices)

        def checked(answer: str) -> str:
            if answer.lower() not in known:
                raise UsageError(f"Answer with one of: {listed}")
            return known[answer.lower()]

        shown = f"{question} ({listed})" + (f" [{default}]" if default else "")
        return self._prompter(question, instead).ask(shown, checked, default=default)

    def confirm(self, question: str, *, default: bool = False, instead: str = "") -> bool:
        """Ask a question that is answered with yes or no.

        Raises:
            UsageError: if there is nobody to ask.
        """

        def checked(answer: str) -> bool:
            if answer.lower() not in {"y", "yes", "n", "no"}:
                raise UsageError("Answer with y or n")
            return answer.lower() in {"y", "yes"}

        shown = f"{question} [{'Y/n' if default else 'y/N'}]"
        return self._prompter(question, instead).ask(shown, checked, default="y" if default else "n")

    def _prompter(self, question: str, instead: str) -> Prompter:
        prompter = Prompter(self._output)
        is_open = prompter.is_terminal and self._output.stderr.isatty()
        hint = f"Give the answer with {instead}" if instead else ""
        if is_open and not self._output.is_json and not self._environ.get("_ALGO_COMPLETE"):
            prompter._hint = hint or prompter._hint
            return prompter
        without = "Run the command on a terminal, without --json"
        raise UsageError(f"There is nobody to ask: {question!r}", hint or without)


def _needed(answer: str) -> str:
    if not answer:
        raise UsageError("An answer is needed")
    return answer


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
