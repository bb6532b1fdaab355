"""`algo languages`, `algo environment LANG` and `algo template LANG DEST` (API section 5.4)."""

from __future__ import annotations

import os
from pathlib import Path

import click

from algo_core.context import App, pass_app
from algo_core.errors import UsageError
from algo_env import catalog

NAME_WIDTH = 25
"""The width of the first column of `languages`, which scripts may rely on."""


@click.command()
@pass_app
def languages(app: App) -> None:
    """List the languages of algorithms; 'algo environment NAME' lists their environments.

    \b
    Example:
      algo languages
    """
    found = catalog.languages(app.api)
    if app.output.is_json:
        app.output.json(found)
        return
    for name, display_name in [("Name", "Display Name"), *((e["name"], e.get("display_name") or "") for e in found)]:
        app.output.line(f"{name:{NAME_WIDTH}} {display_name}".rstrip())


def _complete_language(ctx: click.Context, parameter: click.Parameter, incomplete: str) -> list[str]:
    app = App.for_completion(ctx)
    try:
        names = [str(entry["name"]) for entry in catalog.languages(app.api)]
    except Exception:  # whatever is wrong, TAB is not the place to say so
        return []
    finally:
        app.close()
    return [name for name in names if name.startswith(incomplete)]


@click.command()
@click.argument("language", metavar="LANG", shell_complete=_complete_language)
@pass_app
def environment(app: App, language: str) -> None:
    """List the environments of the language LANG.

    On a terminal as a table, otherwise as JSON. 'algo template' takes an environment_specification_id; an environment's
    own id is for an algorithm's settings.

    \b
    Examples:
      algo environment python3
      algo environment python3 | grep -iC4 -e "tensorflow 2"
    """
    found = catalog.environments(app.api, language)
    if app.output.is_json or not app.output.is_terminal:
        app.output.json(found, indent=4)
        return
    if not found:
        app.output.info(f"There are no environments for {language}")
        return
    headers = ["Environment", "Machine", "Specification id (for 'algo template')", "Environment id"]
    members = ["display_name", "machine_type", "environment_specification_id", "id"]
    app.output.table(headers, [[entry.get(member) or "" for member in members] for entry in found])


@click.command()
@click.argument("wanted", metavar="LANG|ENV_SPEC_ID", shell_complete=_complete_language)
@click.argument("destination", metavar="DEST", type=click.Path())
@click.option("-f", "--force", is_flag=True, help="Replace existing files in DEST.")
@pass_app
def template(app: App, wanted: str, destination: str, force: bool) -> None:
    """Download the template of a language or environment and unpack it into the directory DEST.

    A language stands for its newest environment without a framework; 'algo environment LANG' lists them all. DEST may
    exist already, or be '.'. Either all files arrive or none does.

    \b
    Examples:
      algo template python3 ./my_algorithm
      algo template 36fd467e-fbfe-4ea6-aa66-df3f403b7132 ./my_algorithm
    """
    if not destination:
        raise UsageError("The destination is empty", "Name a directory; '.' is the current one")
    if not catalog.is_component(wanted):
        raise UsageError(
            f"Not an environment specification: {wanted!r}",
            "It is the environment_specification_id that is listed by: algo environment LANG",
        )
    from algo_env.archive import unpack
    from algo_env.placement import check_destination, place, staging_for

    target = Path(os.path.realpath(destination))
    check_destination(target)
    specification_id, name = catalog.template_of(app.api, wanted)
    with catalog.template_archive(app.api, specification_id) as archive, staging_for(target) as staging:
        contents = unpack(archive, staging.new)
        place(staging, contents, target, force=force)
    if app.output.is_json:
        environment = {"environment": name, "environment_specification_id": specification_id} if name else {}
        app.output.json({"destination": str(target), "files": contents.files, **environment})
    else:
        count = len(contents.files)
        files = f"{count} {'file' if count == 1 else 'files'}{f' of {name}' if name else ''}"
        app.output.info(f"Unpacked {files} into {destination}")
