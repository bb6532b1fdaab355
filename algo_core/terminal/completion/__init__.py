"""TAB: scripts for the shells, and the answers that they ask `algo` for.

A script runs `algo` with `_ALGO_COMPLETE` set to the name of its shell and what was typed as arguments, never as code
or as words joined by blanks. The answer is a list of records whose fields each end in a NUL, which no argument of a
command can contain:

| shell | arguments | fields of a record |
| --- | --- | --- |
| bash | the line up to the cursor; the part of it that readline replaces | kind, text to insert |
| zsh | the words before this one; the open quote; this word as typed | kind, text to insert, text to list |
| fish | the command up to the cursor | see `fish.py` |
| powershell | none; the command up to the cursor is in `_ALGO_LINE` | see `powershell.py` |

The kinds are `plain`; `open`, after which the shell adds no blank, because there is more to type; `file` and `dir`,
where the shell completes local paths itself.
"""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    import click

    from algo_core.terminal.output import Output


class Running(Protocol):
    """The part of the running `algo` that completion needs; commands find it in their context."""

    environ: Mapping[str, str]
    output: Output


SHELLS = {"bash": "algo.bash", "zsh": "_algo", "fish": "algo.fish", "powershell": "algo.ps1"}
"""The shells, and the names of the files with their scripts."""

COMPLETE_VARIABLE = "_ALGO_COMPLETE"
"""The environment variable with which a script asks."""


def script(shell: str) -> str:
    """The completion script of a shell in `SHELLS`."""
    with open(os.path.join(os.path.dirname(__file__), SHELLS[shell]), encoding="utf-8") as file:
        return file.read()


def answer(command: click.Command, app: Running, instruction: str, arguments: Sequence[str]) -> int:
    """Write what a script has asked for to standard output; the exit code.

    `instruction` is the value of `COMPLETE_VARIABLE`: a shell, or a request of a script that click has generated.
    """
    from importlib import import_module

    from algo_core.errors import ExitCode

    if instruction in SHELLS:
        answered = import_module(f"algo_core.terminal.completion.{instruction}").answer(command, app, arguments)
        app.output.binary.write(answered.encode("utf-8", "surrogateescape"))
        return ExitCode.OK
    from algo_core.terminal.completion.generated import answer_generated

    return answer_generated(command, app, instruction)
