"""`algo completion`: the script that makes a shell complete `algo`."""

from __future__ import annotations

import click
from click.shell_completion import get_completion_class

from algo_core.cli import COMPLETE_VARIABLE
from algo_core.context import App, pass_app
from algo_core.errors import UsageError

SHELLS = ("bash", "zsh", "fish")


@click.command()
@click.argument("shell", type=click.Choice(SHELLS))
@pass_app
def completion(app: App, shell: str) -> None:
    """Print the completion script of SHELL.

    \b
    bash: algo completion bash > ~/.local/share/bash-completion/completions/algo
    zsh:  algo completion zsh > a directory of $fpath, as _algo
    fish: algo completion fish > ~/.config/fish/completions/algo.fish
    """
    kind = get_completion_class(shell)
    if kind is None:
        raise UsageError(f"No completion for {shell}")
    root = click.get_current_context().find_root().command
    app.output.print(kind(root, {}, "algo", COMPLETE_VARIABLE).source())
