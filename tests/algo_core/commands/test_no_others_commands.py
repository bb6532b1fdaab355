"""The core names no command that it has not: what others bring, it learns from them."""

from __future__ import annotations

import re
from pathlib import Path

import click
import pytest
from support.environments import ROOT

from algo_core.cli import BUILT_IN, build
from algo_core.context import App
from algo_core.plugins.manager import Plugins
from algo_core.plugins.policy import Policy
from algo_core.testing import Home


@pytest.fixture(scope="module")
def others(tmp_path_factory: pytest.TempPathFactory) -> list[str]:
    """The commands that the distributions of this repository bring, the core's apart."""
    home = str(tmp_path_factory.mktemp("home"))
    app = App({"ALGO_CACHE_DIR": home, "ALGO_CONFIG_DIR": home, "HOME": home})
    names = {row[0] for record in app.plugins.records if record.dist.startswith("algo-") for row in record.commands}
    assert {"run", "cp", "local", "plugins install", "help uris"} <= names
    return sorted(names - BUILT_IN.keys(), key=len, reverse=True)


def test_no_source_of_the_core_names_a_command_of_others(others: list[str]) -> None:
    named = re.compile(rf"\balgo\s+(?:--?\S+\s+)*(?:{'|'.join(map(re.escape, others))})\b")
    found = [
        f"{path.relative_to(ROOT)}: {match[0]}"
        for path in sorted((ROOT / "algo_core").rglob("*"))
        if path.is_file() and "__pycache__" not in path.parts
        for match in named.finditer(path.read_text("utf-8"))
    ]
    assert found == []


def test_every_command_below_the_cores_own_that_it_names_is_there() -> None:
    """`algo config origins` or `algo plugins instal` would send people nowhere."""
    root = build()
    named = re.compile(rf"\balgo ({'|'.join(BUILT_IN)}) ([a-z][\w-]+)")
    seen = 0
    with click.Context(root, info_name="algo", obj=App({"ALGO_DISABLE_PLUGINS": "*"})) as ctx:
        groups = {name: root.get_command(ctx, name) for name in BUILT_IN}
        for path in sorted((ROOT / "algo_core").rglob("*.py")):
            for name, word in named.findall(path.read_text("utf-8")):
                group = groups[name]
                if isinstance(group, click.Group) and name != "help":
                    seen += 1
                    assert word in group.commands, f"{path.relative_to(ROOT)}: algo {name} {word}"
    assert seen > 20


def test_no_page_of_the_core_alone_names_one(algo_home: Home, others: list[str]) -> None:
    algo_home.environ["ALGO_DISABLE_PLUGINS"] = "*,algo-plugins"
    shown = ""
    for words in ([], ["help"], ["help", "variables"], ["help", "--help"], ["plugins", "--help"], ["doctor", "--help"]):
        shown += algo_home.run(*words).text
    for word in ("ALGO_LOCAL", "embedded", "hosted"):
        assert word not in shown
    for name in others:
        assert not re.search(rf"(\balgo |['`]){re.escape(name)}\b", shown), name
    assert "ALGO_CACHE_DIR" in shown


def test_a_suggestion_is_the_name_that_the_command_has(tmp_path: Path) -> None:
    from algo_core.plugins.index import PluginRecord

    plugins = Plugins(str(tmp_path), Policy(), lambda text: None)
    one, other = PluginRecord("a", "a.plugin", "acme-a", "1"), PluginRecord("b", "b.plugin", "acme-b", "1")
    one.commands = [("acme get", "a:b", "", "", False, "", "install"), ("show", "a:c", "", "", False, "", "try")]
    plugins.__dict__["records"] = [one, other]
    assert plugins.to_install("x>=1", "y") == "algo acme get 'x>=1' y"
    assert plugins.suggested("try") == "algo show"
    assert plugins.suggested("restore") is None
    one.error = "it is broken"
    assert plugins.suggested("try") is None
    assert "algo acme" not in plugins.to_install("x")
    assert plugins.to_install("x").endswith("install x")
