"""`algo plugins`: the installed plugins, and which of them take part."""

from __future__ import annotations

import functools
from typing import Any

import click

from algo_core.cli import AlgoGroup, Row
from algo_core.context import App, pass_app
from algo_core.errors import NotFoundError, PermissionDenied, PluginError, UsageError
from algo_core.plugins.external import BRIDGE, external_command
from algo_core.plugins.index import PluginRecord, discover
from algo_core.plugins.policy import ASK, Policy, normalized
from algo_core.settings.edit import editing, table_at


@click.group()
def plugins() -> None:
    """Manage plugins: list, show, choose, disable and enable them.

    \b
    Examples:
      algo plugins list
      algo plugins show algo-data
    """


@plugins.command("list")
@pass_app
def list_plugins(app: App) -> None:
    """List the installed plugins and their state.

    For each its version, what it adds, and whether it works.

    \b
    Example:
      algo plugins list
    """
    described = [*map(_describe, app.plugins.records), *_isolated(app)]
    if app.output.is_json:
        app.output.json(described)
    elif described:
        headers = ["Distribution", "Version", "Commands", "Schemes", "Status", "Load time"]
        app.output.table(headers, [_row(plugin) for plugin in described])
    else:
        app.output.info("There are no plugins; the standard ones come with: pip install 'algo-core[standard]'")


@plugins.command()
@click.argument("dist")
@pass_app
def show(app: App, dist: str) -> None:
    """Describe the plugins of DIST.

    \b
    Example:
      algo plugins show algo-data
    """
    apart = [plugin for plugin in _isolated(app) if plugin["distribution"] == normalized(dist)]
    records = [] if apart else _records_of(app, dist)
    described = [*apart, *map(_describe, records)]
    if app.output.is_json:
        app.output.json(described)
        return
    for plugin in described:
        for key, value in plugin.items():
            if value not in (None, [], ""):
                app.output.print(f"{key}: {', '.join(map(str, value)) if isinstance(value, list) else value}")
    for record in records:
        if record.traceback:
            app.output.print(record.traceback.rstrip())


@plugins.command()
@click.argument("dist")
@pass_app
def disable(app: App, dist: str) -> None:
    """Disable the plugins of DIST.

    They are not loaded until they are enabled again.

    \b
    Example:
      algo plugins disable acme-reports
    """
    name = normalized(dist)
    if not any(record.dist == name for record in discover()):  # and none is loaded for it: one may be what is wrong
        raise _not_installed(dist)
    with editing(app.config.user_file) as document:
        table = table_at(document, "plugins")
        listed = table.get("disabled", [])
        if name not in map(normalized, listed):
            table["disabled"] = [*listed, name]
    app.output.print(f"Disabled {name}")


@plugins.command()
@click.argument("dist")
@pass_app
def enable(app: App, dist: str) -> None:
    """Enable the plugins of DIST again.

    \b
    Example:
      algo plugins enable acme-reports
    """
    name = normalized(dist)
    with editing(app.config.user_file) as document:
        table = document.get("plugins", {})
        listed = table.get("disabled", [])
        if name not in map(normalized, listed):
            raise NotFoundError(f"{name} is not disabled in {app.config.user_file}", "See: algo plugins list")
        table["disabled"] = [other for other in listed if normalized(other) != name]
    app.output.print(f"Enabled {name}")


@plugins.command()
@click.argument("command")
@click.argument("dist")
@pass_app
def choose(app: App, command: str, dist: str) -> None:
    """Choose the plugin that provides COMMAND.

    \b
    Example:
      algo plugins choose sync acme-sync
    """
    name = normalized(dist)
    if not any(row[0] == command for record in _records_of(app, dist) for row in record.commands):
        raise NotFoundError(f"{name} has no command {command!r}", f"See: algo plugins show {name}")
    with editing(app.config.user_file) as document:
        table_at(document, "plugins", "commands")[command] = name
    app.output.print(f"{command!r} now comes from {name}")


_PASS_ON = {"ignore_unknown_options": True, "allow_interspersed_args": False}


