"""`algo local prune`, `build`, `environment` and `data`: shows and frees the platform's disk space."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterable
from contextlib import closing
from typing import TYPE_CHECKING

import click

from algo_core import App, pass_app
from algo_core.errors import AlgoError, UsageError
from algo_core.terminal.options import Number, yes_option
from algo_core.terminal.prompts import Prompter
from algo_local.commands.naming import known_algorithm
from algo_local.platform import Platform
from algo_local.state import State

if TYPE_CHECKING:
    from algo_local.pruning import Removed


def _offering(
    names: Callable[[Platform, click.Context], Iterable[str]],
) -> Callable[[click.Context, click.Parameter, str], list[str]]:
    """Completion by names in the platform's state; none if there is no such state, or it cannot be read."""

    def complete(ctx: click.Context, parameter: click.Parameter, incomplete: str) -> list[str]:
        try:
            state = State.of()
            if not state.exists:
                return []
            with closing(Platform(state)) as platform:
                found = list(names(platform, ctx))
        except (AlgoError, OSError):  # completion must not print errors
            return []
        return [name for name in found if name.lower().startswith(incomplete.lower())]

    return complete


def _algorithms(platform: Platform, ctx: click.Context) -> list[str]:
    return [f"{found.owner}/{found.name}" for found in platform.registry.algorithms()]


def _builds(platform: Platform, ctx: click.Context) -> list[str]:
    found = platform.builds.of(known_algorithm(platform, ctx.params["algorithm"]))
    return [build.commit for build in found if not build.version]


def _environments(platform: Platform, ctx: click.Context) -> list[str]:
    from algo_local import removal

    return [found.id for found in removal.environments(platform) if not found.algorithms]


def megabytes(size: int) -> str:
    """A size for people."""
    return f"{size / 1e6:.1f} MB"


@click.command()
@click.option("--dry-run", "-n", is_flag=True, help="Show what would be removed, and remove nothing.")
@click.option(
    "--days",
    type=Number(0, 36500),
    default=1,
    show_default=True,
    help="Age in days from which builds that no version names are removed.",
)
@pass_app
def prune(app: App, dry_run: bool, days: int) -> None:
    """Free disk space: remove what no published version needs.

    \b
    - builds that no version names, except the newest of each algorithm
    - environments that no build uses
    - recorded calls beyond the limits of the record
    - leftovers of killed builds, transfers and algorithms

    What is in use is kept.

    \b
    Example:
      algo local prune --dry-run
    """
    from algo_local.pruning import DAY, Pruning

    with closing(Platform(State.of())) as platform:
        pruning = Pruning(platform, older_than=days * DAY, dry_run=dry_run)
        removed = pruning.run()
    if pruning.is_partial:
        app.output.warn("An algorithm is being built: builds and environments were left alone")
    total = sum(one.size for one in removed)
    if app.output.is_json:
        app.output.json(
            {
                "dry_run": dry_run,
                "bytes": total,
                "partial": pruning.is_partial,
                "removed": [_entry(one) for one in removed],
                "in_use": [_entry(one) for one in pruning.in_use],
            }
        )
        return
    if removed:
        app.output.table(("Kind", "Name", "Size"), [(one.kind, one.name, megabytes(one.size)) for one in removed])
    app.output.info(f"{'Would free' if dry_run else 'Freed'} {megabytes(total)}")
    if pruning.in_use:
        app.output.info(
            f"Kept {megabytes(sum(one.size for one in pruning.in_use))} that algorithms use which are loaded still;"
            " those that are idle are ended by: algo local stop"
        )


def _entry(one: Removed) -> dict[str, str | int]:
    return {"kind": one.kind, "name": one.name, "bytes": one.size}


@click.group()
def build() -> None:
    """Remove builds of algorithms.

    'algo builds list' lists them, 'algo local publish' makes them.

    \b
    Example:
      algo local build remove me/Greeter 2f8a1c
    """


