"""`algo config`: settings, and where each value came from."""

from __future__ import annotations

from typing import Any

import click

from algo_core.context import App, pass_app
from algo_core.errors import AlgoError, ConfigError
from algo_core.settings.config import SETTINGS, known, parse_text
from algo_core.settings.edit import editing, set_top_level, table_at


@click.group()
def config() -> None:
    """Show and change settings.

    A value comes from the command line, the environment, the profile, your file, the administrator's file or the
    built-in default, in this order.
    """


def _complete_key(ctx: click.Context, parameter: click.Parameter, incomplete: str) -> list[str]:
    return [key for key in SETTINGS if key.startswith(incomplete)]


@config.command("list")
@click.option("--origin", is_flag=True, help="Show where each value came from.")
@pass_app
def list_settings(app: App, origin: bool) -> None:
    """List every setting with its value, and the parts of the profile in use."""
    rows = [*_profile_rows(app), *_setting_rows(app)]
    if app.output.is_json:
        app.output.json([{"key": key, "value": value, "origin": where} for key, value, where in rows])
    elif origin:
        app.output.table(["Setting", "Value", "From"], [[k, _shown(v), w] for k, v, w in rows])
    else:
        app.output.table(["Setting", "Value"], [[k, _shown(v)] for k, v, _ in rows])


def _setting_rows(app: App) -> list[tuple[str, Any, str]]:
    flags = {"profile": app.profile_flag}
    found = app.profiles.table(str(app.config.get("profile", flag=app.profile_flag).value)) or ({}, "")
    rows = []
    for key in SETTINGS:
        value = app.config.get(key, flag=flags.get(key), profile=found[0], origin=found[1])
        rows.append((key, value.value, value.origin))
    return rows


def _profile_rows(app: App) -> list[tuple[str, Any, str]]:
    try:
        profile = app.profiles.resolve(app.profile_flag)
    except AlgoError as error:
        app.output.warn(error.message)
        return []
    credential = profile.credential
    address = app.config.enforced("address")
    ambient = app.environ.get("ALGORITHMIA_API", "").strip() and app.profile_flag is None
    where = address.origin if address else "environment variable ALGORITHMIA_API" if ambient else profile.origin
    rows: list[tuple[str, Any, str]] = [("address", profile.address, where)]
    if credential:
        rows.append((credential.kind, credential.masked, credential.origin))
    if profile.ca_cert:
        rows.append(("ca_cert", profile.ca_cert, profile.ca_cert_origin or ""))
    return rows


def _shown(value: Any) -> str:
    if isinstance(value, bool):
        return "true" if value else "false"
    return (
        ", ".join(map(str, value))
        if isinstance(value, list)
        else f"{value:g}"
        if isinstance(value, float)
        else str(value)
    )


@config.command()
@click.argument("key", shell_complete=_complete_key)
@pass_app
def get(app: App, key: str) -> None:
    """Print the value of KEY."""
    known(key)
    value = next(value for name, value, _ in _setting_rows(app) if name == key)
    if app.output.is_json:
        app.output.json(value)
    else:
        app.output.print(_shown(value))


@config.command("set")
@click.argument("key", shell_complete=_complete_key)
@click.argument("value")
@pass_app
def set_value(app: App, key: str, value: str) -> None:
    """Write VALUE for KEY into your file."""
    setting = known(key)
    parsed = parse_text(key, setting.kind, value, "the command line")
    if enforced := app.config.enforced(key):
        raise ConfigError(f"{key} cannot be changed: {enforced.origin}")
    *tables, member = key.split(".")
    with editing(app.config.user_file) as document:
        if tables:
            table_at(document, *tables)[member] = parsed
        else:
            set_top_level(document, member, parsed)


@config.command()
@click.argument("key", shell_complete=_complete_key)
@pass_app
def unset(app: App, key: str) -> None:
    """Remove KEY from your file, so that the default counts again."""
    known(key)
    *tables, member = key.split(".")
    with editing(app.config.user_file) as document:
        table = document
        for name in tables:
            table = table.get(name, {})
        if member in table:
            del table[member]


@config.command()
@pass_app
def path(app: App) -> None:
    """Print the path of your file; it need not exist."""
    app.output.print(app.config.user_file)
