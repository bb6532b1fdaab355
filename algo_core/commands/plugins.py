"""`algo plugins`: the installed plugins, and which of them take part."""

from __future__ import annotations

from typing import Any

import click

from algo_core.configfile import editing, table_at
from algo_core.context import App, pass_app
from algo_core.errors import NotFoundError
from algo_core.index import PluginRecord
from algo_core.policy import normalized


@click.group()
def plugins() -> None:
    """See and choose the installed plugins."""


@plugins.command("list")
@pass_app
def list_plugins(app: App) -> None:
    """List the installed plugins: version, what they add, and whether they work."""
    described = [_describe(record) for record in app.plugins.records]
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
    """Show all that is known of the plugins of DIST."""
    records = _records_of(app, dist)
    if app.output.is_json:
        app.output.json([_describe(record) for record in records])
        return
    for record in records:
        for key, value in _describe(record).items():
            if value not in (None, [], ""):
                app.output.print(f"{key}: {', '.join(map(str, value)) if isinstance(value, list) else value}")
        if record.traceback:
            app.output.print(record.traceback.rstrip())


@plugins.command()
@click.argument("dist")
@pass_app
def disable(app: App, dist: str) -> None:
    """Leave out the plugins of DIST from now on; nothing of them is loaded any more."""
    _records_of(app, dist)
    name = normalized(dist)
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
    """Let the plugins of DIST take part again."""
    name = normalized(dist)
    with editing(app.config.user_file) as document:
        table = document.get("plugins", {})
        listed = table.get("disabled", [])
        if name not in map(normalized, listed):
            raise NotFoundError(f"{name} is not disabled in {app.config.user_file}", "See: algo plugins list")
        table["disabled"] = [other for other in listed if normalized(other) != name]
    app.output.print(f"Enabled {name}")


def _records_of(app: App, dist: str) -> list[PluginRecord]:
    records = [record for record in app.plugins.records if record.dist == normalized(dist)]
    if not records:
        raise NotFoundError(f"No plugin of a distribution {dist!r} is installed", "See: algo plugins list")
    return records


def _describe(record: PluginRecord) -> dict[str, Any]:
    status = record.refusal or (f"broken: {record.error}" if record.error else "ok")
    return {
        "distribution": record.dist,
        "version": record.version,
        "module": record.module,
        "commands": [name for name, *_ in record.commands],
        "connectors": [scheme for scheme, *_ in record.connectors],
        "hooks": record.hooks,
        "status": status,
        "remarks": record.remarks,
        "load_seconds": round(record.seconds, 4),
    }


def _row(plugin: dict[str, Any]) -> list[str]:
    return [
        plugin["distribution"],
        plugin["version"],
        ", ".join(plugin["commands"]),
        ", ".join(plugin["connectors"]),
        plugin["status"],
        f"{plugin['load_seconds'] * 1000:.0f} ms",
    ]