@plugins.command(context_settings=_PASS_ON)
@click.argument("dist")
@click.argument("command")
@click.argument("words", nargs=-1, type=click.UNPROCESSED)
@click.pass_context
def run(ctx: click.Context, dist: str, command: str, words: tuple[str, ...]) -> None:
    """Run COMMAND of DIST, whichever plugin provides it otherwise.

    \b
    Example:
      algo plugins run algo-data sync ./site .my/site
    """
    root = ctx.find_root()
    app = root.ensure_object(App)
    group = root.command
    assert isinstance(group, AlgoGroup)
    from algo_core.bridge import launch

    if executable := _isolated_executable(app, dist, command):
        start = functools.partial(launch.run, app)
        _invoke(root, external_command(command, executable, app.environ, start), command, words)
        return
    if BRIDGE in app.environ:
        launch.take(app)
        launch.check_environment(app, normalized(dist))
    for record in _records_of(app, dist):
        if why := Policy.read(app.config).site_refusal(record.dist, record.version):
            raise PermissionDenied(f"The plugin {record.label} is {why}", ASK)
        for row in record.commands:
            if row[0] == command:
                if record.refusal:
                    raise PluginError(f"The plugin {record.label} is left out: {record.refusal}")
                _invoke(root, group.load(ctx, Row(*row, record)), command, words)
                return
    raise NotFoundError(f"{normalized(dist)} has no command {command!r}", f"See: algo plugins show {dist}")


@plugins.command(context_settings=_PASS_ON)
@click.argument("words", nargs=-1, required=True, type=click.UNPROCESSED, metavar="COMMAND [WORDS]...")
@click.pass_context
def trace(ctx: click.Context, words: tuple[str, ...]) -> None:
    """Run a command and trace its hook calls.

    Each call is printed on standard error with its duration and result.

    \b
    Example:
      algo plugins trace ls .my/pictures
    """
    root = ctx.find_root()
    app = root.ensure_object(App)
    group = root.command
    assert isinstance(group, AlgoGroup)

    def show(label: str, hook: str, seconds: float, result: Any) -> None:
        app.output.log(f"{label} {hook} {seconds * 1000:.1f} ms -> {result!r:.100}")

    app.plugins.trace = show
    name, command, rest = group.resolve_command(root, list(words))
    if command is None:
        raise UsageError(f"There is no command {words[0]!r}")
    _invoke(root, command, name or words[0], tuple(rest))


def _invoke(root: click.Context, command: click.Command, name: str, words: tuple[str, ...]) -> None:
    with command.make_context(name, list(words), parent=root) as ctx:
        command.invoke(ctx)


def _records_of(app: App, dist: str) -> list[PluginRecord]:
    records = [record for record in app.plugins.records if record.dist == normalized(dist)]
    if not records:
        raise _not_installed(dist)
    return records


def _not_installed(dist: str) -> NotFoundError:
    return NotFoundError(f"No plugin of a distribution {dist!r} is installed", "See: algo plugins list")


def _describe(record: PluginRecord) -> dict[str, Any]:
    status = record.refusal or (f"broken: {record.error}" if record.error else "ok")
    return {
        "distribution": record.dist,
        "version": record.version,
        "module": record.module,
        "commands": [name for name, *_ in record.commands],
        "connectors": [scheme for scheme, *_ in record.connectors],
        "executors": [name for name, *_ in record.executors],
        "hooks": record.hooks,
        "status": status,
        "remarks": record.remarks,
        "load_seconds": round(record.seconds, 4),
    }


def _isolated(app: App) -> list[dict[str, Any]]:
    """Plugins in environments of their own, described like the others; nothing of them is loaded."""
    from algo_core.plugins import isolated
    from algo_core.plugins.advice import to_restore

    policy = Policy.read(app.config) if app.policy_error is None else Policy()

    def status(plugin: isolated.Isolated) -> str:
        if refusal := policy.site_refusal(plugin.name, plugin.version):
            return refusal
        why = isolated.trouble(app.environ, plugin.name)
        return f"broken: {why}; {to_restore(app.plugins.allowed)}" if why else "isolated"

    return [
        {
            "distribution": plugin.name,
            "version": plugin.version,
            "module": None,
            "commands": list(plugin.commands),
            "connectors": plugin.connectors,
            "executors": [],
            "hooks": [],
            "status": status(plugin),
            "remarks": [f"runs in {isolated.place_of(app.environ, plugin.name)}"],
            "load_seconds": None,
        }
        for plugin in isolated.installed(app.environ).values()
    ]


def _isolated_executable(app: App, dist: str, command: str) -> str | None:
    from algo_core.plugins import isolated

    found = isolated.installed(app.environ).get(normalized(dist))
    if found is None or command not in found.commands or isolated.is_within(app.environ, found.name):
        return None
    return str(isolated.executable_of(app.environ, command))


def _row(plugin: dict[str, Any]) -> list[str]:
    commands = plugin["commands"]
    outer = [name for name in commands if not any(name.startswith(f"{group} ") for group in commands)]
    return [
        plugin["distribution"],
        plugin["version"],
        ", ".join(outer),
        ", ".join(plugin["connectors"]),
        plugin["status"],
        "" if plugin["load_seconds"] is None else f"{plugin['load_seconds'] * 1000:.0f} ms",
    ]