@build.command("remove")
@click.argument("algorithm", metavar="OWNER/NAME", shell_complete=_offering(_algorithms))
@click.argument("build", metavar="BUILD", shell_complete=_offering(_builds))
@pass_app
def remove_build(app: App, algorithm: str, build: str) -> None:
    """Remove a build that no version names.

    BUILD is its id, its commit, or the beginning of one. A build of which a
    version is published stays until that is withdrawn.

    \b
    Example:
      algo local build remove acme/Greet 4f2a90c1
    """
    from algo_local import removal

    with closing(Platform(State.of())) as platform:
        platform.check_writable()
        commit = removal.remove_build(platform, known_algorithm(platform, algorithm), build)
    _tell(app, {"algorithm": algorithm, "commit": commit, "removed": True}, f"Removed the build {commit[:12]}")


@click.group("env")
def environment() -> None:
    """List and remove the virtual environments of algorithms.

    \b
    Example:
      algo local env list
    """


@environment.command("list")
@pass_app
def list_environments(app: App) -> None:
    """List environments, the largest first.

    \b
    Example:
      algo local env list
    """
    from algo_local import removal

    with closing(Platform(State.of())) as platform:
        found = removal.environments(platform)
    if app.output.is_json:
        app.output.json(
            [
                {
                    "id": one.id,
                    "bytes": one.size,
                    "requirements": list(one.requirements),
                    "algorithms": list(one.algorithms),
                }
                for one in found
            ]
        )
    elif found:
        rows = [
            (one.id[:12], megabytes(one.size), ", ".join(one.algorithms) or "-", ", ".join(one.requirements)[:60])
            for one in found
        ]
        app.output.table(("Environment", "Size", "Needed by", "Requirements"), rows)
    else:
        app.output.info("There are no environments: no published algorithm has requirements")


@environment.command("remove")
@click.argument("environment", metavar="ENVIRONMENT", shell_complete=_offering(_environments))
@pass_app
def remove_environment(app: App, environment: str) -> None:
    """Remove an environment that no build needs.

    ENVIRONMENT is its id, or the beginning of it.

    \b
    Example:
      algo local env remove 9b1c04d27f35
    """
    from algo_local import removal

    with closing(Platform(State.of())) as platform:
        platform.check_writable()
        found = removal.remove_environment(platform, environment)
    _tell(
        app,
        {"id": found.id, "bytes": found.size, "removed": True},
        f"Removed the environment {found.id[:12]} ({megabytes(found.size)})",
    )


@click.group()
def data() -> None:
    """List and remove the data that algorithms keep (data://.algo).

    \b
    Examples:
      algo local data list
      algo local data remove me/Greeter
    """


@data.command("list")
@pass_app
def list_data(app: App) -> None:
    """List the algorithms that keep data, with its size.

    \b
    Example:
      algo local data list
    """
    from algo_local import removal

    with closing(Platform(State.of())) as platform:
        found = removal.data_sizes(platform)
    if app.output.is_json:
        app.output.json([{"algorithm": name, "temp": temp, "perm": perm} for name, temp, perm in found])
    elif found:
        rows = [(name, megabytes(temp), megabytes(perm)) for name, temp, perm in found]
        app.output.table(("Algorithm", "Temporary", "Permanent"), rows)
    else:
        app.output.info("No algorithm keeps data")


@data.command("remove")
@click.argument("algorithm", metavar="OWNER/NAME", shell_complete=_offering(_algorithms))
@yes_option
@pass_app
def remove_data(app: App, algorithm: str, yes: bool) -> None:
    """Remove the data that an algorithm keeps, of all its callers.

    \b
    Example:
      algo local data remove acme/Greet --yes
    """
    from algo_local import removal

    with closing(Platform(State.of())) as platform:
        platform.check_writable()
        found = known_algorithm(platform, algorithm)
        name = f"{found.owner}/{found.name}"
        if not yes:
            if not sys.stdin.isatty():
                raise UsageError("This cannot be undone", f"Confirm it with: algo local data remove {name} --yes")
            if not Prompter(app.output).confirm(f"Delete the data that {name} keeps for all its callers?"):
                raise click.Abort
        size = removal.remove_data(platform, found)
    _tell(
        app,
        {"algorithm": name, "bytes": size, "removed": True},
        f"Removed the data of {name} ({megabytes(size)})",
    )


def _tell(app: App, found: object, text: str) -> None:
    if app.output.is_json:
        app.output.json(found)
    else:
        app.output.print(text)
