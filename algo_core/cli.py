"""The click group: names, help lines and completion from the index; a command is imported only when it runs."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from functools import partial
from typing import Any, NamedTuple

import click
from click.shell_completion import CompletionItem

from algo_core import nesting
from algo_core.context import App
from algo_core.errors import ExitCode, PluginError, UsageError
from algo_core.plugins.index import PluginRecord
from algo_core.plugins.policy import INSTALLER, normalized
from algo_core.settings import paths
from algo_core.terminal.options import add_global_options, format_global_options, global_options


class Row(NamedTuple):
    """A command in the help: its plugin (None: built in) and its import target."""

    name: str
    target: str
    help: str
    group: str
    hidden: bool
    example: str
    role: str
    record: PluginRecord | None


def _built_in(name: str, target: str, text: str) -> Row:
    return Row(name, f"algo_core.commands.{target}", text, LAST_GROUP, False, "", "", None)


LAST_GROUP = "Setup"
"""The heading of the core's own commands. The plugins' headings come first, in alphabetical order."""

EXECUTABLE = "executable"
"""The target of a command that is an executable `algo-NAME` of an isolated plugin."""

GROUP_ONLY = "group"
"""The target of a group that exists only through the commands below it."""

BUILT_IN: dict[str, Row] = {
    row.name: row
    for row in (
        _built_in("auth", "auth:auth", "Configure a profile: address, key, CA."),
        _built_in("profile", "profile:profile", "List, show, import and remove profiles."),
        _built_in("config", "config:config", "Show and change settings."),
        _built_in("plugins", "plugins:plugins", "Manage plugins."),
        _built_in("doctor", "doctor:doctor", "Check the installation for problems."),
        _built_in("completion", "completion:completion", "Print the completion script of a shell."),
        _built_in("help", "help:help_command", "Explain a command or a topic."),
    )
}
"""The core's own commands; plugins cannot have their names."""

MOST_EXAMPLES = 5
WIDEST_NAME = 30
"""Characters of a name beside which click still writes the text."""

EPILOG = (
    "'algo COMMAND --help' explains a command, 'algo help variables' the environment variables, 'algo help exit-codes'"
    " the exit codes."
)


