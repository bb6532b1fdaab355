"""The plugin's hooks: the commands `languages`, `environment` and `template`."""

from __future__ import annotations

from algo_core import Command, hookimpl


@hookimpl
def algo_commands() -> list[Command]:
    """The commands of this plugin."""

    def command(name: str, text: str) -> Command:
        return Command(name, f"algo_env.commands.environments:{name}", help=text, group="Environments")

    return [
        command("languages", "List the languages that algorithms can be written in."),
        command("environment", "List the environments of a language."),
        command("template", "Download the template of an environment."),
    ]
