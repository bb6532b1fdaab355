"""Hints: what an error advises can be carried out, and clears that error; commands and options that it names exist."""

from __future__ import annotations

import ast
import os
import re
import shlex
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import click
import pytest
from support.environments import ROOT
from support.stub import KEY, StubPlatform

from algo_core.cli import build
from algo_core.context import App
from algo_core.errors import ExitCode
from algo_core.testing import Home

WRONG = "sim" + "w" * 25
CODES = {"a wrong command": 2, "configuration": 3, "a key": 4, "something missing": 5, "the network": 6}


class Case:
    """A home in which something is wrong: the command that fails, and what `algo auth` is told if it is advised."""

    def __init__(
        self, home: Home, stub: StubPlatform, add_command: Callable[..., Path], add: Callable[..., Path]
    ) -> None:
        self.home = home
        self.address = stub.address
        self.add_command = add_command
        self.add = add
        self.environ: dict[str, str] = {"ALGO_RETRIES": "0"}
        self.words = ["ls"]
        self.ends = True
        """Whether the command can succeed in the end; the others were wrong, and another is advised."""

    def profile(
        self, *, address: str | None = None, key: str = KEY, name: str = "default", more: str = "", top: str = ""
    ) -> None:
        self.home.write_config(
            f'{top}\n[profiles.{name}]\naddress = "{address or self.address}"\napi_key = "{key}"\n{more}\n'
        )

    def run(self, *words: str) -> Any:
        return self.home.run(*words, environ=self.environ)

    def carry_out(self, hint: str) -> None:
        """Do what a hint says: the first command in it."""
        found = re.search(r"`([^`]+)`|: (algo [^;]+)", hint)
        assert found, hint
        words = shlex.split(found[1] or found[2])
        if words[0] == "unset":
            del self.environ[words[1]]
        elif words[0] == "export":
            name, _, value = words[1].partition("=")
            self.environ[name] = value
        elif words[:2] == ["algo", "auth"]:
            result = self.home.run(*words[1:], input=f"{self.address}\n{KEY}\n\n", environ=self.environ)
            assert result.code == ExitCode.OK, result
        else:
            assert words[0] == "algo", hint
            result = self.run(*words[1:])
            assert result.code == ExitCode.OK, result


CONNECTOR = """
from algo_core import Connector, hookimpl

@hookimpl
def algo_connectors():
    return [Connector("acme", "{package}.commands:opened", "Files.")]
"""
OPENED = """
from algo_core.storage import Entry, Kind, Storage

class Empty(Storage):
    open = write = mkdir = rmdir = remove = None
    def stat(self, uri): return Entry(uri, Kind.DIRECTORY)
    def list(self, uri): return iter(())

def opened(app, uri):
    return Empty()
"""


def unknown_member(case: Case) -> None:
    case.profile(more='adress = "https://a.example"')


def unknown_setting(case: Case) -> None:
    case.profile(top="retrys = 3")


def unknown_table(case: Case) -> None:
    case.profile(more="[plugin]\ndisabled = []")


def wrong_value(case: Case) -> None:
    case.profile(more='timeout = "soon"')


def odd_name(case: Case) -> None:
    case.profile(more='[profiles."it\'s mine; really"]\nadress = "x"')


def wrong_variable(case: Case) -> None:
    case.profile()
    case.environ["ALGO_TIMEOUT"] = "soon"


def wrong_key(case: Case) -> None:
    case.profile(key=WRONG)


def wrong_key_of_a_named_profile(case: Case) -> None:
    case.profile(key=WRONG, name="work")
    case.words = ["--profile", "work", "ls"]


def no_key(case: Case) -> None:
    case.home.write_config(f'[profiles.default]\naddress = "{case.address}"\n')


def wrong_key_in_the_environment(case: Case) -> None:
    case.profile()
    case.environ["ALGORITHMIA_API_KEY"] = WRONG


def wrong_address(case: Case) -> None:
    case.profile(address="http://127.0.0.1:9")


def wrong_address_in_the_environment(case: Case) -> None:
    case.profile()
    case.environ["ALGORITHMIA_API"] = "http://127.0.0.1:9"


def no_address_in_the_environment(case: Case) -> None:
    case.profile()
    case.environ["ALGORITHMIA_API"] = "127.0.0.1"


def http_beyond_this_machine(case: Case) -> None:
    case.profile(address=case.address.replace("localhost", "0.0.0.0"))  # which leads here, and does not say so


