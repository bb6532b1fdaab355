"""Plugins made on the spot."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest


class PluginFolder:
    """Installs distributions that are made on the spot into a folder of `sys.path`."""

    def __init__(self, path: Path) -> None:
        self.path = path
        path.mkdir(parents=True, exist_ok=True)

    def add(
        self, dist: str, source: str, *, version: str = "1.0", commands: str = "", entry: str | None = None
    ) -> Path:
        """A distribution whose plugin module is `source`, and whose `commands` module is imported when one runs."""
        package = dist.replace("-", "_")
        home = self.path / package
        home.mkdir(exist_ok=True)
        (home / "__init__.py").write_text("")
        (home / "plugin.py").write_text(source)
        (home / "commands.py").write_text(commands)
        info = self.path / f"{package}-{version}.dist-info"
        info.mkdir(exist_ok=True)
        (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {dist}\nVersion: {version}\n")
        (info / "entry_points.txt").write_text(f"[algo.plugins]\n{entry or package} = {package}.plugin\n")
        return home


@pytest.fixture
def plugin_folder(tmp_path: Path) -> PluginFolder:
    return PluginFolder(tmp_path / "extra-site")


COMMAND_PLUGIN = """
from algo_core import Command, hookimpl

@hookimpl
def algo_commands():
    return [Command("{name}", "{package}.commands:run", help="Say {name}.", group="Acme")]
"""

COMMAND_MODULE = """
import click
from algo_core import pass_app

@click.command()
@pass_app
def run(app):
    '''Say something.'''
    app.output.print("{text}")
"""


@pytest.fixture
def add_command(plugin_folder: PluginFolder) -> Callable[..., Path]:
    """Adds a distribution with one command that prints a text."""

    def add(dist: str, name: str, text: str = "hello", **options: Any) -> Path:
        package = dist.replace("-", "_")
        return plugin_folder.add(
            dist,
            COMMAND_PLUGIN.format(name=name, package=package),
            commands=COMMAND_MODULE.format(text=text),
            **options,
        )

    return add


@pytest.fixture
def plain_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    """Nothing of the environment speaks to sessions, and nobody waits before trying again."""
    monkeypatch.setattr("algo_core.http.retry.FIRST_SECONDS", 0.001)
    for name in ("REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE", "http_proxy", "https_proxy", "all_proxy", "no_proxy"):
        monkeypatch.delenv(name, raising=False)
        monkeypatch.delenv(name.upper(), raising=False)
