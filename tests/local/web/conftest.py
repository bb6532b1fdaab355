"""The world of `support.world`, for tests that leave it as it is."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from support.world import World, publish

from algo_local.platform import Platform
from algo_local.web.app import Application


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    directory = tmp_path_factory.mktemp("world")
    platform = Platform(directory / "platform")
    keys = {"nobody": "", "stranger": "sim" + "x" * 25}
    for name in ("alice", "bob"):
        keys[name] = platform.metadata.new_key(platform.metadata.ensure_account(name), "test")
    keys["administrator"] = platform.metadata.new_key(platform.account, "test")
    publish(platform, directory / "source", "alice/Algo", public=True)
    publish(platform, directory / "source", "alice/Secret", public=False)
    failures: list[str] = []
    values = {
        "algorithm": "alice/Algo",
        "reference*": "alice/Algo",
        "path*": "alice/private/f",
        "location*": "data/alice/private/f",
        "username": "alice",
        "language": "python3",
        "specificationId": "f626effa-e519-431e-9d7a-0d3a7563ae1e",
        "algohash": "1.0.0",
        "buildid": "none",
    }
    world = World(platform, Application(platform, on_failure=failures.append), keys, values, failures)
    world.ask("POST", "data/.my", "alice", {"name": "private", "acl": {"read": []}})
    world.ask("PUT", "data/alice/private/f", "alice", b"secret")
    yield world
    platform.close()
