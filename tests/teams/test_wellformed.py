"""`assert_plugin_well_formed` names what is wrong, and nothing where nothing is."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from algo_core.testing import Home, assert_plugin_well_formed

HEAD = "from algo_core import Command, Connector, hookimpl\n"
GOOD_COMMANDS = (
    "import click\n@click.command()\ndef run():\n    'Say something.'\n"
    "@click.command()\ndef silent(): pass\n"
    "def opened(app, uri): pass\n"
    "def narrow(uri): pass\n"
)


def commands(*calls: str) -> str:
    return HEAD + "@hookimpl\ndef algo_commands():\n    return [" + ", ".join(calls) + "]\n"


def connectors(*calls: str) -> str:
    return HEAD + "@hookimpl\ndef algo_connectors():\n    return [" + ", ".join(calls) + "]\n"


GOOD = "Command('greet', 'acme.commands:run', 'Greet somebody.', 'Acme')"

BAD = {
    "import error": ("import no_such_module\n", "acme.plugin cannot be imported: ModuleNotFoundError"),
    "exit": ("import os\nos._exit(3)\n", "acme.plugin ended the interpreter with exit code 3"),
    "third-party import": ("import requests\n" + commands(GOOD), "acme.plugin imports "),
    "heavy import": ("import sqlite3\n" + commands(GOOD), "imports sqlite3 when it is loaded"),
    "heavy import through the core": (
        "from algo_core.http.requests_transport import retry_policy\n" + commands(GOOD),
        "requests",
    ),
    "no hook": ("x = 1\n", "implements no hook"),
    "unknown hook": (HEAD + "@hookimpl\ndef algo_greet():\n    pass\n", "implements algo_greet, which is no hook"),
    "unknown argument": (
        HEAD + "@hookimpl\ndef algo_error_hints(error, colour):\n    pass\n",
        "takes colour, which the hook does not give: its arguments are error",
    ),
    "later hook API": ("ALGO_API = '>=7'\n" + commands(GOOD), "it needs hook API >=7"),
    "rubbish": (HEAD + "@hookimpl\ndef algo_commands():\n    return 3\n", "returned 3, not a list"),
    "odd name": (commands("Command('Greet_All', 'acme.commands:run', 'Greet.', 'Acme')"), "'Greet_All' is not named"),
    "built-in name": (commands("Command('auth', 'acme.commands:run', 'Greet.', 'Acme')"), "a built-in one"),
    "no help": (commands("Command('greet', 'acme.commands:run', '', 'Acme')"), "needs a help line"),
    "long help": (commands("Command('greet', 'acme.commands:run', 'x' * 81, 'Acme')"), "needs a help line"),
    "no group": (commands("Command('greet', 'acme.commands:run', 'Greet.')"), "has no group"),
    "no such target": (commands("Command('greet', 'acme.commands:walk', 'Greet.', 'Acme')"), "no attribute 'walk'"),
    "no command": (commands("Command('greet', 'acme.commands:opened', 'Greet.', 'Acme')"), "not a click command"),
    "no docstring": (commands("Command('greet', 'acme.commands:silent', 'Greet.', 'Acme')"), "has no docstring"),
    "odd scheme": (connectors("Connector('A', 'acme.commands:opened', 'Files.')"), "The scheme 'A' is not"),
    "no connector help": (connectors("Connector('acme', 'acme.commands:opened')"), "needs a help line"),
    "no opener": (connectors("Connector('acme', 'acme.nothing:opened', 'Files.')"), "cannot be loaded"),
    "reserved scheme": (connectors("Connector('data', 'acme.commands:opened', 'Files.')"), "reserved for algo-data"),
    "no text": (commands("Command('greet', 3, 'Greet.', 'Acme')"), "target is 3, not a text"),
    "an object": ("from acme.commands import run as plugin\n", "implements no hook"),
    "narrow opener": (connectors("Connector('acme', 'acme.commands:narrow', 'Files.')"), "called with (app, uri)"),
}


@pytest.mark.parametrize("kind", BAD)
def test_what_is_wrong_is_said(add_plugin: Callable[..., None], kind: str) -> None:
    source, said = BAD[kind]
    add_plugin("acme", source, commands=GOOD_COMMANDS)
    with pytest.raises(AssertionError) as caught:
        assert_plugin_well_formed("acme")
    assert said in str(caught.value)
    assert str(caught.value).count("\n- ") <= 1, "one fault is one line"


def test_all_that_is_wrong_is_said_at_once(add_plugin: Callable[..., None]) -> None:
    add_plugin(
        "acme", "import requests\n" + commands("Command('auth', 'acme.commands:silent', '')"), commands=GOOD_COMMANDS
    )
    with pytest.raises(AssertionError) as caught:
        assert_plugin_well_formed("acme")
    assert str(caught.value).count("\n- ") == 5


def test_what_is_well_formed_passes(add_plugin: Callable[..., None]) -> None:
    add_plugin(
        "acme",
        "import click, dataclasses, pathlib\nALGO_API = '>=1,<2'\n" + commands(GOOD)
        + "@hookimpl\ndef algo_connectors():\n    return [Connector('acme', 'acme.commands:opened', 'Files.')]\n",
        commands="import requests\n" + GOOD_COMMANDS,
    )  # fmt: skip
    assert_plugin_well_formed("Acme")


@pytest.mark.parametrize("dist", ["algo-run", "algo-data", "algo-env", "algo-manage", "algo-local", "algo-plugins"])
def test_the_standard_plugins_are_well_formed(dist: str) -> None:
    assert_plugin_well_formed(dist)


def test_a_distribution_that_is_no_plugin_is_told() -> None:
    with pytest.raises(AssertionError, match="No installed distribution 'pytest' has"):
        assert_plugin_well_formed("pytest")


DEPRECATE = """
import warnings
from algo_core.plugins import hookspecs
hookspecs.algo_error_hints.algo_spec["warn_on_impl_args"] = {"error": DeprecationWarning("take failure instead")}
"""


def test_deprecated_arguments_concern_the_author_only(
    algo_home: Home, site: Path, add_plugin: Callable[..., None]
) -> None:
    """The interpreter's start-up file stands in for a later core, whose specification wants to be rid of an argument."""
    (site / "sitecustomize.py").write_text(DEPRECATE)
    add_plugin("acme", HEAD + "@hookimpl\ndef algo_error_hints(error):\n    return 'ask the help desk'\n")
    note = "algo_error_hints takes the deprecated argument error: take failure instead"
    with pytest.warns(DeprecationWarning, match=note):
        assert_plugin_well_formed("acme")
    algo_home.environ["PYTHONWARNINGS"] = "always"
    failed = algo_home.run("profile", "remove", "nope")
    assert failed.stderr.splitlines()[-1] == "hint: ask the help desk"
    assert "take failure instead" not in failed.stderr
    assert f"remarks: {note}" in algo_home.run("plugins", "show", "acme").text
    assert note in algo_home.run("doctor").text
    assert algo_home.run("--help").stderr == ""
