"""`algo config`: settings, and where each value came from."""

from __future__ import annotations

import contextlib
import os
import shlex
from collections.abc import Iterator, Mapping
from typing import Any

import click

from algo_core.context import App, pass_app
from algo_core.errors import AlgoError, ConfigError, NotFoundError, UsageError
from algo_core.names import dotted
from algo_core.settings.config import (
    PROFILE_MEMBERS,
    SECRET_MEMBERS,
    SETTINGS,
    Config,
    Kind,
    Value,
    parse_text,
    toml_loads,
)
from algo_core.settings.edit import editing, set_top_level, table_at
from algo_core.settings.paths import user_config_file
from algo_core.settings.profile import check_address
from algo_core.settings.repair import check
from algo_core.settings.values import without_password


@click.group()
def config() -> None:
    """Show and change settings.

    A value comes from the command line, the environment, the profile, your file, the administrator's file or the
    built-in default, in this order. 'algo help variables' lists the variables of the environment.

    \b
    Examples:
      algo config list
      algo config set timeout 120
    """


def _complete_key(ctx: click.Context, parameter: click.Parameter, incomplete: str) -> list[str]:
    with contextlib.closing(App.for_completion(ctx)) as app:
        return [key for key in app.config.settings if key.startswith(incomplete)]


def _complete_settable(ctx: click.Context, parameter: click.Parameter, incomplete: str) -> list[str]:
    """Settings, and members of the profiles and connectors in a person's file, those of plugins included."""
    with contextlib.closing(App.for_completion(ctx)) as app:
        settings, user = app.config.settings, app.config.user
    own = [name for name in settings if name not in SETTINGS]
    members = {"profiles": [*_plain(PROFILE_MEMBERS), *own], "connectors": list(_CONNECTOR)}
    below = [
        f"{dotted((table, name))}.{member}"
        for table, found in members.items()
        if incomplete.startswith(f"{table}.")
        for name in (user.get(table) or {})
        for member in found
    ]
    return [key for key in (*settings, *below) if key.startswith(incomplete)]


