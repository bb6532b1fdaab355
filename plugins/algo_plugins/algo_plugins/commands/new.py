"""`algo plugins new`: a plugin project to start from."""

from __future__ import annotations

from pathlib import Path

import click

from algo_core.context import App, pass_app
from algo_core.errors import UsageError


@click.command()
@click.argument("name")
@click.option("--command", metavar="COMMAND", help="Name of its command. Default: NAME without 'algo-'.")
@click.option(
    "--dir",
    "directory",
    metavar="DIR",
    type=click.Path(path_type=Path),
    help="Directory of the project (default: ./NAME).",
)
@pass_app
def new(app: App, name: str, command: str | None, directory: Path | None) -> None:
    """Create a plugin project: command, hook, tests, types, CI.

    NAME is that of its distribution, such as acme-reports. Nothing that exists is overwritten, and its tests pass as
    they are.

    \b
    Example:
      algo plugins new acme-reports
      cd acme-reports
      pip install --editable '.[test]'
      algo acme-reports World
      pytest
    """
    from algo_core.cli import BUILT_IN
    from algo_plugins.scaffold import make, named

    project = named(name, command)
    if project.command in BUILT_IN:
        raise UsageError(
            f"The command {project.command!r} is built in",
            f"Choose another with: algo plugins new {name} --command NAME",
        )
    claimed = [r.label for r in app.plugins.allowed for row in r.commands if row[0] == project.command]
    place = directory or Path(project.dist)
    files = make(project, place)
    if app.output.is_json:
        members = {"distribution": project.dist, "package": project.package, "command": project.command}
        app.output.json({**members, "directory": str(place), "files": files})
    else:
        for path in files:
            app.output.print(str(place / path))
        app.output.info(
            f"Next: cd {place} && pip install --editable '.[test]' && algo {project.command} World && pytest"
        )
    if claimed and not any(label.startswith(f"{project.dist} ") for label in claimed):
        app.output.warn(
            f"{' and '.join(claimed)} has a command {project.command!r} as well; see: algo plugins choose --help"
        )
