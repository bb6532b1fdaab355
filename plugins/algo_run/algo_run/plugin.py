"""What this plugin adds to `algo`: the command `run`."""

from __future__ import annotations

from algo_core import Command, hookimpl


@hookimpl
def algo_commands() -> list[Command]:
    """The commands of this plugin."""
    return [
        Command(
            "run",
            "algo_run.commands.run:run",
            help="Call an algorithm on one input, or on many.",
            group="Algorithms",
            example='algo run demo/Hello -d "HAL 9000"',
        )
    ]
