"""The pytest plugin: fixtures for tests of `algo` and its plugins."""

from __future__ import annotations

from pathlib import Path

import pytest

from algo_core.testing import Home


@pytest.fixture(scope="session")
def algo_index_cache(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Where the homes of one test run keep their plugin index."""
    return tmp_path_factory.mktemp("algo-index")


@pytest.fixture
def algo_home(tmp_path: Path, algo_index_cache: Path) -> Home:
    """A home directory of its own; `algo_home.run(...)` runs `algo` in it."""
    return Home(tmp_path / "home", cache=algo_index_cache)