def https_to_http(case: Case) -> None:
    case.profile(address=case.address.replace("http:", "https:"))


def https_to_http_in_the_environment(case: Case) -> None:
    case.profile()
    case.environ["ALGORITHMIA_API"] = case.address.replace("http:", "https:")


def no_profile(case: Case) -> None:
    case.profile()
    case.words = ["--profile", "work", "ls"]


def a_choice_that_leads_nowhere(case: Case) -> None:
    case.profile(top='profile = "gone"')


def a_variable_that_leads_nowhere(case: Case) -> None:
    case.profile()
    case.environ["ALGO_PROFILE"] = "gone"


def using_no_profile(case: Case) -> None:
    case.words = ["profile", "use", "work"]


def removing_almost_a_profile(case: Case) -> None:
    case.profile(name="work")
    case.words, case.ends = ["profile", "remove", "wrok"], False


def a_secret_as_a_setting(case: Case) -> None:
    case.words, case.ends = ["config", "set", "profiles.work.api_key", "x"], False


def an_older_profile_with_our_name_for_the_address(case: Case) -> None:
    (case.home.root / ".algorithmia").mkdir()
    file = case.home.root / ".algorithmia" / "config"
    file.write_text(f'[profiles.default]\napi_key = "{KEY}"\naddress = "{case.address}"\n')


def a_disabled_plugin(case: Case) -> None:
    case.add_command("acme-a", "greet")
    case.run("greet")
    case.home.write_config('[plugins]\ndisabled = ["acme-a"]\n')
    case.words = ["greet"]


def all_plugins_disabled(case: Case) -> None:
    case.add_command("acme-a", "greet")
    case.run("greet")
    case.home.write_config('[plugins]\ndisabled = ["*"]\n')
    case.words = ["greet"]


def a_plugin_disabled_by_a_variable(case: Case) -> None:
    case.add_command("acme-a", "greet")
    case.run("greet")
    case.environ["ALGO_DISABLE_PLUGINS"] = "acme-a"
    case.words = ["greet"]


def two_plugins_with_a_command(case: Case) -> None:
    case.add_command("acme-a", "greet")
    case.add_command("acme-b", "greet")
    case.words = ["greet"]


def two_plugins_with_a_scheme(case: Case) -> None:
    for name in ("acme-a", "acme-b"):
        case.add(name, CONNECTOR.format(package=name.replace("-", "_")), commands=OPENED)
    case.words = ["ls", "acme://x"]


def a_scheme_of_a_disabled_plugin(case: Case) -> None:
    case.add("acme-a", CONNECTOR.format(package="acme_a"), commands=OPENED)
    case.run("--help")
    case.home.write_config('[plugins]\ndisabled = ["acme-a"]\n')
    case.words = ["ls", "acme://x"]


CASES = [value for value in list(globals().values()) if getattr(value, "__annotations__", {}).get("case") == "Case"]


@pytest.fixture
def case(algo_home: Home, stub: StubPlatform, plugin_folder: Any, add_command: Callable[..., Path]) -> Case:
    algo_home.environ["PYTHONPATH"] = str(plugin_folder.path)
    algo_home.environ["ALGO_CACHE_DIR"] = str(algo_home.root / "cache")
    return Case(algo_home, stub, add_command, plugin_folder.add)


@pytest.mark.parametrize("make", CASES, ids=lambda make: make.__name__)
def test_carrying_out_the_hint_clears_the_error(case: Case, make: Callable[[Case], None]) -> None:
    make(case)
    result = case.run(*case.words)
    assert result.code in CODES.values(), result
    (error,) = re.findall(r"^error: (.*)$", result.stderr, re.MULTILINE)
    hint = re.findall(r"^hint: (.*)$", result.stderr, re.MULTILINE)[0]
    doctor = case.run("doctor")
    assert "algo doctor" not in doctor.text + doctor.stderr, "the doctor does not send anybody to the doctor"
    case.carry_out(hint)
    again = case.run(*case.words)
    if case.ends:
        assert (again.code, error in again.stderr) == (ExitCode.OK, False), (hint, again)


def test_there_are_cases() -> None:
    assert len(CASES) > 25


@pytest.mark.parametrize("words", [["ls", "data://my/x"], ["ls", "my/x"], ["cat", "data://my/x/f"], ["rm", "data://my/x/f"],
                                   ["du", "data://my/x"], ["stat", "my/x"], ["cp", "data://my/x/f", "."]])  # fmt: skip
