"""`algo orgs list`, `show`, `members`, `add` and `remove` (API section 7)."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager

import click

from algo_core.context import App, pass_app
from algo_core.errors import AlgoError, NotFoundError
from algo_manage import api
from algo_manage.completion import complete_organization


def _organization(function: Callable[..., None]) -> Callable[..., None]:
    return click.argument("org", metavar="ORG", shell_complete=complete_organization)(function)


@contextmanager
def _suggesting(app: App, org: str) -> Iterator[None]:
    """Suggest one of the caller's organizations for one that does not exist."""
    try:
        yield
    except NotFoundError as error:
        if error.message.startswith("No organization") and not error.hint:
            error.hint = _meant(app, org)
        raise


def _meant(app: App, org: str) -> str:
    from difflib import get_close_matches

    try:
        known = {str(api.member(entry, "org_name")).lower() for entry in api.pages(app, "organizations")}
    except AlgoError:  # the first failure is the one to report
        known = set()
    close = get_close_matches(org.lower(), known, n=1)
    return f"Did you mean {close[0]}?" if close else "List yours with: algo orgs list"


@click.command("list")
@pass_app
def list_(app: App) -> None:
    """List your organizations.

    \b
    Example:
      algo orgs list
    """
    found = list(api.pages(app, "organizations"))
    if app.output.is_json:
        app.output.json(found)
    elif found:
        app.output.table(
            ("Organization", "Label", "Contact"),
            [tuple(api.member(entry, name) for name in ("org_name", "org_label", "org_email")) for entry in found],
        )
    else:
        app.output.info("You belong to no organization")


@click.command("show")
@_organization
@pass_app
def show_(app: App, org: str) -> None:
    """Show an organization.

    \b
    Example:
      algo orgs show acme
    """
    with _suggesting(app, org):
        found = app.api.get_json(f"organizations/{org}")
    if app.output.is_json:
        app.output.json(found)
        return
    for name, title in (
        ("org_name", "Name"),
        ("org_label", "Label"),
        ("org_contact_name", "Contact"),
        ("org_email", "E-mail"),
        ("org_url", "Web"),
        ("org_created_at", "Created"),
        ("id", "Id"),
    ):
        if value := api.member(found, name):
            app.output.line(f"{title + ':':<12}{value}")


@click.command("members")
@_organization
@pass_app
def members_(app: App, org: str) -> None:
    """List the members of an organization, including invited ones.

    \b
    Example:
      algo orgs members acme
    """
    with _suggesting(app, org):
        found = list(api.pages(app, f"organizations/{org}/members"))
    if app.output.is_json:
        app.output.json(found)
    elif found:
        rows = [(api.member(entry, "username"), api.member(entry, "role")) for entry in found]
        app.output.table(("Member", "Role"), rows)
    else:
        app.output.info(f"{org} has no members")


@click.command("add")
@_organization
@click.argument("user", metavar="USER")
@click.option(
    "--role", type=click.Choice(["member", "owner", "invited"]), default="invited", show_default=True, help="Role."
)
@pass_app
def add_(app: App, org: str, user: str, role: str) -> None:
    """Invite somebody to an organization, or give a member another role.

    \b
    Example:
      algo orgs add acme jane --role owner
    """
    with _suggesting(app, org):
        found = api.send(app, "PUT", f"organizations/{org}/members/{user}", {"role": role})
    if app.output.is_json:
        app.output.json(found)
    else:
        app.output.print(f"{user} is {api.member(found, 'role') or role} of {org}")


@click.command("remove")
@_organization
@click.argument("user", metavar="USER")
@pass_app
def remove_(app: App, org: str, user: str) -> None:
    """Remove a member from an organization, or withdraw an invitation.

    \b
    Example:
      algo orgs remove acme jane
    """
    with _suggesting(app, org):
        api.send(app, "DELETE", f"organizations/{org}/members/{user}")
    if app.output.is_json:
        app.output.json({"organization": org, "user": user, "removed": True})
    else:
        app.output.print(f"Removed {user} from {org}")
