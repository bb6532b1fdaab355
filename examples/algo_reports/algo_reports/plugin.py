"""What this plugin adds to `algo`."""

from __future__ import annotations

from algo_core import AlgoError, Command, hookimpl

ALGO_API = ">=1.1,<2"


@hookimpl
def algo_commands() -> list[Command]:
    """`algo reports`."""
    return [Command("reports", "algo_reports.commands:reports", help="Report what takes up the space.", group="Data")]


@hookimpl
def algo_error_hints(error: AlgoError) -> str | None:
    """Where to look when the platform refuses more data."""
    if "quota" in error.message.lower():
        return "See what takes up the space with: algo reports largest"
    return None
