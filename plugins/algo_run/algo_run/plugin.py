"""What this plugin adds to `algo`."""

from __future__ import annotations

from algo_core import Command, hookimpl


@hookimpl
def algo_commands() -> list[Command]:
    """The commands of this plugin."""
    return []
