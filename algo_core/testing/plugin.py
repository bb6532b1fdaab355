"""The pytest plugin: fixtures for tests of `algo` and its plugins."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from algo_core.testing.clock import Clock
from algo_core.testing.fake import KEY, FakePlatform
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


@pytest.fixture
def algo_clock(algo_home: Home, tmp_path: Path) -> Clock:
    """The clock of `algo_home`: waits of its commands take no time, and `algo_clock.advance(seconds)` moves it."""
    clock = Clock(tmp_path / "moved-clock")
    clock.set_in(algo_home.environ)
    return clock


@pytest.fixture
def algo_fake_platform(algo_home: Home, request: pytest.FixtureRequest) -> Iterator[FakePlatform]:
    """A platform whose answers and faults the test chooses, as the default profile of `algo_home`.

    With `algo_clock` among the test's fixtures, keys expire and limits are counted by that clock.
    """
    clock = request.getfixturevalue("algo_clock") if "algo_clock" in request.fixturenames else None
    with FakePlatform(clock=clock) as platform:
        algo_home.write_config(f'[profiles.default]\naddress = "{platform.address}"\napi_key = "{KEY}"\n')
        yield platform
