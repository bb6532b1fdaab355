"""A fresh environment that the wheels of all distributions are installed in, as people install them."""

from __future__ import annotations

from pathlib import Path

import pytest
from support.environments import STANDARD, Environment, standard_environment, wheels_of

from algo_core.testing import Home


@pytest.fixture(scope="session")
def wheels(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A directory with a wheel of every distribution."""
    return wheels_of(tmp_path_factory, *STANDARD)


@pytest.fixture(scope="session")
def fresh_environment(tmp_path_factory: pytest.TempPathFactory) -> Environment:
    """An environment in which `algo-core[standard]` was installed, and nothing else."""
    return standard_environment(tmp_path_factory)


@pytest.fixture
def installed(fresh_environment: Environment, tmp_path: Path) -> Home:
    """A home whose `algo` is the one of the fresh environment."""
    return Home(tmp_path / "home", program=fresh_environment.bin / "algo")


@pytest.fixture
def core_alone(wheels: Path, tmp_path: Path) -> Home:
    """A home in which only the core is installed."""
    environment = Environment(tmp_path / "venv", wheels)
    environment.install("algo-core")
    return Home(tmp_path / "home", program=environment.bin / "algo")
