"""The options of `algo run` for the environment of an algorithm in a directory."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, TypeVar

import click

from algo_core.errors import UsageError
from algo_core.text import decoded
from algo_run.target import Surroundings

if TYPE_CHECKING:
    from algo_core.context import App

F = TypeVar("F", bound=Callable[..., Any])

_OPTIONS = (
    click.option(
        "--env",
        multiple=True,
        metavar="NAME[=VALUE]",
        help="For a directory: set an environment variable; without VALUE, pass on your own (repeatable).",
    ),
    click.option(
        "--env-file",
        multiple=True,
        metavar="FILE",
        type=click.Path(),
        help="For a directory: set environment variables from FILE.",
    ),
    click.option(
        "--secret",
        multiple=True,
        metavar="NAME",
        help="For a directory: set this secret of the algorithm (repeatable).",
    ),
)


def directory_options(function: F) -> F:
    """Add the options to a command's function, which takes their values as keyword arguments."""
    for option in reversed(_OPTIONS):
        function = option(function)
    return function


def others(given: dict[str, Any]) -> dict[str, Any]:
    """The values of other options."""
    return {name: value for name, value in given.items() if name not in {"env", "env_file", "secret"}}


def surroundings(app: App, given: dict[str, Any]) -> Surroundings:
    """The variables that the options set, those of `--env` in the place of those of files, and the names of secrets.

    Raises:
        UsageError: if one is not `NAME=VALUE`, or the name of a variable that is set.
        OSError: if a file cannot be read.
    """
    variables: dict[str, str] = {}
    for path in given["env_file"]:
        with open(path, "rb") as file:
            lines = decoded(file.read(), "surrogateescape").splitlines()
        for number, line in enumerate(lines, start=1):
            if (text := line.strip()) and not text.startswith("#"):
                name, value = _variable(app, text.removeprefix("export "), f"{path}, line {number}")
                variables[name] = _unquoted(value.strip())
    variables.update(_variable(app, text, "--env") for text in given["env"])
    return Surroundings(variables, given["secret"])


def _variable(app: App, text: str, where: str) -> tuple[str, str]:
    name, equals, value = text.partition("=")
    name = name.strip()
    if not re.fullmatch(r"[A-Za-z_][A-Za-z0-9_]*", name, re.ASCII):
        # Without the value, which may be a secret.
        raise UsageError(f"{where}: not the name of a variable: {name[:50]!r}", "Write NAME=VALUE")
    if not equals:
        if name not in app.environ:
            raise UsageError(f"{where}: {name} has no value, and is not set here", f"Write {name}=VALUE")
        value = app.environ[name]
    return name, value


def _unquoted(value: str) -> str:
    is_quoted = len(value) >= 2 and value[0] == value[-1] and value[0] in "\"'"
    return value[1:-1] if is_quoted else value
