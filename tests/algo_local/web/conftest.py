"""The world of `support.world`: one that tests leave as it is, and copies for those that change it."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from support.world import World, build_world

from algo_local.web.operations import Operation

if TYPE_CHECKING:
    from support.postgresql import PostgresqlServer


@pytest.fixture(scope="session")
def world(
    request: pytest.FixtureRequest, tests_database: str, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[World]:
    directory = tmp_path_factory.mktemp("world")
    if tests_database == "postgresql":
        server: PostgresqlServer = request.getfixturevalue("postgresql")
        world = build_world(directory, server.lend())
        world.copy_database = server.copy
    else:
        world = build_world(directory)
    yield world
    world.platform.close()


@pytest.fixture
def fresh(request: pytest.FixtureRequest, world: World, tmp_path: Path) -> Iterator[Callable[[], World]]:
    """A world that may be changed, as often as it is asked for."""
    made: list[World] = []

    def fresh() -> World:
        made.append(world.copy(tmp_path / f"world-{len(made)}"))
        return made[-1]

    yield fresh
    for copy in made:
        copy.platform.close()
        if url := copy.platform.state.metadata:
            request.getfixturevalue("postgresql").drop(url)


@pytest.fixture
def world_for(world: World, fresh: Callable[[], World]) -> Callable[[Operation], World]:
    """The world for an operation: a copy if the operation changes something."""
    return lambda operation: world if operation.method in {"GET", "HEAD", "OPTIONS"} else fresh()
