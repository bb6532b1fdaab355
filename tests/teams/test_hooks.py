"""Every hook: documented, with its signature and an example; each example is installed as a plugin and does what it says.

A hook's test has its name, `test_algo_...`; a hook without one fails `test_every_hook_has_a_test`.
"""

from __future__ import annotations

import ast
import hashlib
import hmac
import importlib.util
import json
import re
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path

import pytest

from algo_core.errors import ExitCode
from algo_core.plugins.hookspecs import HOOKS as DECLARED
from algo_core.testing import FakePlatform, Home

RENDER = Path(__file__).parents[2] / "docs" / "render.py"
_SPEC = importlib.util.spec_from_file_location("algo_docs_render", RENDER)
assert _SPEC
assert _SPEC.loader
render = importlib.util.module_from_spec(_SPEC)
_SPEC.loader.exec_module(render)

HOOKS = {hook.name: hook for hook in render.hooks()}
KEY = "sim" + "h" * 25


def test_the_page_is_up_to_date() -> None:
    assert render.PAGE.read_text("utf-8") == render.page(), "run: make docs"


def test_every_hook_has_a_test() -> None:
    assert list(HOOKS) == list(DECLARED)
    assert {f"test_{name}" for name in HOOKS} <= set(globals())


@pytest.mark.parametrize("name", HOOKS)
def test_a_hook_says_what_it_is_for_when_it_is_called_and_what_may_fail(name: str) -> None:
    documentation = ast.get_docstring(HOOKS[name]) or ""
    summary, *paragraphs = documentation.split("\n\n")
    assert "\n" not in summary
    assert summary.endswith(".")
    assert [p.partition(":")[0] for p in paragraphs if p.startswith(("When:", "Failures:"))] == ["When", "Failures"]


@pytest.mark.parametrize("name", HOOKS)
def test_the_page_has_a_hooks_exact_signature_under_its_heading(name: str) -> None:
    section = render.PAGE.read_text("utf-8").partition(f"\n## {name}\n")[2].partition("\n## ")[0]
    source = (render.CORE / "plugins/hookspecs.py").read_text("utf-8")
    shown = section.partition("```python\n")[2].partition("\n```")[0]
    assert shown.startswith(f"def {name}(")
    assert f"\n{shown}:" in source


@pytest.mark.parametrize("name", HOOKS)
def test_an_example_implements_its_hook(name: str) -> None:
    module = ast.parse(render.example(HOOKS[name]))
    implemented = [node.name for node in module.body if isinstance(node, ast.FunctionDef) and node.decorator_list]
    assert implemented == [name]


@pytest.fixture
def add_example(add_plugin: Callable[..., None]) -> Callable[..., None]:
    """Installs the example of a hook as the distribution `acme`."""

    def add(name: str, **modules: str) -> None:
        add_plugin("acme", render.example(HOOKS[name]), **modules)

    return add


class RefusingPlatform(FakePlatform):
    """A platform that knows nobody; its profile has a key."""

    @property
    def headers(self) -> Mapping[str, str]:
        """What the last request had."""
        return self.requests[-1].headers


@pytest.fixture
def refusing_platform() -> Iterator[RefusingPlatform]:
    with RefusingPlatform() as platform:
        platform.accounts.clear()
        yield platform


GREET = """
import click
from algo_core import pass_app

@click.command()
@pass_app
def greet(app):
    '''Greet somebody.'''
    app.output.print("hello")
"""


def test_algo_commands(add_example: Callable[..., None], algo_home: Home) -> None:
    add_example("algo_commands", commands=GREET)
    assert algo_home.run("greet").text == "hello\n"
    assert "Acme:\n  greet" in algo_home.run("--help").text


ARCHIVE = """
import io
from algo_core.storage.contract import Entry, Kind, Storage

class Archive(Storage):
    list = write = mkdir = rmdir = remove = None

    def stat(self, uri):
        return Entry(uri, Kind.FILE, size=5)

    def open(self, uri, offset=0, *, version=None):
        reader = File(b"hello"[offset:])
        reader.entry, reader.offset = self.stat(uri), offset
        return reader

class File(io.BytesIO):
    pass

def open_archive(app, uri):
    return Archive()
"""


def test_algo_variables(add_example: Callable[..., None], algo_home: Home) -> None:
    add_example("algo_variables")
    page = algo_home.run("help", "variables").text
    assert "ACME_TICKET ticket for the Acme archive" in [" ".join(line.split()) for line in page.splitlines()]
    assert "ALGO_LOCAL_FILE_SIZE" in page
    assert "ALGO_LOCAL" not in algo_home.run("--no-plugins", "help", "variables").text


