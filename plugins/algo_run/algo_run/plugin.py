"""The plugin's hooks: commands that call algorithms, and commands about recorded calls."""

from __future__ import annotations

from algo_core import Command, Service, hookimpl


def _command(name: str, target: str, text: str) -> Command:
    return Command(name, f"algo_run.commands.{target}", help=text, group="Algorithms")


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
        ),
        Command(
            "replay",
            "algo_run.commands.replay:replay",
            help="Call a version on recorded inputs and compare outputs.",
            group="Algorithms",
        ),
        _command("bench", "bench:bench", "Measure an algorithm's latency and throughput."),
        _command("result", "result:result", "Fetch the result of a call that is on record."),
        _command("logs", "logs:logs", "Show what an algorithm printed during calls."),
        _command("requests", "requests:requests", "List, show and cancel calls on record."),
        _command("requests list", "requests:list_requests", "List calls on record, newest first."),
        _command("requests show", "requests:show", "Show a call on record."),
        _command("requests secret", "requests:secret", "Show the secret that verifies notifications."),
        _command("requests cancel", "requests:cancel", "End calls that wait or run."),
    ]


@hookimpl
def algo_services() -> list[Service]:
    """`App.run_algorithm`."""
    return [Service("run_algorithm", "algo_run.service:run_algorithm")]
