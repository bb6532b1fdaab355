"""No command hands a terminal what somebody else wrote: every one of them is run on two, against a platform that tries."""

from __future__ import annotations

import itertools
import os
from collections.abc import Iterator

import click
import pytest
from support.hostile import EVIL, EVIL_NAME, HostilePlatform, forged, on_two_terminals, uncovered

from algo_core import cli
from algo_core.context import App
from algo_core.testing import Home

# The commands of whatever is installed: no configuration leaves any out, and no cache is written.
ENVIRON = {
    **os.environ,
    "ALGO_CONFIG_DIR": os.devnull,
    "ALGO_CACHE_DIR": os.devnull,
    "ALGO_SITE_CONFIG": "/nonexistent",
}

FITTING: dict[str, list[list[str]]] = {
    "run": [["demo/Echo", "-d", "x"], ["demo/Echo", "-d", "x", "--raw"], ["demo/Echo", "-d", "x", "--void"]],
    "ls": [[], ["-lR", ".my"]],
    "cat": [[".my/file", "./local-file"]],
    "cp": [
        ["-r", "data://.my/x", "./copied"],
        ["./local-file", "data://.my/x/"],
        ["data://.my/file", "-"],
        ["./local-file", "/dev/stdout"],
    ],
    "mv": [["data://.my/x/*", "./moved"]],
    "sync": [["data://.my/x", "./synchronized"]],
    "du": [[".my", ".my/file"]],
    "stat": [[".my/x", ".my/file"]],
    "acl get": [[".my/x", ".my/y"]],
    "acl set": [["private", ".my/x"]],
    "rm": [["-r", ".my/x", ".my/*"]],
    "rmdir": [["--force", ".my/x"]],
    "mkdir": [[".my/x", ".my/y"]],
    "environment": [["python3"]],
    "template": [["36fd467e-fbfe-4ea6-aa66-df3f403b7132", "./template"]],
    "local serve": [["--port", "nine"]],
    "local key new": [["jane", "--label", EVIL]],
    "local reset": [["--yes"]],
    "show": [["demo/Echo"]],
    "clone": [["demo/Echo"]],
    **{
        f"{group} {name}": [arguments]
        for group, names in {
            "algorithms": {
                "list": [],
                "search": ["x"],
                "show": ["demo/Echo"],
                "create": ["demo/New", "--label", "x"],
                "update": ["demo/Echo", "--tag", "x"],
                "delete": ["demo/Echo", "--yes"],
                "versions": ["demo/Echo"],
                "compile": ["demo/Echo"],
                "publish": ["demo/Echo"],
                "unpublish": ["demo/Echo", "1.0.0", "--yes"],
            },
            "builds": {"list": ["demo/Echo"], "show": ["demo/Echo", "evil"], "logs": ["demo/Echo"]},
            "secrets": {"list": ["demo/Echo"], "set": ["demo/Echo", "X", "--stdin"], "remove": ["demo/Echo", "X"]},
            "keys": {"list": [], "create": ["x"], "rotate": ["evil"], "revoke": ["evil"]},
            "orgs": {
                "list": [],
                "show": ["acme"],
                "members": ["acme"],
                "add": ["acme", "x"],
                "remove": ["acme", "x"],
                "create": ["acme", "--email", "ops@acme.com"],
                "update": ["acme", "--label", "x"],
                "delete": ["acme", "--yes"],
                "join": ["acme"],
                "leave": ["acme"],
                "types": [],
                "create-type": ["x"],
                "delete-type": ["x"],
            },
        }.items()
        for name, arguments in names.items()
    },
    "completion": [["fish"]],
    "auth": [["--api-address", "{address}", "--api-key-stdin"]],
    "help uris": [[]],
}
"""Arguments with which a command comes far; others are run with names of everything there is."""

SHOWS = {"run", "ls", "cat", "cp", "mv", "du", "acl get", "rm", "environment", "languages", "doctor"}
"""Commands that show what the platform wrote, or else this would test nothing."""


def leaves(command: click.Command, ctx: click.Context, path: tuple[str, ...] = ()) -> Iterator[tuple[str, int]]:
    """Every command that is not a group, and how many arguments it needs."""
    if isinstance(command, click.Group):
        for name in sorted(command.list_commands(ctx)):
            _, found, _ = command.resolve_command(ctx, [name])  # imports those of other distributions, too
            assert found is not None
            yield from leaves(found, click.Context(found, ctx, name), (*path, name))
    else:
        needed = [parameter for parameter in command.params if isinstance(parameter, click.Argument)]
        yield " ".join(path), sum(max(argument.nargs, 1) for argument in needed)


def every_command() -> list[tuple[str, int]]:
    root = cli.build()
    return list(leaves(root, click.Context(root, info_name="algo", obj=App(ENVIRON))))


@pytest.mark.parametrize(("words", "count"), every_command(), ids=lambda value: str(value).replace(" ", "-"))
def test_a_terminal_gets_nothing_that_somebody_else_wrote(
    home: Home, hostile: HostilePlatform, words: str, count: int
) -> None:
    named = [["demo/Echo"] * count, [EVIL_NAME] * count, ["--help"]]
    fitting = [[text.replace("{address}", hostile.address) for text in given] for given in FITTING.get(words, [])]
    shows = False
    for given, (refuses, *flags) in itertools.product(
        fitting or named, [(False, "-v"), (True, "--debug"), (False, "--json")]
    ):
        hostile.refuses = bool(refuses)
        shown = on_two_terminals(home.command(*words.split(), *given, *map(str, flags)), home.environ, str(home.root))
        told = f"algo {words} {given!a} {flags}, refuses={refuses}"
        assert uncovered(shown.stdout) == [], told
        assert uncovered(shown.stderr) == [], told
        assert forged(shown.stderr) == [], told
        shows = shows or b"evil" in shown.stdout + shown.stderr
    assert shows or words not in SHOWS


def test_the_commands_that_show_something_exist() -> None:
    assert {words for words, _ in every_command()} >= SHOWS | set(FITTING)
