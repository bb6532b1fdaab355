"""The help of every command fits 80 columns: no line is longer, no summary is cut, no command line is broken."""

from __future__ import annotations

import re
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