def test_ones_own_data_without_the_dot(algo_home: Home, words: list[str], tmp_path: Path) -> None:
    work = tmp_path / "work"
    work.mkdir()
    (work / "g").write_text("x")
    algo_home.run("mkdir", ".my/x")
    algo_home.run("cp", "g", "data://.my/x/f", cwd=work)
    result = algo_home.run(*words, cwd=work)
    assert result.code == ExitCode.NOT_FOUND
    found = re.search(r"Did you mean (\S+)\?", result.stderr)
    assert found, result.stderr
    meant = [found[1] if word.removeprefix("data://").startswith("my") else word for word in words]
    assert algo_home.run(*meant, cwd=work).code == ExitCode.OK


@pytest.mark.parametrize("scheme", ["s3", "s3+prod", "gs", "azureblob", "dropbox"])
def test_a_store_that_is_not_connected_says_how(algo_home: Home, scheme: str) -> None:
    result = algo_home.run("ls", f"{scheme}://bucket")
    assert result.code == ExitCode.NOT_FOUND
    hint = re.findall(r"^hint: (.*)$", result.stderr, re.MULTILINE)[0]
    command = re.search(r"`algo ([^`]+)`", hint)
    assert command, hint
    assert algo_home.run(*shlex.split(command[1])).code == ExitCode.OK
    away = {"AWS_EC2_METADATA_DISABLED": "true", "AWS_ENDPOINT_URL": "http://127.0.0.1:9", "AWS_ACCESS_KEY_ID": "x",
            "AWS_SECRET_ACCESS_KEY": "x", "AWS_MAX_ATTEMPTS": "1", "STORAGE_EMULATOR_HOST": "http://127.0.0.1:9"}  # fmt: skip
    if scheme.startswith("s3"):  # the others need options, or would ask the network for them
        assert "No connector" not in algo_home.run("ls", f"{scheme}://bucket", environ=away).stderr
    assert "direct" in algo_home.config_file.read_text()


# Commands and options in messages

_COMMAND = re.compile(r"\balgo ([a-z][\w-]*(?: (?:--?)?[\w-]+(?:\.[\w-]+)*)*)")


def texts(tree: ast.AST) -> Iterator[str]:
    """The texts in a module that are no docstrings, with X in the place of what is filled in."""
    docstrings = {
        id(node.body[0].value)
        for node in ast.walk(tree)
        if isinstance(node, (ast.Module, ast.FunctionDef, ast.ClassDef))
        and node.body
        and isinstance(node.body[0], ast.Expr)
    }
    joined: set[int] = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.JoinedStr):
            joined |= {id(part) for part in node.values}
            yield "".join(str(part.value) if isinstance(part, ast.Constant) else "X" for part in node.values)
    for node in ast.walk(tree):
        if isinstance(node, ast.Constant) and isinstance(node.value, str) and id(node) not in joined | docstrings:
            yield node.value


def named_commands() -> Iterator[tuple[str, list[str]]]:
    sources = [*(ROOT / "algo_core").rglob("*.py"), *(ROOT / "plugins").glob("*/algo_*/**/*.py")]
    for file in sources:
        if "templates" in file.parts or "scaffold" in file.parts:
            continue
        for text in texts(ast.parse(file.read_text("utf-8"))):
            for command in _COMMAND.findall(text):
                yield f"{file.relative_to(ROOT)}: algo {command}", command.split()


def test_every_command_that_a_message_names_exists_with_its_options(tmp_path: Path) -> None:
    """`--insecure-http` is no advice on a command that does not have it."""
    app = App({**os.environ, "ALGO_CACHE_DIR": str(tmp_path), "ALGO_CONFIG_DIR": str(tmp_path), "HOME": str(tmp_path)})
    root = build()
    seen = 0
    with click.Context(root, info_name="algo", obj=app) as context:
        known = set(root.list_commands(context))
        for where, words in named_commands():
            if words[0] not in known:
                continue
            seen += 1
            command: click.Command | None = root
            rest = list(words)
            while rest and isinstance(command, click.Group) and not rest[0].startswith("-") and rest[0] != "X":
                command = command.resolve_command(context, [rest.pop(0)])[1]
                assert command is not None, where
            assert command is not None
            options = {
                option for parameter in command.params for option in (*parameter.opts, *parameter.secondary_opts)
            }
            options |= {"--help", "-h", *(option for parameter in root.params for option in parameter.opts)}
            for word in rest:
                # of an option whose name is filled in, nothing is known here
                assert not word.startswith("--") or word in {*options, "--X"}, where
    assert seen > 60
