"""`algo profile`: the profiles that are configured."""

from __future__ import annotations

from difflib import get_close_matches
from typing import Any

import click

from algo_core.context import App, pass_app
from algo_core.errors import AlreadyExists, ConfigError, NotFoundError
from algo_core.settings.config import SECRET_MEMBERS, Config
from algo_core.settings.credentials import forget_in_keyring
from algo_core.settings.edit import editing, set_top_level, table_at
from algo_core.settings.legacy import legacy_profiles
from algo_core.settings.profile import Profile

DEFAULT = "default"
"""The profile in use unless another is chosen: a plugin gives it where none of that name is configured."""


@click.group()
def profile() -> None:
    """List, show, import and remove profiles; `algo auth --profile NAME` makes one.

    \b
    Examples:
      algo profile show
      algo profile use work
    """


def _complete_name(ctx: click.Context, parameter: click.Parameter, incomplete: str) -> list[str]:
    return [name for name in App.for_completion(ctx).profiles.names() if name.startswith(incomplete)]


@profile.command("list")
@pass_app
def list_profiles(app: App) -> None:
    """List the profiles, the one in use marked with *.

    \b
    Example:
      algo profile list
    """
    chosen = str(app.config.get("profile", flag=app.profile_flag).value)
    rows = []
    for name in app.profiles.names():
        found = app.profiles.table(name)
        table, origin = found if found else ({}, "")
        rows.append({"name": name, "in_use": name == chosen, "address": table.get("address"), "origin": origin})
    if DEFAULT not in app.profiles.names() and (preset := app.profiles.stand_in(DEFAULT)):
        in_use = chosen == DEFAULT
        rows.append({"name": DEFAULT, "in_use": in_use, "address": preset.address, "origin": preset.origin or ""})
    if app.output.is_json:
        app.output.json(rows)
        return
    if rows:
        app.output.table(
            ["", "Name", "Address", "From"],
            [["*" if r["in_use"] else "", r["name"], r["address"] or "(default)", r["origin"]] for r in rows],
        )
    if not app.profiles.names():
        app.output.info("There are no profiles yet; 'algo auth' makes one")


@profile.command()
@click.argument("name", required=False, shell_complete=_complete_name)
@pass_app
def show(app: App, name: str | None) -> None:
    """Show the profile in use, or the profile NAME.

    Its address, key (masked) and CA, and where each comes from.

    \b
    Example:
      algo profile show work
    """
    found = app.profiles.resolve(name or app.profile_flag)
    described = _describe(found)
    if app.output.is_json:
        app.output.json(described)
    else:
        app.output.table(["Field", "Value"], [[k, v] for k, v in described.items() if v is not None])


def _describe(found: Profile) -> dict[str, Any]:
    credential = found.credential
    return {
        "name": found.name,
        "address": found.address,
        "address_origin": found.address_origin or None,
        "credential": f"{credential.kind} {credential.masked}" if credential else None,
        "credential_origin": credential.origin if credential else None,
        "ca_cert": found.ca_cert,
        "origin": found.origin or None,
    }


@profile.command()
@click.argument("name", shell_complete=_complete_name)
@pass_app
def use(app: App, name: str) -> None:
    """Make NAME the default profile.

    \b
    Example:
      algo profile use work
    """
    if name not in app.profiles.names() and not app.profiles.stand_in(name):
        close = get_close_matches(name, [*app.profiles.names(), DEFAULT], n=1)
        hint = f"Did you mean: algo profile use {close[0]}? " if close else ""
        raise ConfigError(f"There is no profile {name!r}", f"{hint}Configure it with: algo auth --profile {name}")
    if enforced := app.config.enforced("profile"):
        raise ConfigError(f"The profile cannot be chosen: {enforced.origin}")
    with editing(app.config.user_file) as document:
        set_top_level(document, "profile", name)
    app.output.info(f"Profile {name} is now in use")


@profile.command("import")
@click.argument("names", nargs=-1)
@click.option("-f", "--force", is_flag=True, help="Replace profiles of the same names.")
@pass_app
def import_profiles(app: App, names: tuple[str, ...], force: bool) -> None:
    """Import profiles from the older command line.

    Copies NAMES, or all profiles, from ~/.algorithmia/config, which is not changed.

    \b
    Example:
      algo profile import
    """
    legacy, file = legacy_profiles(app.environ)
    if not legacy:
        raise NotFoundError(f"There is no profile to import in {file or 'the home directory'}")
    if unknown := [name for name in names if name not in legacy]:
        raise NotFoundError(f"{file} has no profile {unknown[0]!r}", f"It has: {', '.join(sorted(legacy))}")
    chosen = names or tuple(sorted(legacy))
    mine = app.config.user.get("profiles", {})
    if not force and (taken := [name for name in chosen if name in mine]):
        raise AlreadyExists(f"Profile {taken[0]!r} exists already", "Replace it with --force")
    with editing(app.config.user_file) as document:
        for name in chosen:
            table = table_at(document, "profiles", name)
            for member in SECRET_MEMBERS & set(table):
                del table[member]
            table.update(legacy[name])
    for name in chosen:
        app.output.print(f"Imported {name}")


@profile.command()
@click.argument("name", shell_complete=_complete_name)
@pass_app
def remove(app: App, name: str) -> None:
    """Remove the profile NAME and its key.

    If it is the one in use, the default profile is used from then on.

    \b
    Example:
      algo profile remove work
    """
    mine = app.config.user.get("profiles", {})
    if name not in mine:
        raise _not_mine(app, name)
    if isinstance(mine[name], dict) and mine[name].get("keyring"):
        forget_in_keyring(name)
    was_chosen = app.config.user.get("profile") == name
    with editing(app.config.user_file) as document:
        del document["profiles"][name]
        if was_chosen:
            del document["profile"]
    app.output.print(f"Removed {name}")
    chosen = Config.load(app.environ).get("profile")
    if was_chosen:
        app.output.info(f"Profile {chosen.value} is now in use")
    elif chosen.value == name and chosen.origin != "default":
        remedy = f": `unset {chosen.variable}`" if chosen.is_ambient else ""
        app.output.warn(f"{chosen.origin} still names the profile {name}{remedy}")


def _not_mine(app: App, name: str) -> NotFoundError:
    """The error for a profile that cannot be removed: it is somebody else's, or there is none."""
    if found := app.profiles.table(name):
        return NotFoundError(
            f"The profile {name!r} is not in {app.config.user_file}, but in {found[1]}, which is left as it is",
            f"A profile of your own takes precedence: `algo auth --profile {name}`",
        )
    close = get_close_matches(name, app.config.user.get("profiles", {}), n=1)
    hint = f"Did you mean: `algo profile remove {close[0]}`?" if close else "See: `algo profile list`"
    return NotFoundError(f"{app.config.user_file} has no profile {name!r}", hint)