def test_algo_connectors(add_example: Callable[..., None], algo_home: Home) -> None:
    add_example("algo_connectors", archive=ARCHIVE)
    assert algo_home.run("cat", "acme://greeting").text == "hello"
    assert algo_home.run("cat", "other://greeting").code == ExitCode.USAGE


def test_algo_executors(add_example: Callable[..., None], algo_home: Home) -> None:
    add_example("algo_executors", cluster="def open_executor(app, endpoint, directory):\n    return None\n")
    assert algo_home.run("plugins", "show", "acme", "--json").json[0]["executors"] == ["acme"]
    assert algo_home.complete("local", "serve", "--engine", "") == ["acme"]
    started = algo_home.run("local", "serve", "--port", "0", "--engine", "acme")
    assert (started.code, "it returned None" in started.stderr) == (ExitCode.PLUGIN, True)


def test_algo_default_profile(add_example: Callable[..., None], algo_home: Home) -> None:
    add_example("algo_default_profile")
    shown = algo_home.run("profile", "show", "--json").json
    assert (shown["address"], shown["origin"]) == ("https://api.acme.example", "acme-algo")
    assert algo_home.run("profile", "show", "other").code == ExitCode.CONFIGURATION
    algo_home.write_config('[profiles.default]\naddress = "https://mine.example"\n')
    assert algo_home.run("profile", "show", "--json").json["address"] == "https://mine.example"


def test_algo_credentials(add_example: Callable[..., None], algo_home: Home) -> None:
    add_example("algo_credentials")
    algo_home.write_config('[profiles.default]\naddress = "https://api.acme.example"\n')
    assert algo_home.run("profile", "show", "--json").json["credential"] is None
    shown = algo_home.run("profile", "show", "--json", environ={"ACME_TICKET": KEY}).json
    assert shown["credential_origin"] == "the Acme ticket"


def test_algo_settings(add_example: Callable[..., None], algo_home: Home) -> None:
    add_example("algo_settings")
    assert algo_home.run("config", "get", "acme.queue").text == "short\n"
    assert algo_home.run("config", "set", "acme.queue", "nowhere").code == ExitCode.CONFIGURATION
    assert algo_home.run("config", "set", "acme.patience", "5").code == ExitCode.OK
    assert algo_home.run("config", "get", "acme.patience").text == "5\n"


MOVE = """
import click
from algo_core import pass_app

@click.command()
@pass_app
def greet(app):
    app.output.print(app.copy("a", "b"))
"""
TRANSFER = "def copy(app, source, destination, **options):\n    return f'{source} to {destination}'\n"


def test_algo_services(add_example: Callable[..., None], add_plugin: Callable[..., None], algo_home: Home) -> None:
    add_example("algo_services", transfer=TRANSFER)
    source = render.example(HOOKS["algo_commands"]).replace("acme.", "other.")
    add_plugin("other", source, commands=MOVE)
    assert algo_home.run("--no-plugin", "algo-data", "greet").text == "a to b\n"
    both = algo_home.run("greet")
    assert (both.code, "acme 1.0 and algo-data" in both.stderr) == (ExitCode.PLUGIN, True)


def test_algo_observe(add_example: Callable[..., None], algo_home: Home) -> None:
    add_example("algo_observe")
    assert algo_home.run("ls").code == ExitCode.OK
    told = [json.loads(line) for line in (algo_home.root / "acme-audit.jsonl").read_text().splitlines()]
    assert [event["event"] for event in told] == ["CommandStarted", "RequestEnded", "CommandEnded"]


def test_algo_directory(add_example: Callable[..., None], algo_home: Home) -> None:
    add_example("algo_directory")
    (algo_home.root / "mine").mkdir()
    done = algo_home.run("run", "./mine", "-d", "x")
    assert (done.code, done.text) == (ExitCode.OK, "./mine at your service\n"), done.stderr


def test_algo_request_headers(
    add_example: Callable[..., None], algo_home: Home, refusing_platform: RefusingPlatform
) -> None:
    add_example("algo_request_headers")
    algo_home.run("ls", environ=refusing_platform.environ)
    assert refusing_platform.headers["X-Cost-Centre"] == "4711"


@pytest.mark.parametrize("given", ["{'X-Evil': 'a\\r\\nX-Other: b'}", "{'Content-Length': '5'}", "{'X': 3}", "'X: y'"])
def test_headers_that_cannot_be_sent_are_reported_and_left_out(
    add_plugin: Callable[..., None], algo_home: Home, refusing_platform: RefusingPlatform, given: str
) -> None:
    source = f"from algo_core import hookimpl\n\n@hookimpl\ndef algo_request_headers(profile):\n    return {given}\n"
    add_plugin("acme", source)
    listed = algo_home.run("ls", environ=refusing_platform.environ)
    assert listed.code == ExitCode.AUTHENTICATION
    assert "acme 1.0 failed in algo_request_headers" in listed.stderr
    assert not {"X-Evil", "X-Other", "X"} & set(refusing_platform.headers)