class _WithSettings(click.Command):
    """A command whose help lists the settings, those that plugins declare included."""

    def format_options(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        super().format_options(ctx, formatter)
        app = ctx.find_object(App) or App()
        with contextlib.suppress(AlgoError):  # a file that cannot be read is told by the command itself
            rows = [(name, setting.help) for name, setting in app.config.settings.items()]
            with formatter.section("Settings"):
                formatter.write_dl(rows)


@config.command("list")
@click.option("--origin", is_flag=True, help="Show where each value came from.")
@pass_app
def list_settings(app: App, origin: bool) -> None:
    """List all settings and their values.

    The members of the profile in use are listed as well.

    \b
    Example:
      algo config list
    """
    rows = [*_profile_rows(app), *_setting_rows(app)]
    if app.output.is_json:
        app.output.json([{"key": key, "value": value, "origin": where} for key, value, where in rows])
    elif origin:
        app.output.table(["Setting", "Value", "From"], [[k, _shown(v), w] for k, v, w in rows])
    else:
        app.output.table(["Setting", "Value"], [[k, _shown(v)] for k, v, _ in rows])


def _setting_rows(app: App) -> list[tuple[str, Any, str]]:
    rows = []
    for key in app.config.settings:
        try:
            value = _value(app, key)
        except ConfigError as error:  # the others can be shown all the same
            app.output.warn(error.message)
            continue
        rows.append((key, without_password(value.value) if key == "proxy" else value.value, value.origin))
    return rows


def _value(app: App, key: str) -> Value:
    if key == "profile":
        return app.config.get(key, flag=app.profile_flag)
    return app.setting(key)


def _profile_rows(app: App) -> list[tuple[str, Any, str]]:
    try:
        profile = app.profiles.resolve(app.profile_flag)
    except AlgoError as error:
        app.output.warn(error.message)
        return []
    credential = profile.credential
    rows: list[tuple[str, Any, str]] = [("address", profile.address, profile.address_origin)]
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


@config.command(cls=_WithSettings)
@click.argument("key", shell_complete=_complete_key)
@pass_app
def get(app: App, key: str) -> None:
    """Print the value of KEY.

    \b
    Example:
      algo config get timeout
    """
    app.config.known(key)
    value = _value(app, key).value
    if app.output.is_json:
        app.output.json(value)
    else:
        app.output.print(_shown(value))


def _complete_value(ctx: click.Context, parameter: click.Parameter, incomplete: str) -> list[str]:
    with contextlib.closing(App.for_completion(ctx)) as app:
        try:
            key = ctx.params.get("key", "")
            kind = _kind_of(app, key, _path(key))
        except AlgoError:
            return []
    words = ("true", "false") if kind is bool else kind if isinstance(kind, tuple) else ()
    return [word for word in words if word.startswith(incomplete)]


@config.command("set", cls=_WithSettings)
@click.argument("key", shell_complete=_complete_settable)
@click.argument("value", shell_complete=_complete_value)
@pass_app
def set_value(app: App, key: str, value: str) -> None:
    """Write VALUE for KEY into your file.

    KEY is a setting, one of a plugin included (acme.queue), a member of a profile (profiles.work.address,
    profiles.work.acme.queue), or whether and how a connector is reached from this machine (connectors.s3.direct,
    connectors.s3.protocol). Keys and tokens are set with 'algo auth'.

    \b
    Examples:
      algo config set timeout 60
      algo config set profiles.work.address https://api.example.com
    """
    path = _path(key)
    parsed = parse_text(key, _kind_of(app, key, path), value, "the command line")
    if path[0] == "profiles" and path[-1] == "address":
        parsed = check_address(parsed, insecure_http=bool(app.setting("insecure_http", path[1]).value))
    if enforced := app.config.enforced(key if len(path) < 3 else ".".join(path[2:])):
        raise ConfigError(f"{key} cannot be changed: {enforced.origin}")
    *tables, member = path
    with editing(app.config.user_file) as document:
        if tables:
            table_at(document, *tables)[member] = parsed
        else:
            set_top_level(document, member, parsed)


_CONNECTOR: dict[str, Kind] = {"direct": bool, "protocol": str}


def _kind_of(app: App, key: str, path: list[str]) -> Kind:
    """The kind of what can be set.

    Raises:
        UsageError: if it cannot.
    """
    tables: Mapping[str, Mapping[str, Kind]] = {"profiles": PROFILE_MEMBERS, "connectors": _CONNECTOR}
    members = tables.get(path[0])
    if path[0] == "profiles" and len(path) == 4:
        name = ".".join(path[2:])
        if name in SETTINGS:
            raise UsageError(f"{name} is not a setting of profiles", f"Set it for all: algo config set {name} VALUE")
        return app.config.known(name).kind
    if members is None or len(path) != 3:
        return app.config.known(key).kind
    if path[-1] in SECRET_MEMBERS:
        raise UsageError(f"{key} is a secret", f"Give it with: `algo auth --profile {shlex.quote(path[1])}`")
    if path[-1] not in members or members[path[-1]] is list:
        hint = f"{path[0]}.{path[1]} has: {', '.join(_plain(members))}"
        if path[0] == "connectors":
            hint += "; options of the store go into the file: algo config edit"
        raise UsageError(f"No such setting: {key}", hint)
    return members[path[-1]]


def _plain(members: Mapping[str, Kind]) -> list[str]:
    """The members that can be set on a command line."""
    return [name for name, kind in members.items() if name not in SECRET_MEMBERS and kind is not list]


def _complete_written(ctx: click.Context, parameter: click.Parameter, incomplete: str) -> list[str]:
    app = ctx.find_object(App) or App()
    return [key for key in (dotted(path) for path in _paths(app.config.user)) if key.startswith(incomplete)]


def _paths(table: Mapping[str, Any], above: tuple[str, ...] = ()) -> Iterator[tuple[str, ...]]:
    for name, value in table.items():
        yield (*above, name)
        if isinstance(value, Mapping):
            yield from _paths(value, (*above, name))


@config.command()
@click.argument("key", shell_complete=_complete_written)
@pass_app
def unset(app: App, key: str) -> None:
    """Remove KEY from your file.

    KEY is a setting, or whatever else your file holds, as TOML writes it: profiles.work.address.

    \b
    Example:
      algo config unset timeout
    """
    *tables, member = _path(key)
    with editing(app.config.user_file) as document:
        table = document
        for name in tables:
            table = table.get(name, {}) if isinstance(table, Mapping) else {}
        if isinstance(table, Mapping) and member in table:
            del table[member]  # type: ignore[attr-defined]  # tables of tomlkit can be changed
        elif key not in app.config.settings:
            raise NotFoundError(f"{app.config.user_file} has no {key}", app.config.nearest_to(key))


def _path(key: str) -> list[str]:
    """The parts of a key.

    Raises:
        UsageError: if it is none.
    """
    parts: list[str] = []
    try:
        found: Any = toml_loads(f"{key} = 0") if "\n" not in key else None
    except ValueError:
        found = None
    while isinstance(found, Mapping) and len(found) == 1:
        ((name, found),) = found.items()
        parts.append(name)
    if found != 0 or not parts:
        raise UsageError(f"Not a key: {key}", "Write it as TOML does: profiles.work.address")
    return parts


@config.command()
@pass_app
def edit(app: App) -> None:
    """Edit your file, and check it afterwards.

    The editor is the one that VISUAL or EDITOR names.

    \b
    Example:
      EDITOR=nano algo config edit
    """
    file = user_config_file(app.environ)
    if not os.path.exists(file):
        with editing(file):
            pass  # it appears with the right mode, and with a line that says what it is
    click.edit(filename=file)
    check(Config.load(app.environ))


@config.command()
@pass_app
def path(app: App) -> None:
    """Print the path of your file; it need not exist.

    \b
    Example:
      algo config path
    """
    app.output.print(user_config_file(app.environ))
