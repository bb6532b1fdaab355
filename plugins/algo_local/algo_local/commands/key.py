"""`algo local key`: API keys of the served platform, and what each may do."""

from __future__ import annotations

import time
from datetime import datetime
from typing import TYPE_CHECKING

import click

from algo_core import App, pass_app
from algo_core.errors import UsageError
from algo_core.terminal.options import Number
from algo_local.commands.naming import known_pattern
from algo_local.platform import Platform
from algo_local.state import State

if TYPE_CHECKING:
    from algo_local.metadata.keys import Key, Permissions

DAY = 24 * 3600.0


@click.group()
def key() -> None:
    """Make, list and revoke API keys of the served platform.

    This needs no key, but the platform's directory; with a key, the owner of an account uses 'algo keys'.

    \b
    Examples:
      algo local key new jane
      algo local key list
    """


@key.command("new")
@click.argument("owner")
@click.option("--label", default="default-key", show_default=True, help="Description of the key.")
@click.option(
    "--algorithm",
    "algorithms",
    multiple=True,
    metavar="PATTERN",
    help="Allow calls of OWNER/NAME or OWNER/* only (repeatable). Default: all algorithms.",
)
@click.option("--allow-missing", is_flag=True, help="Accept a PATTERN of algorithms that do not exist yet.")
@click.option("--no-calls", is_flag=True, help="Allow no calls of algorithms.")
@click.option(
    "--data", type=click.Choice(["none", "read", "write"]), default="write", show_default=True, help="Access to data."
)
@click.option("--no-manage", is_flag=True, help="Allow no changes to algorithms, keys and the account.")
@click.option("--no-web", is_flag=True, help="Allow no calls from web pages.")
@click.option("--referrer", metavar="HOST", default="", help="Allow calls from web pages of HOST only.")
@click.option("--admin", is_flag=True, help="Make a key for an administrator's work; OWNER becomes an administrator.")
@click.option("--expires", type=Number(1, 36500), metavar="DAYS", help="Days until the key stops working.")
@pass_app
def new_key(
    app: App,
    owner: str,
    label: str,
    algorithms: tuple[str, ...],
    allow_missing: bool,
    no_calls: bool,
    data: str,
    no_manage: bool,
    no_web: bool,
    referrer: str,
    admin: bool,
    expires: int | None,
) -> None:
    """Make an API key for the account OWNER and print it.

    The key is shown only once: the platform keeps its hash. Without options it may do everything that its account may.
    A PATTERN that matches no algorithm is refused, since its key could call nothing.

    \b
    Examples:
      algo local key new jane
      algo local key new ci --algorithm 'acme/*' --data none --expires 90
    """
    from algo_local.metadata.keys import ADMINISTRATOR_KEY, ALGORITHM_KEY, Permissions

    if no_calls and algorithms:
        raise UsageError("--algorithm cannot be combined with --no-calls", "Leave one of them out")
    platform = Platform(State.of())
    platform.check_writable()
    patterns = [known_pattern(platform, text, owner=owner, allow_missing=allow_missing) for text in algorithms]
    permissions = Permissions.of(
        {
            "allow_data": data != "none",
            "allow_data_write": data == "write",
            "allow_algo": not no_calls,
            "allow_web_algo": not (no_calls or no_web),
            "referer_host": referrer,
            "allow_algo_management": not no_manage,
            "algo_acl": patterns or ["algo://*"],
        }
    )
    name = platform.metadata.ensure_account(owner)
    if admin:
        platform.accounts.set_administrator(name)
    made, secret = platform.keys.create(
        name,
        label,
        permissions=permissions,
        kind=ADMINISTRATOR_KEY if admin else ALGORITHM_KEY,
        expires_at=time.time() + expires * DAY if expires else None,
    )
    if app.output.is_json:
        app.output.json({"key": secret, "owner": name, "label": label, "permissions": made.permissions.as_json()})
    else:
        app.output.print(secret)


@key.command("list")
@pass_app
def list_keys(app: App) -> None:
    """List the API keys.

    \b
    Example:
      algo local key list
    """
    keys = Platform(State.of()).keys.all()
    headers = ("ID", "Owner", "Key", "Label", "May", "Created", "Used", "Expires")
    rows = [_row(found) for found in keys]
    if app.output.is_json:
        app.output.json([dict(zip(map(str.lower, headers), row, strict=True)) for row in rows])
    elif rows:
        app.output.table(headers, rows)
    else:
        app.output.info("There are no keys yet; 'algo local key new OWNER' makes one")


@key.command("revoke")
@click.argument("which", metavar="ID|KEY")
@pass_app
def revoke_key(app: App, which: str) -> None:
    """Revoke an API key, given as its number or text. It stops working at once.

    \b
    Example:
      algo local key revoke 17
    """
    platform = Platform(State.of())
    platform.check_writable()
    found = platform.keys.revoke(which)
    app.output.info(f"Revoked key {found.mask} of {found.owner}")


def _row(found: Key) -> tuple[str, ...]:
    return (
        str(found.id),
        found.owner,
        found.mask,
        found.label,
        "administer" if found.is_administrators else _rights(found.permissions),
        _time(found.created_at),
        _time(found.last_used_at),
        _time(found.expires_at),
    )


def _rights(permissions: Permissions) -> str:
    rights = []
    if permissions.allow_algo or permissions.allow_web_algo:
        rights.append("call " + " ".join(permissions.algo_acl).replace("algo://", ""))
    if permissions.allow_data:
        rights.append("write data" if permissions.allow_data_write else "read data")
    if permissions.allow_algo_management:
        rights.append("manage")
    return ", ".join(rights) or "nothing"


def _time(seconds: float | None) -> str:
    return datetime.fromtimestamp(seconds).astimezone().isoformat(sep=" ", timespec="seconds") if seconds else ""
