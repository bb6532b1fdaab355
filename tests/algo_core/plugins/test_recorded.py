"""What is recorded as installed belongs to `algo`, and is not missed in the environment of an isolated plugin."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from algo_core.plugins.recorded import missing
from algo_core.settings.config import Config, Layer

RECORD = Layer({"plugins": {"installed": ["acme-greet"], "isolated": ["acme-apart"]}}, "config.toml")


def test_an_isolated_plugin_misses_nothing_of_algo(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    config = Config(RECORD, [], {"ALGO_DATA_DIR": str(tmp_path / "data"), "HOME": str(tmp_path)})
    assert missing(config) == ["acme-greet", "acme-apart"]
    (tmp_path / "data").symlink_to(tmp_path / "real")
    environment = tmp_path / "real" / "isolated" / "acme-apart"
    environment.mkdir(parents=True)
    monkeypatch.setattr(sys, "prefix", str(environment))
    assert missing(config) == []
