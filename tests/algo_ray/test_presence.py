"""Ray is no part of what every developer installs: without it, the tests of this directory are left out."""

from __future__ import annotations

from importlib.util import find_spec

import pytest


def test_ray_is_installed() -> None:
    if not find_spec("ray"):
        pytest.skip("Ray is not installed: `make test-cluster` installs it and runs the tests of algo-ray")
    assert find_spec("algo_ray")
