"""Answers for completion scripts that click has generated: `algo completion` printed those before it had its own.

They insert what they get without quoting it, and cut it at blanks or commas, so a name that would not survive that is
left out, with a word about it. Their protocol is click's: `SHELL_complete` in `_ALGO_COMPLETE`, lines for an answer.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from click.shell_completion import get_completion_class

from algo_core.errors import ExitCode
from algo_core.terminal.completion import COMPLETE_VARIABLE, SHELLS, posix, powershell, script
from algo_core.terminal.completion.candidates import OPEN, PLAIN
from algo_core.terminal.sanitize import on_one_line

if TYPE_CHECKING:
    import click

    from algo_core.terminal.completion import Running


def answer_generated(command: click.Command, app: Running, instruction: str) -> int:
    """Answer `SHELL_complete`, or print the script of today for `SHELL_source`; the exit code."""
    shell, _, action = instruction.partition("_")
    kind = get_completion_class(shell) if shell in SHELLS else None
    if kind and action == "source":
        app.output.print(script(shell).removesuffix("\n"))
        return ExitCode.OK
    if not kind or action != "complete":
        return ExitCode.FAILURE
    asking = kind(command, {"obj": app}, "algo", COMPLETE_VARIABLE)
    words, typed = asking.get_completion_args()
    before = ""
    if shell == "bash" and typed.startswith("//") and words[-1:] == [":"]:  # bash has split data://x at its colon
        before = f"{words[-2]}:"
        words, typed = words[:-2], before + typed
    left_out = 0
    for item in asking.get_completions(words, typed):
        if item.type in {PLAIN, OPEN}:
            item.type = PLAIN
            item.value = item.value.removeprefix(before)
            if not _survives(shell, item.value):
                left_out += 1
                continue
        app.output.stdout.write(asking.format_completion(item) + "\n")
    if left_out:
        app.output.warn(
            f"{left_out} {'name' if left_out == 1 else 'names'} cannot be completed by this completion script; "
            f"install the present one: algo completion --help"
        )
    return 0


def _survives(shell: str, value: str) -> bool:
    if shell == "bash":
        return posix.quoted(value) == value
    if shell == "powershell":
        return powershell.quoted(value) == value
    return on_one_line(value) == value and not (shell == "fish" and re.search("[,\t]", value))
