"""Commands below a group that another distribution has: `algo acme a` from one package, `algo acme b` from another.

A `Command` whose name holds several words is a path. The index knows the commands below a group, so neither help nor
TAB imports them. A group that no distribution declares is made here from the commands below it.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from types import MethodType
from typing import Any, TypeVar

import click

from algo_core.errors import UsageError

Claims = TypeVar("Claims")


def children(rows: Mapping[str, Claims], path: str) -> dict[str, list[tuple[str, Claims]]]:
    """The commands below `path`: each next word, with the full names that begin with it and their claims."""
    found: dict[str, list[tuple[str, Claims]]] = {}
    prefix = f"{path} " if path else ""
    for name, claims in rows.items():
        if name.startswith(prefix):
            found.setdefault(name[len(prefix) :].partition(" ")[0], []).append((name, claims))
    return found


def group_help(dists: Sequence[str]) -> str:
    """The help line of a group that no distribution declares."""
    return f"Commands from {', '.join(sorted(set(dists)))}."


def explain_unknown(group: click.Group, path: str, hint_for: Callable[[str, str, Sequence[str]], str]) -> None:
    """Let a group, and the groups below it, explain an unknown command.

    `hint_for(word, path, siblings)` gives the hint for a word that none of the siblings below `path` has.
    """
    own_resolve = group.resolve_command

    def resolve_command(self: click.Group, ctx: click.Context, args: list[str]) -> Any:
        try:
            name, command, rest = own_resolve(ctx, args)
        except click.UsageError:
            if args[0].startswith("-") or self.get_command(ctx, args[0]) is not None:
                raise
            siblings = [name for name in self.list_commands(ctx) if _is_shown(self.get_command(ctx, name))]
            hint = hint_for(args[0], path, siblings)
            raise UsageError(f"There is no command '{path} {args[0]}'", hint) from None
        if isinstance(command, click.Group) and name:
            explain_unknown(command, f"{path} {name}", hint_for)
        return name, command, rest

    # One group of one run is changed, not its class.
    setattr(group, "resolve_command", MethodType(resolve_command, group))  # noqa: B010  # mypy forbids assigning it


def _is_shown(command: click.Command | None) -> bool:
    return command is not None and not command.hidden


def extend(
    group: click.Group,
    lines: Mapping[str, tuple[str, bool]],
    load: Callable[[click.Context, str, click.Command | None], click.Command],
) -> None:
    """Add commands to a group, by name: the help line, and whether it is hidden.

    `load(ctx, name, own)` imports one when it runs; `own` is the group's own command of that name, if it has one.
    """
    # Those of its class: a group that is a module's is extended anew by each run in one process, as in tests.
    kind = type(group)
    own_names: Callable[[click.Context], list[str]] = MethodType(kind.list_commands, group)
    own_command: Callable[[click.Context, str], click.Command | None] = MethodType(kind.get_command, group)
    own_resolve: Callable[[click.Context, list[str]], Any] = MethodType(kind.resolve_command, group)

    def list_commands(self: click.Group, ctx: click.Context) -> list[str]:
        return sorted({*own_names(ctx), *lines})

    def get_command(self: click.Group, ctx: click.Context, name: str) -> click.Command | None:
        # For help and completion: the line from the index, and nothing imported.
        if name not in lines:
            return own_command(ctx, name)
        text, hidden = lines[name]
        return click.Command(name, short_help=text, hidden=hidden)

    def resolve_command(self: click.Group, ctx: click.Context, args: list[str]) -> Any:
        if args[0] not in lines:
            return own_resolve(ctx, args)
        return args[0], load(ctx, args[0], own_command(ctx, args[0])), args[1:]

    for name, method in (
        ("list_commands", list_commands),
        ("get_command", get_command),
        ("resolve_command", resolve_command),
    ):
        setattr(group, name, MethodType(method, group))
