"""Services: the functions of plugins behind `app.copy` and `app.run_algorithm`, and what is said where one is not there."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import pytest

from algo_core import App
from algo_core.errors import ExitCode, PluginError
from algo_core.plugins.types import SERVICES
from algo_core.testing import Home

CALLS = {
    "copy": lambda app: app.copy("a", "b"),
    "run_algorithm": lambda app: app.run_algorithm("demo/Hello", "x"),
}

SOURCE = """
from algo_core import Service, hookimpl

@hookimpl
def algo_services():
    return [Service(name, "{package}.commands:serve") for name in {names!r}]
"""


@pytest.mark.parametrize("name", SERVICES)
def test_without_its_distribution_a_call_says_what_to_install(
    algo_home: Home, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    app = App(algo_home.environ)
    records = [record for record in app.plugins.records if record.dist != SERVICES[name]]
    monkeypatch.setitem(app.plugins.__dict__, "records", records)
    with pytest.raises(PluginError, match=f"app.{name} needs the plugin {SERVICES[name]}, which is not inst") as raised:
        CALLS[name](app)
    assert raised.value.hint
    assert SERVICES[name] in raised.value.hint
    assert raised.value.hint.startswith("Install it with: ")


@pytest.mark.parametrize("name", SERVICES)
def test_a_disabled_distribution_is_named_with_what_enables_it(algo_home: Home, name: str) -> None:
    algo_home.environ["ALGO_DISABLE_PLUGINS"] = SERVICES[name]
    with pytest.raises(PluginError, match="which does not take part") as raised:
        CALLS[name](App(algo_home.environ))
    assert "ALGO_DISABLE_PLUGINS" in (raised.value.hint or "")


@pytest.mark.parametrize(
    ("names", "commands", "said"),
    [
        (["copy"], "", "Several plugins give app.copy: acme-moves 1.0 and algo-data"),
        (["run_algorithm"], "", "Several plugins give app.run_algorithm: acme-moves 1.0 and algo-run"),
    ],
)
def test_two_that_give_one_are_both_named(
    algo_home: Home, plugin_folder: Any, monkeypatch: pytest.MonkeyPatch, names: list[str], commands: str, said: str
) -> None:
    plugin_folder.add("acme-moves", SOURCE.format(package="acme_moves", names=names), commands=commands)
    monkeypatch.setattr(sys, "path", [*sys.path, str(plugin_folder.path)])
    app = App({**algo_home.environ, "ALGO_CACHE_DIR": str(algo_home.root / "own")})
    with pytest.raises(PluginError, match=said):
        CALLS[names[0]](app)


@pytest.mark.parametrize(
    ("commands", "said"),
    [
        ("def serve(app, *given, **options):\n    return given", "('a', 'b')"),
        ("raise ImportError('gone')", "acme-moves 1.0 is broken: ImportError: gone"),
        ("", "acme-moves 1.0 is broken: AttributeError"),
    ],
)
def test_another_distribution_may_give_one(
    algo_home: Home, plugin_folder: Any, monkeypatch: pytest.MonkeyPatch, commands: str, said: str
) -> None:
    monkeypatch.delitem(sys.modules, "acme_moves.commands", raising=False)
    plugin_folder.add("acme-moves", SOURCE.format(package="acme_moves", names=["copy"]), commands=commands)
    monkeypatch.setattr(sys, "path", [*sys.path, str(plugin_folder.path)])
    environ = {"ALGO_CACHE_DIR": str(algo_home.root / "own"), "ALGO_DISABLE_PLUGINS": "algo-data"}
    try:
        found = str(App({**algo_home.environ, **environ}).copy("a", "b"))
    except PluginError as error:
        found = error.message
    for name in [name for name in sys.modules if name.startswith("acme_moves")]:
        del sys.modules[name]
    assert said in found


def test_a_command_that_calls_what_is_not_there_ends_with_the_plugins_code(
    algo_home: Home, plugin_folder: Any, add_command: Any
) -> None:
    home: Path = add_command("acme-cmd", "move")
    (home / "commands.py").write_text(
        "import click\nfrom algo_core import pass_app\n@click.command()\n@pass_app\ndef run(app):\n    app.copy('a', 'b')\n"
    )
    algo_home.environ |= {"PYTHONPATH": str(plugin_folder.path), "ALGO_CACHE_DIR": str(algo_home.root / "cache")}
    result = algo_home.run("--no-plugin", "algo-data", "move")
    assert (result.code, "app.copy needs the plugin algo-data" in result.stderr) == (ExitCode.PLUGIN, True)
    assert "Traceback" not in result.stderr
