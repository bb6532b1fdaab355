"""The help of every command: it fits 80 columns, and its examples are commands that exist."""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterator

import click
import pytest

from algo_core import cli
from algo_core.context import App
from algo_core.testing import Home


def contexts() -> Iterator[tuple[tuple[str, ...], click.Context]]:
    """The paths of all commands, the root included, and what their help is made in."""
    app = App()
    root = cli.build()
    stack: list[tuple[tuple[str, ...], click.Command, click.Context]] = [
        ((), root, click.Context(root, info_name="algo", obj=app))
    ]
    while stack:
        path, command, ctx = stack.pop()
        yield path, ctx
        if isinstance(command, click.Group):
            for name in command.list_commands(ctx):
                _, below, _ = command.resolve_command(ctx, [name])
                if below is not None and not below.hidden:
                    stack.append(((*path, name), below, click.Context(below, info_name=name, parent=ctx, obj=app)))


PATHS = sorted(path for path, _ in contexts())


@pytest.mark.parametrize("path", PATHS, ids=" ".join)
def test_help_fits_eighty_columns(algo_home: Home, path: tuple[str, ...]) -> None:
    page = algo_home.run(*path, "--help", environ={"COLUMNS": "80"}).text
    assert page.startswith("Usage: algo")
    assert [line for line in page.splitlines() if len(line) > 80] == []
    _, _, text = page.partition("\n\n")
    assert [line for line in text.splitlines() if line.endswith("...")] == [], "a summary is cut"
    assert [line for line in text.splitlines() if re.search(r"\w-$", line)] == [], "a name is broken"


def test_there_are_many() -> None:
    assert len(PATHS) > 40


EXISTING = {"demo/Hello", "nlp/LDA", "dlib/FaceDetection"}
"""The algorithms that every platform has, or `algo local samples` brings."""

OWN = {"me", "acme"}
"""Owners that stand for the reader."""


def test_algorithms_in_examples_exist() -> None:
    named: dict[str, str] = {}
    for path, ctx in contexts():
        page = ctx.command.get_help(ctx)
        named.update({name: " ".join(path) for name in re.findall(r"(?<![\w./:-])[a-z]+/[A-Z][A-Za-z]+\b", page)})
    assert len(named.keys() & EXISTING) > 1
    assert {name: where for name, where in named.items() if name.partition("/")[0] not in OWN | {""}}.keys() <= EXISTING


def calls_in(page: str) -> Iterator[list[str]]:
    """The words of each call of `algo` in the examples of a help page, without the name of the program."""
    found = re.search(r"^ *(Examples?|bash):", page, re.MULTILINE)
    for line in page[found.end() :].splitlines() if found else ():
        if " algo " in f" {line.strip()} ":
            lexer = shlex.shlex(line, posix=True, punctuation_chars="();<>|&")
            lexer.whitespace_split = True
            lexer.commenters = ""
            yield from calls_among(list(lexer))


def calls_among(words: list[str]) -> Iterator[list[str]]:
    """The same for the words of one line: calls begin at its start, after variables, and after a pipe."""
    call: list[str] = []
    for word in [*words, "|"]:
        if set(word) <= set("();<>|&"):
            if call[:1] == ["algo"]:
                yield call[1:]
            call = []
        elif call or not re.match(r"\w+=|\$$|\w+:$", word):
            call.append(word)


def refused(root: click.Command, words: list[str]) -> str:
    """Why a call would be refused; empty if it would not be."""
    command, ctx = root, click.Context(root, info_name="algo", obj=App())
    while isinstance(command, click.Group) and words:
        name, below, words = command.resolve_command(ctx, words)
        assert below is not None
        command, ctx = below, click.Context(below, info_name=name, parent=ctx, obj=ctx.obj)
    ctx.allow_extra_args = bool(command.context_settings.get("allow_extra_args"))
    try:
        given, rest, _ = command.make_parser(ctx).parse_args(words)
    except click.UsageError as error:
        return error.format_message()
    missing = [
        param.name
        for param in command.params
        if param.required and not isinstance(given.get(str(param.name)), (str, tuple))
    ]
    return f"missing: {missing}" if missing else f"not taken: {rest}" if rest and not ctx.allow_extra_args else ""


COMMANDS = {
    path: ctx.command for path, ctx in contexts() if not isinstance(ctx.command, click.Group) and path[0] != "help"
}
"""All commands but the topics of `algo help`."""


@pytest.mark.parametrize("path", sorted(COMMANDS), ids=" ".join)
def test_every_command_has_an_example_that_it_would_accept(path: tuple[str, ...]) -> None:
    page = COMMANDS[path].get_help(click.Context(COMMANDS[path], obj=App()))
    calls = list(calls_in(page))
    assert [call for call in calls if call[: len(path)] == list(path)], "no example"
    root = cli.build()
    assert {" ".join(call): reason for call in calls if (reason := refused(root, call))} == {}


def test_every_group_has_an_example_that_it_would_accept() -> None:
    root = cli.build()
    for path, ctx in contexts():
        if isinstance(ctx.command, click.Group) and path not in {(), ("help",)}:
            calls = list(calls_in(ctx.command.get_help(ctx)))
            assert [call for call in calls if call[: len(path)] == list(path)], f"no example: {path}"
            assert {" ".join(call): reason for call in calls if (reason := refused(root, call))} == {}


SHORT = {"--yes": ["-y"], "--force": ["-f"], "--output": ["-o"], "--follow": ["-f"], "--recursive": ["-R", "-r"]}
"""Options that have the same short forms in every command."""


def test_short_options_mean_the_same_in_every_command() -> None:
    found = {
        (path, long): sorted(set(param.opts) - {long})
        for path, command in COMMANDS.items()
        for param in command.params
        for long in SHORT.keys() & set(param.opts)
    }
    assert {long for _, long in found} == set(SHORT)
    assert {key: short for key, short in found.items() if short != SHORT[key[1]]} == {}


@pytest.mark.parametrize("line", ["ls --nothing", "config get", "local key new jane --expire", "local key list x"])
def test_an_example_with_a_fault_is_told(line: str) -> None:
    assert refused(cli.build(), line.split())
