"""Commands that nest by path: below a group of another plugin, of the core, or of nobody."""

from __future__ import annotations

from collections.abc import Callable

import click
import pytest

from algo_core.errors import ExitCode
from algo_core.nesting import extend
from algo_core.testing import Home

COMMANDS = """
import click
from algo_core import pass_app

@click.command()
@click.argument("words", nargs=-1)
@pass_app
def say(app, words):
    \"\"\"Say where this comes from.\"\"\"
    app.output.print(" ".join([__name__, *words]))

@click.group()
def group():
    \"\"\"A group.\"\"\"

group.add_command(say, "own")
"""


def plugin(*rows: str) -> str:
    listed = ", ".join(f"Command({row})" for row in rows)
    return f"from algo_core import Command, hookimpl\n\n@hookimpl\ndef algo_commands():\n    return [{listed}]\n"


@pytest.fixture
def add(add_plugin: Callable[..., None]) -> Callable[..., None]:
    def add(name: str, *rows: str) -> None:
        package = name.replace("-", "_")
        add_plugin(name, plugin(*rows).replace("TARGET", package), commands=COMMANDS)

    return add


def row(name: str, target: str = "say") -> str:
    return f"'{name}', 'TARGET.commands:{target}', 'Do {name}.', 'Acme'"


def test_two_distributions_share_a_group_that_neither_has(algo_home: Home, add) -> None:
    add("acme-a", row("acme a"))
    add("acme-b", row("acme b"), row("acme deep er"))
    assert algo_home.run("acme", "a", "x").text == "acme_a.commands x\n"
    assert algo_home.run("acme", "b").text == "acme_b.commands\n"
    assert algo_home.run("acme", "deep", "er").text == "acme_b.commands\n"
    assert algo_home.run("acme", "deep", "er", "--profile", "default", "--json").code == ExitCode.OK
    page = algo_home.run("acme", "--help").text
    assert "Commands from acme-a, acme-b." in page
    assert "Do acme a." in page
    assert "Commands from acme-a, acme-b." in algo_home.run("--help").text
    assert "Say where this comes from." in algo_home.run("help", "acme", "deep", "er").text
    unknown = algo_home.run("acme", "c")
    assert unknown.code == ExitCode.USAGE
    assert "There is no command 'acme c'" in unknown.stderr
    assert "'algo acme --help' lists the commands" in unknown.stderr


def test_a_group_of_another_plugin_and_of_the_core_are_extended(algo_home: Home, add) -> None:
    add("acme-a", row("acme", "group"))
    add("acme-b", row("acme more"), row("plugins acme"), row("local acme"))
    assert algo_home.run("acme", "own").text == "acme_a.commands\n"
    assert algo_home.run("acme", "more").text == "acme_b.commands\n"
    assert algo_home.run("plugins", "acme").text == "acme_b.commands\n"
    assert algo_home.run("local", "acme").text == "acme_b.commands\n"
    assert algo_home.run("plugins", "list").code == ExitCode.OK
    page = algo_home.run("acme", "--help").text
    assert "Do acme more." in page
    assert "own" in page


def test_one_path_claimed_twice_is_an_error_that_names_both(algo_home: Home, add) -> None:
    add("acme-a", row("acme a"))
    add("acme-b", row("acme a"))
    refused = algo_home.run("acme", "a")
    assert refused.code == ExitCode.USAGE
    assert "acme-a 1.0" in refused.stderr
    assert "acme-b 1.0" in refused.stderr
    assert "claimed by 2 plugins" in algo_home.run("acme", "--help").text
    assert algo_home.run("plugins", "choose", "acme a", "acme-b").code == ExitCode.OK
    assert algo_home.run("acme", "a").text == "acme_b.commands\n"
    assert algo_home.run("plugins", "run", "acme-a", "acme a").text == "acme_a.commands\n"


def test_a_claim_to_a_command_that_the_group_has_itself_is_an_error_that_names_both(algo_home: Home, add) -> None:
    add("acme-a", row("acme", "group"))
    add("acme-b", row("acme own"), row("plugins list"))
    refused = algo_home.run("acme", "own")
    assert refused.code == ExitCode.USAGE
    assert "acme-b 1.0" in refused.stderr
    assert "acme-b" in algo_home.run("plugins", "list").text, "the core's own commands cannot be taken"


def test_commands_below_one_that_is_no_group_are_left_out_with_a_warning(algo_home: Home, add) -> None:
    add("acme-b", row("run more"))
    done = algo_home.run("run", "demo/Hello", "-d", "x")
    assert done.text == "Hello x\n"
    assert "run more" in done.stderr


def test_help_and_completion_of_a_shared_group_import_nothing(algo_home: Home, add, add_plugin) -> None:
    add_plugin("acme-a", plugin("'acme a', 'acme_a.commands:say', 'Do a.', 'Acme'"), commands="raise SystemExit(9)\n")
    add("acme-b", row("acme b"))
    assert "Do a." in algo_home.run("acme", "--help").text
    done = algo_home.run(environ={"_ALGO_COMPLETE": "bash_complete", "COMP_WORDS": "algo acme ", "COMP_CWORD": "2"})
    assert "plain,a" in done.text
    assert "plain,b" in done.text


def test_a_group_is_extended_anew_by_each_run_of_a_process() -> None:
    """What an earlier run has put below it is not the group's own."""
    group = click.Group("acme")
    group.add_command(click.Command("own"))
    seen: list[tuple[str, click.Command | None]] = []

    def load(ctx: click.Context, name: str, own: click.Command | None) -> click.Command:
        seen.append((name, own))
        return click.Command(name)

    for lines in ({"a": ("Do a.", False), "own": ("Taken.", False)}, {"a": ("Do a.", False)}):
        extend(group, lines, load)
        group.resolve_command(click.Context(group), ["a"])
    assert seen == [("a", None), ("a", None)]
    assert group.list_commands(click.Context(group)) == ["a", "own"]
