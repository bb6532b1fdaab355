"""`algo orgs create`, `update`, `delete`, `types`, `create-type` and `delete-type` (API section 7)."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

import click

from algo_core.context import App, pass_app
from algo_core.errors import NotFoundError, UsageError
from algo_core.terminal.options import yes_option
from algo_manage import api
from algo_manage.commands.orgs import close_name, organization_argument, suggesting
from algo_manage.completion import complete_organization_type
from algo_manage.confirmation import confirm

TYPES = "organization/types"
KEPT = (
    *("org_name", "org_label", "org_contact_name", "org_email", "org_url", "type_id", "stripe_customer_id"),
    *("external_id", "external_admin_group", "external_member_group", "external_executor_group"),
)
"""Members of an organization that a change must repeat, or they are lost."""


def _described(function: Callable[..., None]) -> Callable[..., None]:
    """The options that say something about an organization."""
    for option in reversed((
        click.option("--label", metavar="TEXT", help="Name for people."),
        click.option("--contact", metavar="NAME", help="Name of the person to ask."),
        click.option("--email", metavar="ADDRESS", help="Where that person is reached."),
        click.option("--url", metavar="URL", help="Web page."),
        click.option("--type", "kind", metavar="TYPE", shell_complete=complete_organization_type, help="Type."),
        click.option("--external-id", metavar="ID", help="Its id in another system."),
    )):  # fmt: skip
        function = option(function)
    return function


def _body(app: App, said: dict[str, Any]) -> dict[str, Any]:
    """The members of a request for the given options."""
    names = {"label": "org_label", "contact": "org_contact_name", "email": "org_email", "url": "org_url"}
    body = {names.get(name, name): value for name, value in said.items() if value is not None and name != "kind"}
    if said["kind"] is not None:
        body["type_id"] = _type_id(app, said["kind"])
    return body


def _type_id(app: App, kind: str) -> str:
    """The id of a type, which the API asks for.

    Raises:
        NotFoundError: if there is none of this name.
    """
    found = {str(api.member(entry, "name")): str(api.member(entry, "id")) for entry in api.pages(app, TYPES)}
    if kind in found.values():
        return kind
    for name, identifier in found.items():
        if name.lower() == kind.lower():
            return identifier
    from difflib import get_close_matches

    close = get_close_matches(kind.lower(), found, n=1)
    hint = f"Did you mean {close[0]}?" if close else f"The types are: {', '.join(found)}"
    raise NotFoundError(f"There is no type of organizations {kind!r}", hint)


_NAME = "[a-zA-Z][a-zA-Z0-9_]*"
"""What the API takes as an organization's name."""


@click.command("create")
@click.argument("org", metavar="ORG")
@_described
@pass_app
def create_(app: App, /, org: str, **said: Any) -> None:
    """Create an organization, which you own.

    By default its type is basic, its label is its name, and you are its contact.

    \b
    Example:
      algo orgs create acme --email ops@acme.com
    """
    if not re.fullmatch(_NAME, org):
        raise UsageError(
            f"{org!r} is not a valid name of an organization", "Write letters, digits and underscores, a letter first"
        )
    if said["email"] is None:
        raise UsageError("An organization needs an e-mail address", f"Give one: algo orgs create {org} --email ADDRESS")
    if said["contact"] is None:
        said["contact"] = app.api.username()
    made = api.send(
        app,
        "POST",
        "organizations",
        {"org_name": org, **_body(app, {**said, "label": said["label"] or org, "kind": said["kind"] or "basic"})},
    )
    _tell(app, made, f"Created {org}")


@click.command("update")
@organization_argument
@_described
@pass_app
def update_(app: App, /, org: str, **said: Any) -> None:
    """Change an organization; options left out keep their values.

    \b
    Example:
      algo orgs update acme --label "Acme Corp."
    """
    if all(value is None for value in said.values()):
        raise UsageError("Nothing to change", "Give at least one option: algo orgs update --help")
    with suggesting(app, org):
        before = app.api.get_json(f"organizations/{org}")
        kept = {name: before[name] for name in KEPT if isinstance(before, dict) and before.get(name) is not None}
        api.send(app, "PUT", f"organizations/{org}", {**kept, **_body(app, said)})
    _tell(app, app.api.get_json(f"organizations/{org}") if app.output.is_json else None, f"Updated {org}")


@click.command("delete")
@organization_argument
@yes_option
@pass_app
def delete_(app: App, org: str, yes: bool) -> None:
    """Delete an organization with its algorithms, data and keys.

    \b
    Example:
      algo orgs delete acme --yes
    """
    confirm(app, yes, f"Delete {org} with its algorithms, data and keys?", f"algo orgs delete {org} --yes")
    with suggesting(app, org):
        api.send(app, "DELETE", f"organizations/{org}")
    _tell(app, {"organization": org, "deleted": True}, f"Deleted {org}")


@click.command("types")
@pass_app
def types_(app: App) -> None:
    """List the types of organizations.

    \b
    Example:
      algo orgs types
    """
    found = list(api.pages(app, TYPES))
    if app.output.is_json:
        app.output.json(found)
    else:
        app.output.table(("Type", "ID"), [(api.member(entry, "name"), api.member(entry, "id")) for entry in found])


@click.command("create-type")
@click.argument("name", metavar="TYPE")
@pass_app
def create_type_(app: App, name: str) -> None:
    """Create a type of organizations, as an administrator.

    \b
    Example:
      algo orgs create-type partner
    """
    _tell(app, api.send(app, "POST", TYPES, {"name": name}), f"Created the type {name}")


@click.command("delete-type")
@click.argument("name", metavar="TYPE", shell_complete=complete_organization_type)
@pass_app
def delete_type_(app: App, name: str) -> None:
    """Delete a type that no organization has, as an administrator.

    \b
    Example:
      algo orgs delete-type partner
    """
    try:
        api.send(app, "DELETE", f"{TYPES}/{name}")
    except NotFoundError as error:
        error.hint = error.hint or close_name(app, TYPES, "name", name)
        raise
    _tell(app, {"type": name, "deleted": True}, f"Deleted the type {name}")


def _tell(app: App, found: Any, text: str) -> None:
    if app.output.is_json:
        app.output.json(found)
    else:
        app.output.print(text)
