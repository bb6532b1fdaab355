"""The pytest plugin: fixtures for tests of `algo` and its plugins."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from algo_core.testing.home import Home, Result
from algo_core.testing.platform import Platform


@pytest.fixture(scope="session")
def algo_index_cache(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Where the homes of one test run keep their plugin index."""
    return tmp_path_factory.mktemp("algo-index")


@pytest.fixture
def algo_home(tmp_path: Path, algo_index_cache: Path) -> Home:
    """A home directory of its own; `algo_home.run(...)` runs `algo` in it."""
    return Home(tmp_path / "home", cache=algo_index_cache)


@pytest.fixture
def invoke(algo_home: Home) -> Callable[..., Result]:
    """Runs `algo` in `algo_home`, as a process: `invoke("ls", "--json").json`."""
    return algo_home.run


@pytest.fixture
def algo_platform(algo_home: Home) -> Iterator[Platform]:
    """The embedded platform as the default profile of `algo_home`; `algo_platform.serve()` serves it with a key."""
    platform = Platform(algo_home)
    yield platform
    platform.close()