def test_the_page_says_how_to_do_without_options_and_wrappers(
    add_plugin: Callable[..., None], algo_home: Home, refusing_platform: RefusingPlatform
) -> None:
    """Its plugin works as it says: a setting, for single runs a variable, an administrator's word before both."""
    assert render.HOW_TO.read_text("utf-8").rstrip() in render.PAGE.read_text("utf-8")
    plugin, commands = render.how_to()
    setting, (variable, *single) = (line.split()[1:] for line in commands.splitlines())
    assert (setting[0], single[0], variable) == ("algo", "algo", "ACME_COST_CENTRE=0815")
    add_plugin("acme", plugin)

    def sent(*assigned: str) -> str | None:
        before = len(refusing_platform.requests)
        environ = dict(text.split("=") for text in assigned)
        called = algo_home.run(*single[1:], environ={**refusing_platform.environ, **environ})
        assert "acme" not in called.stderr
        (found,) = {request.headers.get("X-Cost-Centre") for request in refusing_platform.requests[before:]}
        return found

    assert sent() is None
    assert algo_home.run(*setting[1:]).code == ExitCode.OK
    assert (sent(), sent(variable), sent()) == ("4711", "0815", "4711")
    algo_home.site_file.write_text('[enforce]\nacme = { cost_centre = "1" }\n')
    assert sent(variable) == "1"
    algo_home.site_file.unlink()
    assert algo_home.run("config", "set", "acme.patience", "0.000001").code == ExitCode.OK
    assert re.fullmatch(r"algo config list took \d+ s\n", algo_home.run("config", "list").stderr)


def test_algo_sign(add_example: Callable[..., None], algo_home: Home, refusing_platform: RefusingPlatform) -> None:
    add_example("algo_sign")
    algo_home.run("ls", environ=refusing_platform.environ)
    headers = refusing_platform.headers
    url, nothing = f"{refusing_platform.environ['ALGORITHMIA_API']}/v1/data/", hashlib.sha256(b"").hexdigest()
    signed = "|".join(["GET", url, headers["X-Time"], nothing])
    secret = b"a secret that Acme shares with its platform"
    assert headers["X-Signature"] == hmac.new(secret, signed.encode(), "sha256").hexdigest()


def test_algo_transport(add_example: Callable[..., None], algo_home: Home) -> None:
    add_example("algo_transport")
    algo_home.write_config('[profiles.acme]\naddress = "acme:"\n[profiles.other]\naddress = "other:"\n')
    assert algo_home.run("ls", "--profile", "acme").text == "demo/\n"
    unreachable = algo_home.run("ls", "--profile", "other")
    assert (unreachable.code, "No installed plugin can reach other:" in unreachable.stderr) == (
        ExitCode.CONFIGURATION,
        True,
    )


def test_what_is_no_transport_is_reported(
    add_plugin: Callable[..., None], algo_home: Home, refusing_platform: RefusingPlatform
) -> None:
    add_plugin("acme", "from algo_core import hookimpl\n\n@hookimpl\ndef algo_transport(profile):\n    return 3\n")
    listed = algo_home.run("ls", environ=refusing_platform.environ)
    assert listed.code == ExitCode.AUTHENTICATION, "it went out by HTTP"
    assert "acme 1.0 failed in algo_transport: TypeError: it returned 3, which is no transport" in listed.stderr


def test_algo_configure_session(
    add_example: Callable[..., None], algo_home: Home, refusing_platform: RefusingPlatform
) -> None:
    add_example("algo_configure_session")
    listed = algo_home.run("ls", environ={**refusing_platform.environ, "ALGO_RETRIES": "0"})
    assert listed.code == ExitCode.NETWORK
    assert "The proxy failed" in listed.stderr


def test_algo_error_hints(
    add_example: Callable[..., None], algo_home: Home, refusing_platform: RefusingPlatform
) -> None:
    add_example("algo_error_hints")
    refused = algo_home.run("ls", environ=refusing_platform.environ)
    assert refused.code == ExitCode.AUTHENTICATION
    assert refused.stderr.endswith("hint: Keys are given out by helpdesk@acme.example\n")
    assert "helpdesk" not in algo_home.run("nonsense").stderr


def test_algo_doctor_checks(add_example: Callable[..., None], algo_home: Home) -> None:
    add_example("algo_doctor_checks")
    for environ, row in (
        ({}, {"check": "acme ticket", "ok": False, "text": "get a ticket with: acme login"}),
        ({"ACME_TICKET": KEY}, {"check": "acme ticket", "ok": True, "text": "you have a ticket"}),
    ):
        assert row in algo_home.run("doctor", "--json", environ=environ).json
