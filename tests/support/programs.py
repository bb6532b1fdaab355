"""Programs beyond PyPI that some tests need; `make test-deps` installs them."""

from __future__ import annotations

import os
import shutil

import pytest


def needs(name: str) -> None:
    """Skip a test whose program is missing; in continuous integration that is a failure."""
    if not shutil.which(name):
        reason = f"{name} is missing: make test-deps"
        if os.environ.get("CI"):
            pytest.fail(reason)
        pytest.skip(reason)
