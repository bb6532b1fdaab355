"""`algo local connector`: connects accounts to object stores and other file systems."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

import click

from algo_core import App, pass_app
from algo_core.errors import NotFoundError, UsageError
from algo_core.terminal.prompts import text_on_stdin
from algo_local.callers import Caller
from algo_local.state import State

if TYPE_CHECKING:
    from algo_local.platform import Platform

_owner = click.option("--owner", metavar="ACCOUNT", help="Owner of the connector. Default: your own account.")


@click.group()
def connector() -> None:
    """Connect the platform to object stores and other file systems.

    A connector is used by data URIs: s3+label://bucket/file, or s3://bucket/file for the default one.

    \b
    Examples:
      algo local connector add s3+archive --options-stdin
      algo local connector test s3+archive
    """


@connector.command("add")
@click.argument("name", metavar="SCHEME[+LABEL]")
@click.option("--option", "options", multiple=True, metavar="NAME=VALUE", help="Option of the store (repeatable).")
@click.option("--options-stdin", is_flag=True, help="Read options from standard input, one NAME=VALUE per line.")
@click.option("--default", is_flag=True, help="Use it for data URIs without a label.")
@click.option("--path", default="*", show_default=True, metavar="GLOB", help="Restrict it to paths that match GLOB.")
@click.option("--writable", is_flag=True, help="Allow writing and deleting.")
@_owner
@pass_app
def add_connector(
    app: App,
    name: str,
    options: tuple[str, ...],
    options_stdin: bool,
    default: bool,
    path: str,
    writable: bool,
    owner: str | None,
) -> None:
    """Connect an account to a store.

    The options are kept encrypted, and are never shown. Test it with 'algo local connector test'.

    \b
    Example:
      algo local connector add s3+archive --option key=KEY --option secret=SECRET
    """
    lines = list(options)
    if options_stdin:
        lines += [line for line in text_on_stdin().splitlines() if line.strip()]
    given = dict(_pair(line) for line in lines)
    platform = _platform()
    platform.check_writable()
    made = platform.connectors.add(
        _account(platform, owner), name, given, path=path, writable=writable, default=default
    )
    if app.output.is_json:
        app.output.json({"name": made.name, "owner": made.owner, "id": made.id})
    else:
        app.output.print(f"Connected {made.name}:// for {made.owner}")


@connector.command("list")
@_owner
@pass_app
def list_connectors(app: App, owner: str | None) -> None:
    """List the connectors of an account.

    \b
    Example:
      algo local connector list
    """
    platform = _platform()
    found = platform.connectors.of(_account(platform, owner))
    if app.output.is_json:
        app.output.json(
            [
                {
                    "name": each.name,
                    "owner": each.owner,
                    "path": each.path,
                    "writable": each.writable,
                    "default": each.is_default,
                    "id": each.id,
                }
                for each in found
            ]
        )
    elif found:
        rows = [(each.name, each.path, _yes(each.writable), _yes(each.is_default)) for each in found]
        app.output.table(("Name", "Path", "Writable", "Default"), rows)
    else:
        app.output.info("There are no connectors yet; 'algo local connector add' makes one")


@connector.command("test")
@click.argument("name", metavar="SCHEME[+LABEL]")
@click.argument("path", required=False)
@_owner
@pass_app
def test_connector(app: App, name: str, path: str | None, owner: str | None) -> None:
    """Test a connector by listing PATH, or its allowed paths.

    \b
    Example:
      algo local connector test s3+archive bucket/reports
    """
    platform = _platform()
    account = _account(platform, owner)
    data = platform.connector(Caller(account), name)
    where = _fixed(data.connector.path).strip("/") if path is None else path
    first = next(data.list(where), None)
    uri = data.uri(where)
    if app.output.is_json:
        app.output.json({"name": name, "uri": str(uri), "works": True, "empty": first is None})
    else:
        app.output.line(f"{uri} answers" + (", and is empty" if first is None else f"; it holds {first.name}"))


@connector.command("remove")
@click.argument("name", metavar="SCHEME[+LABEL]")
@_owner
@pass_app
def remove_connector(app: App, name: str, owner: str | None) -> None:
    """Remove a connector. Its store is not changed.

    \b
    Example:
      algo local connector remove s3+archive
    """
    platform = _platform()
    platform.check_writable()
    removed = platform.connectors.remove(_account(platform, owner), name)
    app.output.info(f"Removed {removed.name}:// of {removed.owner}")


def _platform() -> Platform:
    from algo_local.platform import Platform

    return Platform(State.of())


def _account(platform: Platform, owner: str | None) -> str:
    if owner is None:
        return platform.account
    found = platform.metadata.account(owner)
    if not found:
        raise NotFoundError(f"No account {owner}", f"An API key makes it: algo local key new {owner}")
    return found


def _pair(text: str) -> tuple[str, str]:
    name, equals, value = text.partition("=")
    if not equals or not re.fullmatch(r"[A-Za-z_][A-Za-z0-9_.-]*", name.strip()):
        # The text is not shown: it may be a secret.
        raise UsageError("An option is written NAME=VALUE", "For example --option endpoint_url=https://s3.example")
    return name.strip(), value


def _fixed(pattern: str) -> str:
    """The directory above the first wildcard of a restriction."""
    return re.split(r"[*?\[]", pattern)[0].rpartition("/")[0]


def _yes(value: bool) -> str:
    return "yes" if value else "no"
