"""The command groups; `plugin.py` declares the commands below them, which are imported when they run."""

from __future__ import annotations

import click


@click.group()
def algorithms() -> None:
    """Create, build and publish algorithms.

    \b
    Example:
      algo algorithms create me/Greeter --label Greeter
      algo algorithms compile me/Greeter --source ./greeter
      algo algorithms publish me/Greeter --public
    """


@click.group()
def builds() -> None:
    """List builds and print their logs.

    A build is made of one commit of an algorithm's sources, and can be called
    by the commit's hash before it is published.

    \b
    Example:
      algo builds logs me/Greeter --follow
    """


@click.group()
def secrets() -> None:
    """Manage the secrets of an algorithm.

    An algorithm finds a secret's value in an environment variable. Values are
    never printed, and never given as arguments.

    \b
    Example:
      algo secrets set me/Greeter DB_PASSWORD
    """


@click.group()
def keys() -> None:
    """Manage API keys.

    \b
    Example:
      algo keys create ci --algorithm me/Greeter --data none
    """


@click.group()
def orgs() -> None:
    """Manage organizations.

    \b
    Example:
      algo orgs add acme jane --role owner
    """


@click.group()
def schedules() -> None:
    """Call algorithms on a schedule.

    \b
    Example:
      algo schedules create demo/Hello "0 6 * * 1-5" -d "HAL 9000"
    """
