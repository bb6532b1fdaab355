"""A platform that writes what could harm a terminal into everything, and a profile for it."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from support.hostile import EVIL, HostilePlatform
from support.stub import KEY

from algo_core.testing import Home


@pytest.fixture
def hostile() -> Iterator[HostilePlatform]:
    platform = HostilePlatform()
    platform.start()
    yield platform
    platform.close()


@pytest.fixture
def home(algo_home: Home, hostile: HostilePlatform) -> Home:
    """A home with a profile for the hostile platform, where names and contents of local files are no better."""
    algo_home.write_config(f'[profiles.default]\naddress = "{hostile.address}"\napi_key = "{KEY}"\n')
    algo_home.environ |= {
        "TERM": "xterm",
        "PIP_NO_INDEX": "1",
        "UV_OFFLINE": "1",
        "ALGO_RETRIES": "0",
        "EDITOR": "true",
    }
    for name in ("NO_COLOR", "VISUAL"):
        algo_home.environ.pop(name, None)
    (algo_home.root / "local-file").write_bytes(EVIL.encode() + bytes(range(256)))
    return algo_home
