"""`algo keys list`, `create`, `rotate` and `revoke` (API section 1.3)."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime, timedelta, timezone
from typing import Any

import click

from algo_core.context import App, pass_app
from algo_core.errors import NotFoundError, UsageError
from algo_core.storage.uri import AlgorithmRef
from algo_core.terminal.options import Number
from algo_manage import api
from algo_manage.completion import complete_algorithm, complete_organization


def _of_organization(function: Callable[..., None]) -> Callable[..., None]:
    option = click.option(
        "--org", metavar="ORG", shell_complete=complete_organization, help="Keys of an organization, not your own."
    )
    return option(function)


@click.command("list")
@_of_organization
@pass_app
def list_(app: App, org: str | None) -> None:
    """List API keys, without the keys themselves.

    \b
    Example:
      algo keys list
    """
    found = _keys(app, _path(app, org))
    if app.output.is_json:
        app.output.json(found)
        return
    rows = [
        (
            *(api.member(entry, name) for name in ("key_id", "api_key_mask", "key_label")),
            _rights(api.member(entry, "permissions")),
            *(api.member(entry, name) for name in ("last_used_at", "expires_at")),
        )
        for entry in found
    ]
    if rows:
        app.output.table(("ID", "Key", "Label", "May", "Used", "Expires"), rows)
    else:
        app.output.info("There are no API keys; make one with: algo keys create LABEL")


@click.command("create")
@click.argument("label", metavar="LABEL")
@_of_organization
@click.option(
    "--algorithm",
    "algorithms",
    multiple=True,
    metavar="PATTERN",
    shell_complete=complete_algorithm,
    help="Allow calls of OWNER/NAME or OWNER/* only (repeatable). Default: all.",
)
@click.option("--allow-missing", is_flag=True, help="Accept a PATTERN of algorithms that do not exist yet.")
@click.option("--no-calls", is_flag=True, help="Allow no calls of algorithms.")
@click.option(
    "--data", type=click.Choice(["none", "read", "write"]), default="none", show_default=True, help="Data access."
)
@click.option("--manage", is_flag=True, help="Allow changes to algorithms, keys and the account.")
@click.option("--web", metavar="HOST", help="Allow calls from web pages of HOST; '*' for any page.")
@click.option("--expires", type=Number(1, 36500), metavar="DAYS", help="Days until the key stops working.")
@pass_app
def create_(
    app: App,
    label: str,
    org: str | None,
    algorithms: tuple[str, ...],
    allow_missing: bool,
    no_calls: bool,
    data: str,
    manage: bool,
    web: str | None,
    expires: int | None,
) -> None:
    """Create an API key and print it. It is shown only once.

    Without options the key may call all algorithms and do nothing else. A PATTERN that matches no algorithm is refused,
    since its key could call nothing.

    \b
    Examples:
      algo keys create ci --algorithm me/Greeter --expires 90
      algo keys create nightly --algorithm me/Planned --allow-missing
    """
    if no_calls and (algorithms or web):
        raise UsageError("--no-calls cannot be combined with --algorithm or --web", "Leave one of them out")
    permissions = {
        "allow_data": data != "none",
        "allow_data_write": data == "write",
        "allow_algo": not no_calls,
        "allow_web_algo": web is not None,
        "referer_host": "" if web in {None, "*"} else web,
        "allow_algo_management": manage,
        "algo_acl": [_pattern(app, text, allow_missing) for text in algorithms] or ["algo://*"],
    }
    body: dict[str, Any] = {"key_label": label, "key_type": "AlgorithmKey", "permissions": permissions}
    if expires:
        body["expires_at"] = (datetime.now(timezone.utc) + timedelta(days=expires)).isoformat(timespec="seconds")
    _reveal(app, api.send(app, "POST", _path(app, org), body))


@click.command("rotate")
@click.argument("key", metavar="ID")
@_of_organization
@pass_app
def rotate_(app: App, key: str, org: str | None) -> None:
    """Replace an API key by a new one with the same rights, and print it.

    \b
    Example:
      algo keys rotate 17
    """
    path = _path(app, org)
    _reveal(app, api.send(app, "POST", f"{path}/{_id_of(app, path, key)}/rotate"))


@click.command("revoke")
@click.argument("key", metavar="ID")
@_of_organization
@pass_app
def revoke_(app: App, key: str, org: str | None) -> None:
    """Revoke an API key, given by its id or label. It stops working at once.

    \b
    Example:
      algo keys revoke ci
    """
    path = _path(app, org)
    identifier = _id_of(app, path, key)
    api.send(app, "DELETE", f"{path}/{identifier}")
    if app.output.is_json:
        app.output.json({"key_id": identifier, "revoked": True})
    else:
        app.output.print(f"Revoked key {key}")


def _pattern(app: App, text: str, allow_missing: bool) -> str:
    """The API's pattern for a typed one. NotFoundError if it fits no algorithm: such a key is good for nothing."""
    bare = text.removeprefix("algo://").removesuffix("/*")
    if bare == "*":
        return "algo://*"
    is_one = "/" in bare
    ref = api.named(app, bare if is_one else f"{bare}/x")
    if ref.version or not ref.name:
        raise UsageError(
            f"Not a pattern of algorithms: {text!r}", "Write OWNER/NAME or OWNER/*, for example demo/Hello"
        )
    if not allow_missing:
        try:
            _check_exists(app, ref, is_one=is_one)
        except NotFoundError as error:
            error.hint = "\n".join(filter(None, [error.hint, "To make the key before the algorithm: --allow-missing"]))
            raise
    return f"algo://{ref}" if is_one else f"algo://{ref.owner}/*"


def _check_exists(app: App, ref: AlgorithmRef, *, is_one: bool) -> None:
    """Raise NotFoundError if the platform has no such algorithm, or no account of that name."""
    if is_one:
        with api.suggesting(app, ref):
            app.api.get_json(api.path_of(ref))
    else:
        app.api.get_json(f"users/{ref.owner}/algorithms", query={"limit": 1})


def _path(app: App, org: str | None) -> str:
    return f"organizations/{org}/keys" if org else f"users/{app.api.username()}/keys"


def _keys(app: App, path: str) -> list[Any]:
    return api.entries(app.api.get_json(path))


def _id_of(app: App, path: str, wanted: str) -> str:
    """A key's id, given as such or as a label that only one has."""
    known = _keys(app, path)
    for name in ("key_id", "key_label"):
        fitting = [str(api.member(entry, "key_id")) for entry in known if str(api.member(entry, name)) == wanted]
        if len(fitting) > 1:
            raise UsageError(f"{len(fitting)} keys are called {wanted}", f"Give an id: {', '.join(fitting)}")
        if fitting:
            return fitting[0]
    raise NotFoundError(f"There is no key {wanted}", "List keys with: algo keys list")


def _reveal(app: App, made: Any) -> None:
    if app.output.is_json:
        app.output.json(made)
    else:
        app.output.print(str(api.member(made, "api_key")))


def _rights(permissions: Any) -> str:
    rights = []
    if api.member(permissions, "allow_algo") or api.member(permissions, "allow_web_algo"):
        patterns = api.member(permissions, "algo_acl") or []
        rights.append("call " + " ".join(str(pattern).removeprefix("algo://") for pattern in patterns))
    if api.member(permissions, "allow_data"):
        rights.append("write data" if api.member(permissions, "allow_data_write") else "read data")
    if api.member(permissions, "allow_algo_management"):
        rights.append("manage")
    return ", ".join(rights) or "nothing"
