"""Plugins made on the spot."""

from __future__ import annotations

import fcntl
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from support.environments import STANDARD, Environment, standard_environment, wheels_of
from support.shared import made_once, shared_directory

from algo_core.testing import Home


@pytest.fixture
def site(tmp_path: Path, algo_home: Home, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder of distributions that `algo`, and these tests, find."""
    folder = tmp_path / "site"
    folder.mkdir()
    monkeypatch.setattr(sys, "path", [*sys.path, str(folder)])  # the first entry is that of the script
    algo_home.environ |= {"PYTHONPATH": str(folder), "ALGO_CACHE_DIR": str(tmp_path / "cache")}
    return folder


@pytest.fixture
def add_plugin(site: Path) -> Callable[..., None]:
    """Adds a distribution with a plugin module, and other modules beside it: `add_plugin("acme", "...", archive="...")`."""

    def add(dist: str, plugin: str, **modules: str) -> None:
        package = site / dist.replace("-", "_")
        package.mkdir()
        for name, source in {"__init__": "", "plugin": plugin, **modules}.items():
            (package / f"{name}.py").write_text(source, "utf-8")
        info = site / f"{package.name}-1.0.dist-info"
        info.mkdir()
        (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {dist}\nVersion: 1.0\n")
        (info / "entry_points.txt").write_text(f"[algo.plugins]\n{package.name} = {package.name}.plugin\n")

    return add


@pytest.fixture
def team_environment(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Environment]:
    """An environment in which the core, the standard plugins and pytest are installed; of one test at a time."""
    fresh, place = standard_environment(tmp_path_factory), shared_directory(tmp_path_factory) / "team"

    def make(directory: Path) -> None:
        environment = fresh.copy(directory)
        environment.install("algo-core[standard,testing]", "hatchling", "editables", "mypy", "ruff")

    environment = Environment(made_once(place, make), wheels_of(tmp_path_factory, *STANDARD))
    with place.with_name("team.used").open("w") as used:
        fcntl.flock(used, fcntl.LOCK_EX)  # its tests install something
        yield environment
