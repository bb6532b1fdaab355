"""`algo` as a process, on the platform of the test."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest


@pytest.fixture
def run_algo(
    root: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Callable[..., subprocess.CompletedProcess[str]]:
    """Run `algo` as a process: `algo("local", "status")`."""
    monkeypatch.setenv("ALGO_CONFIG_DIR", str(tmp_path / "config"))
    monkeypatch.setenv("ALGO_CACHE_DIR", str(tmp_path / "cache"))

    def algo(*arguments: str, **options: Any) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [sys.executable, "-m", "algo_core", *arguments],
            capture_output=True,
            text=True,
            timeout=120,
            check=False,
            stdin=subprocess.DEVNULL,
            **options,
        )

    return algo
