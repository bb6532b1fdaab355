"""What this plugin adds to `algo`: the commands below `algo plugins` that install plugins and make new ones."""

from __future__ import annotations

from algo_core import Command, hookimpl


def _command(name: str, text: str, role: str = "") -> Command:
    module = "new" if name == "new" else "install"
    target = f"algo_plugins.commands.{module}:{name}"
    return Command(f"plugins {name}", target, text, group="Setup", role=role)


@hookimpl
def algo_commands() -> list[Command]:
    """The commands of this plugin."""
    return [
        _command("install", "Install plugins.", "install"),
        _command("uninstall", "Remove plugins; their dependencies stay.", "uninstall"),
        _command("upgrade", "Upgrade plugins within their recorded requirements."),
        _command("rollback", "Bring back the version before the last upgrade."),
        _command("outdated", "List plugins that have newer versions."),
        _command("restore", "Reinstall plugins that are recorded but missing.", "restore"),
        _command("new", "Create a plugin project: code, tests, types, CI."),
    ]
