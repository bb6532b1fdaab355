"""`algo orgs list`, `show`, `members`, `add`, `remove`, `join` and `leave` (API section 7)."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager

import click

from algo_core.context import App, pass_app
from algo_core.errors import AlgoError, NotFoundError
from algo_manage import api
from algo_manage.completion import complete_member, complete_organization


def organization_argument(function: Callable[..., None]) -> Callable[..., None]:
    """The argument that most commands take."""
    return click.argument("org", metavar="ORG", shell_complete=complete_organization)(function)


@contextmanager
def suggesting(app: App, org: str, user: str = "") -> Iterator[None]:
    """Suggest one of the caller's organizations for one that does not exist, and one of its members for `user`."""
    try:
        yield
    except NotFoundError as error:
        if error.message.startswith("No organization") and not error.hint:
            path, member, what = "organizations", "org_name", "List yours with: algo orgs list"
            error.hint = close_name(app, path, member, org) or what
        elif user and not error.hint:
            error.hint = close_name(app, f"organizations/{org}/members", "username", user)
        raise


def close_name(app: App, path: str, member: str, name: str) -> str | None:
    """A hint with the names of a collection that are like one."""
    from difflib import get_close_matches

    try:
        known = {str(api.member(entry, member)).lower() for entry in api.pages(app, path)}
    except AlgoError:  # the first failure is the one to report
        return None
    close = get_close_matches(name.lower(), known, n=1)
    return f"Did you mean {close[0]}?" if close else None


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
@organization_argument
@pass_app
def show_(app: App, org: str) -> None:
    """Show an organization.

    \b
    Example:
      algo orgs show acme
    """
    with suggesting(app, org):
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
        ("id", "ID"),
    ):
        if value := api.member(found, name):
            app.output.line(f"{title + ':':<12}{value}")


@click.command("members")
@organization_argument
@pass_app
def members_(app: App, org: str) -> None:
    """List the members of an organization, including invited ones.

    \b
    Example:
      algo orgs members acme
    """
    with suggesting(app, org):
        found = list(api.pages(app, f"organizations/{org}/members"))
    if app.output.is_json:
        app.output.json(found)
    elif found:
        rows = [(api.member(entry, "username"), api.member(entry, "role")) for entry in found]
        app.output.table(("Member", "Role"), rows)
    else:
        app.output.info(f"{org} has no members")


@click.command("add")
@organization_argument
@click.argument("user", metavar="USER", shell_complete=complete_member)
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
    with suggesting(app, org, user):
        found = api.send(app, "PUT", f"organizations/{org}/members/{user}", {"role": role})
    if app.output.is_json:
        app.output.json(found)
    else:
        app.output.print(f"{user} is {api.member(found, 'role') or role} of {org}")


@click.command("remove")
@organization_argument
@click.argument("user", metavar="USER", shell_complete=complete_member)
@pass_app
def remove_(app: App, org: str, user: str) -> None:
    """Remove a member from an organization, or withdraw an invitation.

    \b
    Example:
      algo orgs remove acme jane
    """
    with suggesting(app, org, user):
        api.send(app, "DELETE", f"organizations/{org}/members/{user}")
    if app.output.is_json:
        app.output.json({"organization": org, "user": user, "removed": True})
    else:
        app.output.print(f"Removed {user} from {org}")


@click.command("join")
@organization_argument
@pass_app
def join_(app: App, org: str) -> None:
    """Accept the invitation to an organization.

    \b
    Example:
      algo orgs join acme
    """
    with suggesting(app, org):
        found = api.send(app, "PUT", f"organizations/{org}/members/{app.api.username()}", {})
    if app.output.is_json:
        app.output.json(found)
    else:
        app.output.print(f"{api.member(found, 'username')} is {api.member(found, 'role')} of {org}")


@click.command("leave")
@organization_argument
@pass_app
def leave_(app: App, org: str) -> None:
    """Leave an organization, or decline the invitation to it.

    \b
    Example:
      algo orgs leave acme
    """
    user = app.api.username()
    with suggesting(app, org):
        api.send(app, "DELETE", f"organizations/{org}/members/{user}")
    if app.output.is_json:
        app.output.json({"organization": org, "user": user, "removed": True})
    else:
        app.output.print(f"{user} is not a member of {org} any more")
