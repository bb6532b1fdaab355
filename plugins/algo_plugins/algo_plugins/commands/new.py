"""`algo plugins new`: a plugin project to start from."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import click

from algo_core.context import App, pass_app
from algo_core.errors import UsageError
from algo_plugins.scaffold.kinds import Project


@click.command()
@click.argument("name", required=False)
@click.option(
    "--command",
    is_flag=False,
    flag_value="",
    metavar="[COMMAND]",
    help="Add a command (the default kind). Default name: NAME without 'algo-'.",
)
@click.option(
    "--connector",
    is_flag=False,
    flag_value="",
    metavar="[SCHEME]",
    help="Add a connector for SCHEME://. Default scheme: NAME without 'algo-'.",
)
@click.option("--bundle", is_flag=True, help="Add a company's preset: profile, credentials and settings.")
@click.option(
    "--executor",
    is_flag=False,
    flag_value="",
    metavar="[EXECUTOR]",
    help="Add an executor for 'algo local serve'. Default name: as above.",
)
@click.option(
    "--dir",
    "directory",
    metavar="DIR",
    type=click.Path(path_type=Path),
    help="Directory of the project (default: ./NAME).",
)
@pass_app
def new(
    app: App,
    name: str | None,
    command: str | None,
    connector: str | None,
    bundle: bool,
    executor: str | None,
    directory: Path | None,
) -> None:
    """Create a plugin project: code, tests, types, CI.

    NAME is that of its distribution, such as acme-reports. Nothing that exists is overwritten, and its tests pass as
    they are.

    \b
    Examples:
      algo plugins new acme-reports
      algo plugins new acme-archive --connector acme
      algo plugins new acme-bundle --bundle
    """
    from algo_plugins.scaffold import make

    asked = {"command": command, "connector": connector, "bundle": "" if bundle else None, "executor": executor}
    project, is_named = _project(name, asked)
    claimed = sorted(set(_others(app, project)))
    if claimed and not is_named:
        raise _claimed(project, claimed)
    place = directory or Path(project.dist)
    files = make(project, place)
    if app.output.is_json:
        app.output.json({**project.members, "directory": str(place), "files": files})
    else:
        for path in files:
            app.output.print(str(place / path))
        app.output.info(f"Next: cd {place} && pip install --editable '.[test]' && {project.following} && pytest")
    if claimed:
        what = f"{project.kind.names} {project.name!r}"
        then = "; see: algo plugins choose --help" if project.kind.name == "command" else ""
        app.output.warn(f"{' and '.join(claimed)} {'has' if len(claimed) == 1 else 'have'} a {what} as well{then}")


def _claimed(project: Project, owners: list[str]) -> UsageError:
    """What the project would add by default is what other plugins have already."""
    option = f"algo plugins new {project.dist} --{project.kind.name}"
    what = f"a {project.kind.names} {project.name!r}"
    return UsageError(
        f"{' and '.join(owners)} {'has' if len(owners) == 1 else 'have'} {what} already",
        f"Choose another with: {option} NAME; to take its place: {option} {project.name}",
    )


def _project(name: str | None, asked: dict[str, str | None]) -> tuple[Project, bool]:
    """The project of the one kind that is asked for, or of the default, and whether what it adds was named.

    Raises:
        UsageError: if several kinds are asked for, or the names do not do.
    """
    from algo_plugins.scaffold.kinds import project_of

    kinds = [kind for kind, own in asked.items() if own is not None] or ["command"]
    if len(kinds) > 1:
        options = [f"--{kind}" for kind in kinds]
        raise UsageError(
            f"A project has one kind: {', '.join(options[:-1])} cannot be combined with {options[-1]}",
            f"Make it with {options[0]}, and add the hook of the other kind to its plugin.py",
        )
    own = asked[kinds[0]] or ""
    if name is None and own:
        name, own = own, ""  # `new --connector acme-archive`: the only word is the project's name
    if name is None:
        raise UsageError("The name of the project is missing", "For example: algo plugins new acme-reports")
    return project_of(kinds[0], name, own), bool(own)


def _others(app: App, project: Project) -> Iterator[str]:
    """Other plugins that have the project's command, scheme or executor, those in environments of their own as well."""
    from algo_core.plugins import isolated

    member = {"command": "commands", "connector": "connectors", "executor": "executors"}.get(project.kind.name)
    for record in app.plugins.allowed if member else ():
        if record.dist != project.dist and any(row[0] == project.name for row in getattr(record, str(member))):
            yield record.label
    for plugin in isolated.installed(app.environ).values():
        names = {"command": plugin.commands, "connector": plugin.connectors}.get(project.kind.name, ())
        if plugin.name != project.dist and project.name in names:
            yield f"{plugin.name} {plugin.version}"
