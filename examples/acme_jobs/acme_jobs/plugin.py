"""What this plugin adds to `algo`."""

from __future__ import annotations

from algo_core import Command, PluginSetting, hookimpl

ALGO_API = ">=1.1,<2"


@hookimpl
def algo_commands() -> list[Command]:
    """Commands below `algo acme`, which another distribution has as well."""
    return [
        Command("acme jobs submit", "acme_jobs.commands:submit", help="Put files into a queue.", group="Acme"),
        Command("acme jobs list", "acme_jobs.commands:list_jobs", help="List the files in a queue.", group="Acme"),
    ]


@hookimpl
def algo_settings() -> list[PluginSetting]:
    """The queue."""
    return [PluginSetting("acme.queue", "queue of night jobs", default="short", words="short long")]