class AlgoGroup(click.Group):
    """`algo` itself."""

    def rows(self, ctx: click.Context) -> dict[str, list[Row]]:
        """All commands by full name, each with its claims; plugins cannot claim built-in names."""
        found: dict[str, list[Row]] = {name: [row] for name, row in BUILT_IN.items()}
        for record in _app(ctx).plugins.allowed:
            for row in record.commands:
                if row[0] not in BUILT_IN:
                    found.setdefault(row[0], []).append(Row(*row, record))
        for name, text in _isolated_commands(_app(ctx).environ).items():
            found.setdefault(name, [Row(name, EXECUTABLE, text, "Other", False, "", "", None)])
        if any(len(claims) > 1 for claims in found.values()):
            chosen = _app(ctx).config.chosen_commands()
            for name, claims in found.items():
                picked = [row for row in claims if row.record and row.record.dist == normalized(chosen.get(name, ""))]
                found[name] = picked or claims
        return found

    def top(self, ctx: click.Context) -> dict[str, list[Row]]:
        """The rows of `algo --help`: commands of one word, and groups that only the commands below them make up."""
        rows = self.rows(ctx)
        found = {}
        for word, below in nesting.children(rows, "").items():
            found[word] = rows.get(word) or [_group_row(word, below)]
        return found

    def list_commands(self, ctx: click.Context) -> list[str]:
        """The names of all commands, sorted."""
        return sorted(self.top(ctx))

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """Import a command.

        Raises:
            PluginError: if its plugin is broken.
            UsageError: if two plugins claim the name.
        """
        claims = self.top(ctx).get(cmd_name)
        if not claims:
            return None
        row = _only(cmd_name, claims)
        return _executable(_app(ctx), cmd_name) if row.target == EXECUTABLE else self.load(ctx, row)

    def load(self, ctx: click.Context, row: Row) -> click.Command:
        """Import the command of a row.

        Raises:
            PluginError: if its plugin is broken.
            ConfigError: if a plugin that the administrator requires is missing.
        """
        command = self._with_nested(ctx, row.name, self._import(ctx, row))
        if isinstance(command, click.Group):
            nesting.explain_unknown(command, row.name, partial(self.hint_below, ctx))
        return add_global_options(command)

    def _with_nested(self, ctx: click.Context, path: str, command: click.Command) -> click.Command:
        """A command together with the commands that other distributions add below it, each imported when it runs."""
        rows = self.rows(ctx)
        below = nesting.children(rows, path)
        if not below:
            return command
        if not isinstance(command, click.Group):
            extra = ", ".join(name for found in below.values() for name, _ in found)
            _app(ctx).output.warn(f"'algo {path}' is not a group, so these commands are skipped: {extra}")
            return command
        names = {word: f"{path} {word}" for word in below}
        found = {word: rows.get(names[word]) or [_group_row(names[word], rest)] for word, rest in below.items()}
        if path in BUILT_IN:  # the core's own must work whatever a plugin claims
            own_names = type(command).list_commands(command, ctx)  # without those of an earlier run in this process
            found = {word: claims for word, claims in found.items() if word not in own_names}

        def load(ctx: click.Context, word: str, own: click.Command | None) -> click.Command:
            row = _only(f"{path} {word}", found[word])
            if own is not None:
                label = row.record.label if row.record else row.name
                raise UsageError(
                    f"'algo {path}' has a command {word!r} of its own, and {label} claims the name as well",
                    f"Disable one of them, for example: algo plugins disable {row.record.dist if row.record else ''}",
                )
            return self.load(ctx, row)

        nesting.extend(command, {word: (_line(claims), claims[0].hidden) for word, claims in found.items()}, load)
        return command

    def _import(self, ctx: click.Context, row: Row) -> click.Command:
        if row.record is not None:
            from algo_core.terminal.signals import end_cleanly_on_signals

            # What brings plugins, and what explains, is there where the configuration or a plugin is wrong.
            if row.record.dist != INSTALLER and not row.name.startswith("help "):
                _app(ctx).check()
                _app(ctx).plugins.check_required()
            end_cleanly_on_signals()
        if row.target == GROUP_ONLY:
            return click.Group(row.name.rpartition(" ")[2], help=row.help)
        if row.record is None:
            from importlib import import_module

            module, _, attribute = row.target.partition(":")
            found = getattr(import_module(module), attribute)
        elif row.record.error:
            raise _app(ctx).plugins.broken(row.record, row.record.error)
        else:
            found = _app(ctx).plugins.load_target(row.record, row.target)
        if not isinstance(found, click.Command):
            where = f"the plugin {row.record.label} names" if row.record else "the core names"
            raise PluginError(f"{row.target}, which {where}, is not a click command")
        return found

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        """Find the typed command; for an unknown one, suggest commands with similar names."""
        name = args[0]
        if ctx.resilient_parsing or name in (rows := self.top(ctx)) or name.startswith("-"):
            return super().resolve_command(ctx, args)
        if executable := _executable(_app(ctx), name):
            return name, executable, args[1:]
        from algo_core.unknown_commands import suggestions

        _app(ctx).check()
        siblings = [word for word, claims in rows.items() if not claims[0].hidden]
        found = suggestions(name, "", siblings, self.shown(ctx))
        raise UsageError(f"There is no command {name!r}", _where_it_may_be(_app(ctx), name, found))

    def shown(self, ctx: click.Context) -> list[str]:
        """The full names of all commands that are not hidden, as far as they are known without importing any."""
        rows = {**self.top(ctx), **self.rows(ctx)}
        built_in = ["profile show", "profile use", "profile remove"]  # below groups of the core, which are not indexed
        return [*(name for name, claims in rows.items() if not claims[0].hidden), *built_in]

    def hint_below(self, ctx: click.Context, word: str, path: str, siblings: Sequence[str]) -> str:
        """The hint for an unknown command of a group: its plugin is disabled, or its name is misspelt or another.

        Raises:
            ConfigError: if the administrator's file leaves open which plugins take part.
        """
        from algo_core.unknown_commands import did_you_mean, suggestions

        if found := suggestions(word, path, siblings, self.shown(ctx)):
            return did_you_mean(found)
        return _why_not_below(_app(ctx), path, word) or f"'algo {path} --help' lists the commands"

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """List the commands under their headings, without importing a plugin."""
        headings: dict[str, list[tuple[str, str]]] = {}
        for name, claims in sorted(self.top(ctx).items()):
            if not claims[0].hidden:
                headings.setdefault(claims[0].group, []).append((name, _line(claims)))
        order = [*sorted(set(headings) - {LAST_GROUP}), LAST_GROUP]
        width = max(len(name) for lines in headings.values() for name, _ in lines)
        for heading in order:
            if lines := headings.get(heading):
                with formatter.section(heading):
                    write_rows(formatter, [(name.ljust(width), text) for name, text in lines])

    def format_options(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """List the commands first: people look for those."""
        self.format_commands(ctx, formatter)
        records = [record for p in self.get_params(ctx) if (record := p.get_help_record(ctx))]
        with formatter.section("Options"):
            formatter.write_dl(records)
        format_global_options(self, ctx, formatter)

    def format_epilog(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """Write examples from the plugins, and where to find more help."""
        shown = [claims[0] for claims in self.rows(ctx).values() if claims[0].example and not claims[0].hidden]
        if shown:
            with formatter.section("Examples"):
                for row in sorted(shown, key=lambda row: (row.group, row.name))[:MOST_EXAMPLES]:
                    formatter.write(f"{'':{formatter.current_indent}}{row.example}\n")
        formatter.write_paragraph()
        formatter.write_text(EPILOG)

    def shell_complete(self, ctx: click.Context, incomplete: str) -> list[CompletionItem]:
        """Names and help lines from the index, options from here."""
        if incomplete.startswith("-"):
            return click.Command.shell_complete(self, ctx, incomplete)
        return [
            CompletionItem(name, help=claims[0].help)
            for name, claims in sorted(self.top(ctx).items())
            if name.startswith(incomplete) and not claims[0].hidden
        ]


def write_rows(formatter: click.HelpFormatter, rows: Sequence[tuple[str, str]]) -> None:
    """Write rows like `write_dl`, but faster: with many plugins, wrapping lines that fit would take noticeable time."""
    indent, room = " " * formatter.current_indent, formatter.width - len(rows[0][0]) - 4
    for name, text in rows:
        is_plain = text.isascii() and text.isprintable() and name.isascii() and "  " not in text
        if is_plain and text.strip() == text != "" and len(text) <= room and len(name) <= WIDEST_NAME:
            formatter.write(f"{indent}{name}  {text}\n")
        else:
            formatter.write_dl([(name, text)])


def _where_it_may_be(app: App, name: str, suggested: Sequence[str]) -> str:
    """The hint for an unknown command: its plugin is disabled, missing or not installed, or another one is meant."""
    from algo_core.plugins.recorded import interrupted, missing, missing_standard, told
    from algo_core.unknown_commands import did_you_mean

    if cut := interrupted(app.plugins.allowed):
        return cut
    if why := app.plugins.why_not(name):
        return why
    if gone := missing(app.config):
        return told(gone, app.plugins.allowed)
    hint = did_you_mean(suggested) if suggested else "'algo --help' lists the commands"
    if failed := [record.label for record in app.plugins.allowed if record.error]:
        hint += f" (broken plugins: {', '.join(failed)})"
    if not suggested and (standard := missing_standard()):
        hint += f"; standard plugins that are not installed may have it: `{app.plugins.to_install(*standard)}`"
    return hint


def _why_not_below(app: App, path: str, word: str) -> str | None:
    """The hint for an unknown command of a group: its plugin is disabled, or the installer is not installed.

    Raises:
        ConfigError: if the administrator's file leaves open which plugins take part.
    """
    why = app.plugins.why_left_out(f"{path} {word}")
    if why or path != "plugins":
        return why
    if app.policy_error:
        raise app.policy_error
    return app.plugins.why_no_installer()


def _group_row(name: str, below: list[tuple[str, list[Row]]]) -> Row:
    """The row of a group that no distribution declares, under the heading of its first command."""
    rows = [row for _, claims in below for row in claims]
    dists = sorted({row.record.dist for row in rows if row.record})
    text = nesting.group_help(dists)
    return Row(name, GROUP_ONLY, text, rows[0].group, all(row.hidden for row in rows), "", "", None)


def _only(name: str, claims: list[Row]) -> Row:
    """The only row with a name.

    Raises:
        UsageError: if several plugins claim it.
    """
    if len(claims) > 1:
        names = " and ".join(row.record.label for row in claims if row.record)
        some = claims[0].record.dist if claims[0].record else ""
        quoted = f"'{name}'" if " " in name else name
        raise UsageError(
            f"Several plugins have a command {name!r}: {names}",
            f"Choose one permanently: algo plugins choose {quoted} {some}; or once: algo plugins run {some} {quoted}",
        )
    return claims[0]


def _line(claims: list[Row]) -> str:
    """The help line of a name, with a mark if several plugins claim it or its plugin is broken."""
    row = claims[0]
    if len(claims) > 1:
        return f"(claimed by {len(claims)} plugins) {row.help}"
    if row.record and row.record.error:
        return f"(broken: {row.record.label}) {row.help}"
    return row.help


def _app(ctx: click.Context) -> App:
    app = ctx.find_object(App)
    assert app is not None, "the group is always run with an App"
    return app


def _isolated_commands(environ: Mapping[str, str]) -> dict[str, str]:
    """The commands of isolated plugins and their help lines, read from one small file."""
    try:
        with open(os.path.join(paths.isolated_dir(environ), paths.ISOLATED_COMMANDS), encoding="utf-8") as file:
            return {name: text for name, tab, text in (line.rstrip("\n").partition("\t") for line in file) if tab}
    except (OSError, ValueError):
        return {}


def _executable(app: App, name: str) -> click.Command | None:
    from algo_core.plugins.external import external_command, find_external

    path = find_external(app.environ, name)
    if not path:
        return None
    from algo_core.bridge.launch import run

    return external_command(name, path, app.environ, partial(run, app))


def _print_version(ctx: click.Context, parameter: click.Parameter, value: bool) -> None:
    if value and not ctx.resilient_parsing:
        from algo_core.version import __version__

        _app(ctx).output.print(f"algo {__version__}")
        ctx.exit()


def _leave_out(name: str) -> Any:
    def callback(ctx: click.Context, parameter: click.Parameter, value: Any) -> None:
        if value:
            setattr(_app(ctx), name, value)

    return callback


def build() -> AlgoGroup:
    """The command `algo`."""
    hidden: Mapping[str, Any] = {"expose_value": False, "is_eager": True}
    return AlgoGroup(
        "algo",
        help="Run algorithms on a platform, and move data in and out of it.",
        no_args_is_help=False,
        invoke_without_command=True,
        callback=_without_command,
        context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 110},
        params=[
            click.Option(
                ["--version"],
                is_flag=True,
                callback=_print_version,
                help="Print the version and exit.",
                **hidden,
            ),
            click.Option(
                ["--no-plugins"],
                is_flag=True,
                callback=_leave_out("no_plugins"),
                help="Do not load any plugin.",
                **hidden,
            ),
            click.Option(
                ["--no-plugin"],
                metavar="DIST",
                multiple=True,
                callback=_leave_out("no_plugin"),
                help="Do not load the plugins of DIST (repeatable).",
                **hidden,
            ),
            *global_options(),
        ],
    )


def _without_command() -> None:
    ctx = click.get_current_context()
    if ctx.invoked_subcommand is None:
        _app(ctx).output.print(ctx.get_help())


def run(arguments: list[str], app: App) -> int:
    """Run `algo` with these arguments; returns click's exit code, if any. Exceptions go to `main`. Like
    `click.Command.main`, but without its handling of closed pipes.
    """
    command = build()
    if instruction := app.environ.get("_ALGO_COMPLETE"):
        from algo_core.terminal.completion import answer

        return answer(command, app, instruction, arguments)
    try:
        with command.make_context("algo", list(arguments), obj=app) as ctx:
            command.invoke(ctx)
    except click.exceptions.Exit as leaving:
        return leaving.exit_code
    finally:
        app.output.stdout.flush()
    return ExitCode.OK
