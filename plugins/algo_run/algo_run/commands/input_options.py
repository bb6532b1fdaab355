"""The options that give the input of a call: `-d`, `-t`, `-j` and `-b`, and their capitals for files."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar

import click

from algo_run.completion import complete_input
from algo_run.payload import Given

F = TypeVar("F", bound=Callable[..., Any])

_GIVEN = "algo_run.given"


def _input(kind: str, short: str, long: str, text: str, *, is_file: bool = False) -> Callable[[F], F]:
    """An input option. All of them append to one list, so that two inputs are detected."""

    def remember(ctx: click.Context, parameter: click.Parameter, values: tuple[str, ...]) -> None:
        given = ctx.meta.setdefault(_GIVEN, [])
        given.extend(Given(short, kind, value, is_file) for value in values)

    return click.option(
        short,
        long,
        multiple=True,
        expose_value=False,
        callback=remember,
        type=click.Path() if is_file else str,
        metavar="FILE" if is_file else "BYTES" if kind == "binary" else "JSON" if kind == "json" else "TEXT",
        help=text,
        shell_complete=complete_input if kind in {"data", "json"} and not is_file else None,
    )


_OPTIONS = (
    _input("data", "-d", "--data", "Input: JSON if it is valid JSON, else text."),
    _input("data", "-D", "--data-file", "Input from a file: JSON, else UTF-8 text, else binary.", is_file=True),
    _input("text", "-t", "--text", "Text input."),
    _input("text", "-T", "--text-file", "Text input from a file (UTF-8).", is_file=True),
    _input("json", "-j", "--json-data", "JSON input."),
    _input("json", "-J", "--json-file", "JSON input from a file.", is_file=True),
    _input("binary", "-b", "--binary", "Binary input."),
    _input("binary", "-B", "--binary-file", "Binary input from a file.", is_file=True),
)


def input_options(command: F) -> F:
    """Decorates a command: its inputs are what `given_inputs` has."""
    for option in reversed(_OPTIONS):
        command = option(command)
    return command


def given_inputs(ctx: click.Context) -> list[Given]:
    """The inputs that were typed, in their order."""
    found: list[Given] = ctx.meta.get(_GIVEN, [])
    return found
