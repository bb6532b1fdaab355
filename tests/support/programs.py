"""Programs beyond PyPI that some tests need; `make test-deps` installs them."""

from __future__ import annotations

import os
import shutil
from typing import NoReturn

import pytest


def needs(name: str) -> None:
    """Skip a test whose program is missing."""
    if not shutil.which(name):
        lacks(f"{name} is missing: make test-deps")


def lacks(reason: str) -> NoReturn:
    """Skip a test for what this machine lacks; in continuous integration that is a failure."""
    if os.environ.get("CI"):
        pytest.fail(reason)
    pytest.skip(reason)
