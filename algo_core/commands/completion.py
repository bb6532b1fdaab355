"""`algo completion`: the script that makes a shell complete `algo`."""

from __future__ import annotations

import click

from algo_core.context import App, pass_app
from algo_core.terminal.completion import SHELLS, script


@click.command()
@click.argument("shell", type=click.Choice(list(SHELLS)))
@pass_app
def completion(app: App, shell: str) -> None:
    """Print the completion script of SHELL.

    \b
    bash:       algo completion bash >
                  ~/.local/share/bash-completion/completions/algo
                (needs the package bash-completion; without it, in ~/.bashrc:
                source <(algo completion bash))
    zsh:        algo completion zsh > _algo, in a directory of $fpath
    fish:       algo completion fish > ~/.config/fish/completions/algo.fish
    powershell: in $PROFILE:
                algo completion powershell | Out-String | Invoke-Expression

    Names are quoted for the shell. A script that version 1.0 printed still works, but omits
    names that it cannot quote: print it again.
    """
    app.output.print(script(shell).removesuffix("\n"))
