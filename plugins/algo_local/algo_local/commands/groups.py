"""The group `algo local`; `plugin.py` declares the commands below it, which are imported when they run."""

from __future__ import annotations

import click


@click.group()
def local() -> None:
    """Publish to, serve and maintain the platform on this machine.

    Its state lies in one directory: 'algo local status' says where, ALGO_LOCAL_ROOT moves it.

    \b
    Examples:
      algo local publish ./my_algorithm
      algo local serve --port 8080
      algo local key new jane
    """
