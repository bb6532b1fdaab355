"""`algo help`: a command's help, or a topic.

Topics are commands below `help`, so that plugins add theirs as they add any command: `Command("help uris", ...)`.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import click

from algo_core.context import App, pass_app
from algo_core.errors import EXIT_CODES, OWN_EXIT_CODES, UsageError
from algo_core.plugins.types import Variable
from algo_core.settings.config import SETTINGS

VARIABLES = (
    Variable("ALGORITHMIA_API_KEY", "API key; overrides the profile's unless --profile is given"),
    Variable("ALGORITHMIA_BEARER_TOKEN", "bearer token, if there is no API key"),
    Variable("ALGORITHMIA_API", "the API's address; overrides the profile's unless --profile is given"),
    *(Variable(setting.variable, setting.help) for setting in SETTINGS.values() if setting.variable),
    Variable("ALGO_CONFIG_DIR", "directory of config.toml"),
    Variable("ALGO_SITE_CONFIG", "an additional administrator's configuration file"),
    Variable("ALGO_CACHE_DIR", "directory of the plugin index"),
    Variable("ALGO_DATA_DIR", "directory of isolated plugins and, by default, of plugins' state"),
    Variable("REQUESTS_CA_BUNDLE", "CA bundle for profiles that name no CA of their own"),
    Variable("HTTPS_PROXY", "proxy for https:// addresses"),
    Variable("HTTP_PROXY", "proxy for http:// addresses"),
    Variable("NO_PROXY", "hosts that are reached without a proxy"),
    Variable("NO_COLOR", "no colours"),
)
"""The core's environment variables; plugins have theirs (the hook `algo_variables`)."""


def all_variables(app: App) -> Iterator[Variable]:
    """The environment variables of the core and of the plugins."""
    yield from VARIABLES
    for variables in app.plugins.call("algo_variables"):
        yield from variables


class HelpGroup(click.Group):
    """A group whose commands are topics; any other words name a command to explain."""

    def resolve_command(self, ctx: click.Context, args: list[str]) -> Any:
        """The topic, else a command that explains the given words."""
        if args[0] in self.commands or args[0].startswith("-"):
            return super().resolve_command(ctx, args)
        return args[0], explain, args

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """The topics under a heading of their own."""
        topics = [(name, self.get_command(ctx, name)) for name in self.list_commands(ctx)]
        with formatter.section("Topics"):
            formatter.write_dl([(name, topic.get_short_help_str(80)) for name, topic in topics if topic])


@click.group("help", cls=HelpGroup, invoke_without_command=True, subcommand_metavar="[COMMAND | TOPIC]...")
@click.pass_context
def help_command(ctx: click.Context) -> None:
    """Explain a command or a topic."""
    if ctx.invoked_subcommand is None:
        root, topics = ctx.find_root(), help_command.list_commands(ctx)
        output = root.ensure_object(App).output
        output.print(root.get_help())
        output.print("\nTopics: " + ", ".join(f"algo help {topic}" for topic in topics))


@help_command.command("exit-codes")
@pass_app
def exit_codes(app: App) -> None:
    """What the exit codes mean."""
    own = f"{OWN_EXIT_CODES[0]}-{OWN_EXIT_CODES[-1]}"
    listed = [(code, str(code), meaning) for code, meaning in EXIT_CODES.items()]
    listed.append((OWN_EXIT_CODES[0], own, "a failure of a plugin's own: see its documentation"))
    for _, shown, meaning in sorted(listed):
        app.output.print(f"{shown.rjust(len(own))}  {meaning}")


@help_command.command("variables")
@pass_app
def variables(app: App) -> None:
    """Environment variables."""
    app.output.table(("Variable", "Effect"), [(variable.name, variable.help) for variable in all_variables(app)])


@click.command(hidden=True, add_help_option=False, context_settings={"ignore_unknown_options": True})
@click.argument("words", nargs=-1, type=click.UNPROCESSED)
@pass_app
def explain(app: App, words: tuple[str, ...]) -> None:
    """Explain a command."""
    ctx = click.get_current_context().find_root()
    for word in words:
        group = ctx.command
        if word.startswith("-"):
            continue
        if not isinstance(group, click.Group):
            raise UsageError(f"{ctx.command_path} has no subcommands", f"See: {ctx.command_path} --help")
        name, command, _ = group.resolve_command(ctx, [word])
        assert command is not None, "an unknown one is an error"
        ctx = click.Context(command, info_name=name, parent=ctx)
    app.output.print(ctx.get_help())
