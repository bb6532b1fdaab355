"""What this plugin adds to `algo`: commands over the management API (API sections 6 and 7)."""

from __future__ import annotations

from algo_core import Command, hookimpl

_NESTED = {
    "algorithms": {
        "list": "List algorithms.",
        "search": "Find algorithms by words.",
        "show": "Show an algorithm's texts and settings.",
        "create": "Create an algorithm.",
        "update": "Change an algorithm's texts and settings.",
        "delete": "Delete an algorithm.",
        "versions": "List the versions of an algorithm.",
        "compile": "Build an algorithm's sources.",
        "publish": "Publish the last good build as a version.",
        "unpublish": "Withdraw a version.",
        "export": "Write a version as a sealed bundle.",
        "import": "Publish the algorithm in a bundle.",
    },
    "builds": {
        "list": "List the builds of an algorithm.",
        "show": "Show a build.",
        "logs": "Print a build's log.",
    },
    "secrets": {
        "list": "List an algorithm's secrets.",
        "set": "Set a secret of an algorithm.",
        "remove": "Remove a secret of an algorithm.",
    },
    "schedules": {
        "list": "List your schedules.",
        "create": "Create a schedule for an algorithm.",
        "delete": "Delete a schedule.",
    },
    "keys": {
        "list": "List API keys.",
        "create": "Create an API key.",
        "rotate": "Replace an API key by a new one.",
        "revoke": "Revoke an API key.",
    },
    "orgs": {
        "list": "List your organizations.",
        "show": "Show an organization.",
        "create": "Create an organization.",
        "update": "Change an organization's texts and type.",
        "delete": "Delete an organization.",
        "members": "List the members of an organization.",
        "add": "Add or invite a member, or change a role.",
        "remove": "Remove a member.",
        "join": "Accept an invitation.",
        "leave": "Leave an organization, or decline an invitation.",
        "types": "List the types of organizations.",
        "create-type": "Create a type of organizations.",
        "delete-type": "Delete a type of organizations.",
    },
}
_GROUPS = {
    "algorithms": ("Create, build and publish algorithms.", "Algorithms"),
    "builds": ("List builds and print their logs.", "Algorithms"),
    "secrets": ("Manage the secrets of an algorithm.", "Algorithms"),
    "schedules": ("Call algorithms on a schedule.", "Algorithms"),
    "keys": ("Manage API keys.", "Account"),
    "orgs": ("Manage organizations.", "Account"),
}
_MODULES = {
    **{
        f"algorithms {name}": "publishing" for name in ("create", "update", "delete", "compile", "publish", "unpublish")
    },
    **{f"algorithms {name}": "bundles" for name in ("export", "import")},
    **{f"orgs {name}": "org_changes" for name in ("create", "update", "delete", "types", "create-type", "delete-type")},
}
"""Modules of commands that are not in the module of their group."""


@hookimpl
def algo_commands() -> list[Command]:
    """The commands of this plugin."""
    commands = [
        Command(
            "show",
            "algo_manage.commands.show:show",
            help="Show how to use an algorithm.",
            group="Algorithms",
            example="algo show demo/Hello",
        ),
        Command(
            "clone",
            "algo_manage.commands.clone:clone",
            help="Clone the git repository of an algorithm.",
            group="Algorithms",
        ),
        Command(
            "freeze",
            "algo_manage.commands.freeze:freeze",
            help="Record the checksums of an algorithm's model files.",
            group="Algorithms",
        ),
        Command(
            "git-credential",
            "algo_manage.commands.clone:git_credential",
            help="Tell git the API key for the platform of the profile.",
            group="Algorithms",
            hidden=True,
        ),
    ]
    commands.append(
        Command(
            "usage",
            "algo_manage.commands.usage:usage",
            help="Count calls by day, account, algorithm and version.",
            group="Account",
        )
    )
    for group, (text, heading) in _GROUPS.items():
        commands.append(Command(group, f"algo_manage.commands.groups:{group}", help=text, group=heading))
        for name, line in _NESTED[group].items():
            module = _MODULES.get(f"{group} {name}", group)
            target = f"algo_manage.commands.{module}:{name.replace('-', '_')}_"
            commands.append(Command(f"{group} {name}", target, help=line, group=heading))
    return commands
