"""Executables named `algo-NAME` are subcommands too: those of isolated plugins, and any on `PATH`."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping, Sequence

import click

from algo_core.settings.paths import isolated_dir

PREFIX = "algo-"

BRIDGE = "ALGO_BRIDGE"
"""Names the descriptor of the bridge (`algo_core.bridge`) for the process that is started with it."""

Run = Callable[[Sequence[str], Mapping[str, str]], int]
"""Runs a command in an environment; its exit code, negative for a signal."""


def find_external(environ: Mapping[str, str], name: str) -> str | None:
    """The executable of a subcommand's name, if there is one."""
    if not name or os.sep in name or name.startswith("-"):
        return None
    from shutil import which

    places = os.pathsep.join([os.path.join(isolated_dir(environ), "bin"), environ.get("PATH", os.defpath)])
    return which(PREFIX + name, path=places)


def external_command(name: str, path: str, environ: Mapping[str, str], run_in: Run) -> click.Command:
    """A command that runs an executable with all words after its name, and exits with its exit code.

    The executable learns the profile from `ALGO_PROFILE`, if one was given before the name.
    """

    @click.command(
        name,
        add_help_option=False,
        context_settings={"ignore_unknown_options": True, "allow_extra_args": True, "allow_interspersed_args": False},
    )
    @click.argument("words", nargs=-1, type=click.UNPROCESSED)
    def run(words: tuple[str, ...]) -> None:
        ctx = click.get_current_context()
        profile_flag = ctx.find_root().obj.profile_flag
        chosen = {"ALGO_PROFILE": profile_flag} if profile_flag else {}
        code = run_in([path, *words], {**environ, **chosen})
        ctx.exit(code if code >= 0 else 128 - code)

    return run
