"""Confirmation before irreversible changes."""

from __future__ import annotations

import sys

import click

from algo_core.context import App
from algo_core.errors import UsageError
from algo_core.terminal.prompts import Prompter


def confirm(app: App, yes: bool, question: str, command: str) -> None:
    """Ask the person at the terminal; `yes` is the option `--yes`, `command` the line that has it.

    Raises:
        UsageError: if nobody can be asked.
        click.Abort: if the answer is no.
    """
    if yes:
        return
    if not sys.stdin.isatty():
        raise UsageError("This cannot be undone", f"Confirm it with: {command}")
    if not Prompter(app.output).confirm(question):
        raise click.Abort
