"""Options of all commands, declared once and accepted before and after every subcommand, and of several."""

from __future__ import annotations

from collections.abc import Callable
from types import MethodType
from typing import Any

import click

SECTION = "Global options"
_JSON = "algo_core.json"


class Number(click.IntRange):
    """A whole number in a range; of abc it says that it is no valid number, where click's own names itself."""

    name = "number"


human_option = click.option(
    "-h", "--human", "--human-readable", "is_human", is_flag=True, help="Show sizes in KiB, MiB, GiB."
)
"""`-h` means human-readable, as in `ls` and `du`, not help."""


yes_option = click.option("-y", "--yes", is_flag=True, help="Do not ask for confirmation.")
"""For commands that ask before they remove something, or install it."""


def human(count: float) -> str:
    """A number of bytes in binary units, in at most 10 characters."""
    for unit in ("B", "KiB", "MiB", "GiB"):
        if count < 1024:
            return f"{count:.0f} {unit}" if unit == "B" else f"{count:.1f} {unit}"
        count /= 1024
    return f"{count:.1f} TiB"


class GlobalOption(click.Option):
    """An option of every command; help lists it in a separate section."""

    def get_help_record(self, ctx: click.Context) -> tuple[str, str] | None:  # noqa: D102
        return None

    def record(self, ctx: click.Context) -> tuple[str, str] | None:
        """The rows of the section of global options."""
        return super().get_help_record(ctx)


def _remember(name: str) -> Callable[[click.Context, click.Parameter, Any], None]:
    def callback(ctx: click.Context, parameter: click.Parameter, value: Any) -> None:
        app = ctx.find_root().obj  # the running App, which stands above this module
        if app is None or not value:
            return
        if name in {"is_json", "quiet"}:
            setattr(app.output, name, value)
            if name == "is_json":
                ctx.find_root().meta[_JSON] = True
        else:
            setattr(app, name, value)

    return callback


def _complete_profile(ctx: click.Context, parameter: click.Parameter, incomplete: str) -> list[str]:
    app = ctx.find_root().obj
    return [name for name in app.profiles.names() if name.startswith(incomplete)] if app else []


_DECLARED: tuple[tuple[tuple[str, ...], str, dict[str, Any]], ...] = (
    (
        ("--profile",),
        "profile_flag",
        {"metavar": "NAME", "help": "Use this profile.", "shell_complete": _complete_profile},
    ),
    (("--json",), "is_json", {"is_flag": True, "help": "Print results and errors as JSON."}),
    (("-q", "--quiet"), "quiet", {"is_flag": True, "help": "Print only results and errors."}),
    (("-v", "--verbose"), "verbose", {"is_flag": True, "help": "Print each HTTP request and its duration."}),
    (("--debug",), "debug", {"is_flag": True, "help": "Show the traceback of an error."}),
)


def global_options(taken: set[str] = frozenset()) -> list[GlobalOption]:  # type: ignore[assignment]  # never changed
    """The global options, without the spellings that a command has already."""
    options = []
    for spellings, name, attributes in _DECLARED:
        free = [spelling for spelling in spellings if spelling not in taken]
        if any(spelling.startswith("--") for spelling in free):
            declared = [*free, f"_global_{name}"]
            options.append(
                GlobalOption(declared, expose_value=False, is_eager=True, callback=_remember(name), **attributes)
            )
    return options


def add_global_options(command: click.Command) -> click.Command:
    """Add the global options to a command and the commands below it; repeating it changes nothing."""
    if any(isinstance(parameter, GlobalOption) for parameter in command.params):
        return command
    taken = {o for p in command.params if isinstance(p, click.Option) for o in (*p.opts, *p.secondary_opts)}
    command.params = [*command.params, *global_options(taken)]
    shown, parse = command.format_options, command.parse_args

    def parse_args(self: click.Command, ctx: click.Context, args: list[str]) -> list[str]:
        try:
            rest = parse(ctx, args)
        except click.UsageError as error:
            error.ctx = error.ctx or ctx  # click forgets it where an option has no value
            raise
        if not isinstance(self, click.Group) and (app := ctx.find_root().obj) is not None:
            app.output.is_json = _JSON in ctx.find_root().meta  # it may have been the value of another option
            if not ctx.resilient_parsing:
                app.begin(ctx.command_path.partition(" ")[2])
        return rest

    command.parse_args = MethodType(parse_args, command)  # type: ignore[method-assign]  # this one command only

    def format_options(self: click.Command, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        shown(ctx, formatter)
        format_global_options(self, ctx, formatter)

    command.format_options = MethodType(format_options, command)  # type: ignore[method-assign]  # this one command only
    if isinstance(command, click.Group):
        find = command.get_command

        def get_command(self: click.Group, ctx: click.Context, name: str) -> click.Command | None:
            found = find(ctx, name)
            return add_global_options(found) if found else None

        command.get_command = MethodType(get_command, command)  # type: ignore[method-assign]  # this one group only
    return command


def format_global_options(command: click.Command, ctx: click.Context, formatter: click.HelpFormatter) -> None:
    """Write the section of global options."""
    records = [p.record(ctx) for p in command.get_params(ctx) if isinstance(p, GlobalOption)]
    if rows := [record for record in records if record]:
        with formatter.section(SECTION):
            formatter.write_dl(rows)
