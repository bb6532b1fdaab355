"""A hook may be written in any way that can work; what cannot is said of the plugin that it is in, by everybody alike."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest
from support.shared import made_once, shared_directory

from algo_core.errors import ExitCode
from algo_core.testing import Home

HEAD = """
import functools
from algo_core import Command, Connector, DoctorCheck, Profile, hookimpl
"""

# Implementations of algo_error_hints(error), all of which answer.
WORKING = {
    "plain": "@hookimpl\ndef algo_error_hints(error):\n    return 'said ' + error.message\n",
    "defaulted": "@hookimpl\ndef algo_error_hints(error=None):\n    return 'said ' + error.message\n",
    "keyword-only": "@hookimpl\ndef algo_error_hints(*, error):\n    return 'said ' + error.message\n",
    "keyword-only, defaulted": "@hookimpl\ndef algo_error_hints(*, error=None):\n    return 'said ' + error.message\n",
    "positional-only": "@hookimpl\ndef algo_error_hints(error, /):\n    return 'said ' + error.message\n",
    "all by name": "@hookimpl\ndef algo_error_hints(**given):\n    return 'said ' + given['error'].message\n",
    "variadic": "@hookimpl\ndef algo_error_hints(*args, error):\n    return 'said ' + error.message\n",
    "of a later version": "@hookimpl\ndef algo_error_hints(error, colour=None):\n    return 'said ' + error.message\n",
    "like what came later": "@hookimpl\ndef algo_error_hints(error, apps=None):\n    return 'said ' + error.message\n",
    "handed on as in 1.0": "def hints(error):\n    return 'said ' + error.message\n"
    "@hookimpl\ndef algo_error_hints(**given):\n    return hints(**given)\n",
    "with app and the rest": "@hookimpl\ndef algo_error_hints(app, **given):\n    return app.environ['SAID'] + given['error'].message\n",
    "with app": "@hookimpl\ndef algo_error_hints(error, app):\n    return app.environ['SAID'] + error.message\n",
    "with app alone, first": "@hookimpl\ndef algo_error_hints(app, /):\n    return app.environ['SAID']\n",
    "another name": "@hookimpl(specname='algo_error_hints')\ndef hints(error):\n    return 'said ' + error.message\n",
    "static": "algo_error_hints = hookimpl(staticmethod(lambda error: 'said ' + error.message))\n",
    "partial": "def say(word, error):\n    return word + error.message\n"
    "algo_error_hints = hookimpl(functools.partial(say, 'said '))\n",
    "a callable object": "class Say:\n    def __call__(self, error):\n        return 'said ' + error.message\n"
    "algo_error_hints = hookimpl(Say())\n",
    "decorated": "def logged(f):\n    @functools.wraps(f)\n    def call(*args, **named):\n        return f(*args, **named)\n    return call\n"
    "@hookimpl\n@logged\ndef algo_error_hints(error):\n    return 'said ' + error.message\n",
    "a bound method": "class Say:\n    @hookimpl\n    def algo_error_hints(self, error):\n        return 'said ' + error.message\n"
    "algo_error_hints = Say().algo_error_hints\n",
    "asked last": "@hookimpl(trylast=True)\ndef algo_error_hints(error):\n    return 'said ' + error.message\n",
}  # fmt: skip

# What cannot work, and what is said of it.
FAULTY = {
    "no such argument": ("@hookimpl\ndef algo_error_hints(error, colour):\n    pass\n", "takes colour, which the hook does not give: its arguments are error, app"),
    "misspelt argument": ("@hookimpl\ndef algo_error_hints(eror):\n    pass\n", "takes eror, which the hook does not give"),
    "misspelt, defaulted": ("@hookimpl\ndef algo_error_hints(eror=None):\n    pass\n", "takes eror, which the hook does not give"),
    "misspelt, keyword-only": ("@hookimpl\ndef algo_error_hints(*, errors=None):\n    pass\n", "takes errors, which"),
    "self": ("@hookimpl\ndef algo_commands(self):\n    return []\n", "takes self, which the hook does not give: its arguments are app"),
    "misspelt hook": ("@hookimpl\ndef algo_error_hint(error):\n    pass\n", "algo_error_hint is no hook: did you mean algo_error_hints?"),
    "misspelt other name": ("@hookimpl(specname='algo_comands')\ndef f():\n    pass\n", "did you mean algo_commands?"),
    "no mark": ("def algo_error_hints(error):\n    pass\n", "algo_error_hints is not marked with @hookimpl"),
    "async": ("@hookimpl\nasync def algo_error_hints(error):\n    return 'x'\n", "algo_error_hints is async"),
    "async generator": ("@hookimpl\nasync def algo_error_hints(error):\n    yield 'x'\n", "algo_error_hints is async"),
    "generator": ("@hookimpl\ndef algo_commands():\n    yield Command('x', 'y:z', 'w')\n", "algo_commands is a generator"),
    "generator behind a partial": ("def f(a):\n    yield a\nalgo_commands = hookimpl(functools.partial(f, 1))\n", "is a generator"),
    "async, wrapped": ("async def f(error):\n    pass\n@hookimpl\n@functools.wraps(f)\ndef algo_error_hints(*a):\n    return f(*a)\n", "is async"),
    "async object": ("class A:\n    async def __call__(self, error):\n        pass\nalgo_error_hints = hookimpl(A())\n", "is async"),
    "wrapper": ("@hookimpl(wrapper=True)\ndef algo_error_hints(error):\n    return (yield)\n", "algo_error_hints is a wrapper"),
    "old wrapper": ("@hookimpl(hookwrapper=True)\ndef algo_error_hints(error):\n    yield\n", "algo_error_hints is a wrapper"),
    "in a class": ("class Hooks:\n    @hookimpl\n    def algo_error_hints(self, error):\n        pass\n", "algo_error_hints is in the class Hooks"),
    "in an object": ("class Hooks:\n    @hookimpl\n    def algo_error_hints(self, error):\n        pass\nhooks = Hooks()\ndel Hooks\n", "is in the class Hooks"),
    "static in a class": ("class Hooks:\n    @staticmethod\n    @hookimpl\n    def algo_error_hints(error):\n        pass\n", "is in the class Hooks"),
    "no function": ("algo_error_hints = hookimpl(type('T', (), {})())\n", "cannot be called"),
    "twice": ("@hookimpl\ndef algo_error_hints(error):\n    pass\n@hookimpl(specname='algo_error_hints')\ndef more(error):\n    pass\n", "algo_error_hints is implemented twice"),
    "no signature": ("algo_error_hints = hookimpl(type('M', (), {'__call__': dict.update})())\n", "algo_error_hints"),
}  # fmt: skip


@pytest.fixture(scope="session", params=["lowest", "highest"])
def pluggy(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Path | None:
    """The lowest pluggy that is allowed, in a folder of its own; None for the one that is installed."""
    if request.param == "highest":
        return None

    def install(folder: Path) -> None:
        pip = [sys.executable, "-m", "pip", "install", "--quiet", "--no-deps", "--target", str(folder), "pluggy==1.5.0"]
        subprocess.run(pip, check=True)

    return made_once(shared_directory(tmp_path_factory) / "pluggy", install)


@pytest.fixture
def home(algo_home: Home, plugin_folder, pluggy: Path | None) -> Home:
    folders = [str(plugin_folder.path), *([str(pluggy)] if pluggy else [])]
    algo_home.environ["PYTHONPATH"] = os.pathsep.join(folders)
    algo_home.environ["ALGO_CACHE_DIR"] = str(algo_home.root / "cache")
    return algo_home


def statuses(home: Home) -> dict[str, str]:
    return {row["distribution"]: row["status"] for row in home.run("plugins", "list", "--json").json}


def well_formed(home: Home, dist: str) -> str:
    """What `assert_plugin_well_formed` says, of what the home has installed."""
    code = f"from algo_core.testing import assert_plugin_well_formed; assert_plugin_well_formed({dist!r})"
    done = subprocess.run([sys.executable, "-c", code], env=home.environ, cwd=home.root, capture_output=True, text=True)
    return done.stderr


def test_every_signature_that_can_work_does(home: Home, plugin_folder) -> None:
    for number, source in enumerate(WORKING.values()):
        plugin_folder.add(f"acme-{number}", HEAD + source)
    plugin_folder.add("acme-last", HEAD + "@hookimpl\ndef algo_error_hints(error):\n    return 'and the last one'\n")
    result = home.run("profile", "remove", "nope", environ={"SAID": "said "})
    assert result.code == ExitCode.NOT_FOUND
    missing = [how for number, how in enumerate(WORKING) if statuses(home)[f"acme-{number}"] != "ok"]
    assert (missing, result.stderr.count("hint: said ")) == ([], len(WORKING)), result.stderr
    assert "hint: and the last one" in result.stderr
    assert "acme-" not in result.stderr.partition("hint")[0]


def test_what_cannot_work_is_said_of_its_plugin(home: Home, plugin_folder, add_command) -> None:
    names = {how: f"acme-bad-{number}" for number, how in enumerate(FAULTY)}
    for how, (source, _) in FAULTY.items():
        plugin_folder.add(names[how], HEAD + source)
    plugin_folder.add("acme-good", HEAD + "@hookimpl\ndef algo_error_hints(error):\n    return 'ask the help desk'\n")
    add_command("acme-cmd", "greet")
    first, second = home.run("profile", "remove", "nope"), home.run("profile", "remove", "nope")
    for how, (_, said) in FAULTY.items():
        told = next(line for line in first.stderr.splitlines() if f"plugin {names[how]} 1.0 is broken: " in line)
        assert said in told, how
    for result in (first, second):
        assert result.code == ExitCode.NOT_FOUND
        assert "hint: ask the help desk" in result.stderr
        assert not {"acme-good", "acme-cmd", "Traceback", "awaited"} & set(result.stderr.split())
    assert "warning" not in second.stderr
    assert home.run("greet").text == "hello\n"
    found = statuses(home)
    for how, (_, said) in FAULTY.items():
        assert found[names[how]].startswith("broken: "), how
        assert said in found[names[how]], how
    assert (found["acme-good"], found["acme-cmd"]) == ("ok", "ok")


@pytest.mark.parametrize("pluggy", ["highest"], indirect=True)
@pytest.mark.parametrize("how", FAULTY)
def test_authors_are_told_the_same(home: Home, plugin_folder, how: str) -> None:
    source, said = FAULTY[how]
    plugin_folder.add("acme-bad", HEAD + source)
    assert said in well_formed(home, "acme-bad")
    assert said in home.run("plugins", "show", "acme-bad").text


def test_a_hook_of_another_version_is_no_fault(home: Home, plugin_folder) -> None:
    plugin_folder.add("acme-new", HEAD + "@hookimpl\ndef algo_of_the_future():\n    pass\n" + WORKING["plain"])
    shown = home.run("plugins", "show", "acme-new").text
    assert "status: ok" in shown
    assert "algo_of_the_future, which is no hook of this version" in shown
    assert "algo_of_the_future" in well_formed(home, "acme-new")


@pytest.mark.parametrize(
    "body",
    ["async def later(): pass\n@hookimpl\ndef algo_configure_session(session):\n    return later()\n",
     "def later():\n    yield\n@hookimpl\ndef algo_configure_session(session):\n    return later()\n"],
)  # fmt: skip
def test_an_answer_that_never_comes_is_told(home: Home, plugin_folder, stub, body: str) -> None:
    plugin_folder.add("acme-late", HEAD + body)
    home.write_config(f'[profiles.default]\naddress = "{stub.address}"\napi_key = "sim{"k" * 25}"\n')
    result = home.run("plugins", "trace", "ls", environ={"http_proxy": "http://127.0.0.1:9", "no_proxy": "localhost"})
    assert "acme-late 1.0 failed in algo_configure_session: TypeError" in result.stderr
    assert "never awaited" not in result.stderr
