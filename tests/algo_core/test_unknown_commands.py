"""An unknown command or option is answered with the one that is meant."""

from __future__ import annotations

import click
import pytest

from algo_core import App, cli
from algo_core.errors import ExitCode
from algo_core.testing import Home
from algo_core.unknown_commands import _MEANINGS, suggestions

MEANT = {
    "login": "algo auth",
    "lgoin": "algo auth",
    "LOGIN": "algo auth",
    "configure": "algo auth",
    "whoami": "algo profile show",
    "version": "algo --version",
    "copy": "algo cp",
    "delete": "algo rm",
    "list": "algo ls",
    "calls": "algo requests",
    "invoke": "algo run",
    "serve": "algo local serve",
    "connector": "algo local connector",
    "publish": "algo ",
    "deploy": "algo local publish, algo algorithms publish",
    "rotate": "algo keys rotate",
    "env": "algo environment, algo local env",
    "halp": "algo help",
    "profile ls": "algo profile list",
    "config rm": "algo config unset",
    "plugins add": "algo plugins install",
    "plugins ls": "algo plugins list",
    "local servee": "algo local serve",
    "local algorithms": "algo algorithms",
    "local key ls": "algo local key list",
    "local key create": "algo local key new",
    "local key rm": "algo local key revoke",
    "local env delete": "algo local env remove",
    "local connector test2": "algo local connector test",
    "algorithms info": "algo algorithms show",
    "algorithms rm": "algo algorithms delete",
    "algorithms clone": "algo clone",
    "secrets rm": "algo secrets remove",
    "keys new": "algo keys create",
    "keys delete": "algo keys revoke",
    "acl show": "algo acl get",
}
"""What people type, and the beginning of what is suggested."""


def test_the_command_that_is_meant_is_suggested(algo_home: Home) -> None:
    wrong = {}
    for typed, meant in MEANT.items():
        result = algo_home.run(*typed.split())
        error, hint = result.stderr.splitlines()
        told = (result.code, result.text, error, hint[: len(meant) + 25].removeprefix("hint: Did you mean: "))
        if told[:3] != (ExitCode.USAGE, "", f"error: There is no command '{typed}'") or not told[3].startswith(meant):
            wrong[typed] = told
    assert wrong == {}


def test_a_word_that_resembles_none_leads_to_the_list(algo_home: Home) -> None:
    for typed in ("xyzzy", "local xyzzy", "local key xyzzy", "acl .my/a"):
        result = algo_home.run(*typed.split())
        assert result.code == ExitCode.USAGE
        assert f"'{' '.join(['algo', *typed.split()[:-1]])} --help' lists the commands" in result.stderr


def test_every_suggestion_exists_and_a_hidden_command_is_none() -> None:
    root = cli.build()
    ctx = click.Context(root, info_name="algo", obj=App())
    known = {*root.shown(ctx), "--version"}
    below = {
        "install",
        "uninstall",
        "unset",
        "edit",
        "new",
        "get",
        "set",
        "use",
        "add",
    }  # in groups that are not indexed
    assert {name for name in _MEANINGS if name not in known and not any(k.endswith(f" {name}") for k in known)} <= below
    siblings = [name for name, claims in root.top(ctx).items() if not claims[0].hidden]
    for name, words in _MEANINGS.items():
        for word in set(words.split()) - set(siblings) if name in known else ():
            assert name in suggestions(word, "", siblings, known) or len(suggestions(word, "", siblings, known)) == 3
    assert "git-credential" not in known
    assert "git-credential" not in suggestions("git-credentials", "", siblings, known)


@pytest.mark.parametrize(
    ("words", "hint"),
    [
        (("run", "demo/Hello", "--tiemout", "3"), "Did you mean --timeout or --text? See: algo run --help"),
        (("local", "key", "new", "--exprise", "3"), "Did you mean --expires"),
        (("ls", "--nothing-like-this"), "See: algo ls --help"),
        (("--porfile", "x"), "Did you mean --profile"),
    ],
)
def test_an_unknown_option_is_explained_in_the_hint(algo_home: Home, words: tuple[str, ...], hint: str) -> None:
    result = algo_home.run(*words)
    option = next(word for word in words if word.startswith("--"))
    assert result.code == ExitCode.USAGE
    error, told = result.stderr.splitlines()
    assert error == f"error: No such option '{option}'"
    assert told.startswith(f"hint: {hint}")
