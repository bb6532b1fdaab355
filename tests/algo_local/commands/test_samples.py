"""`algo local samples`: what it publishes is there, and is published once."""

from __future__ import annotations

from pathlib import Path

import pytest

from algo_local.algorithms import catalog
from algo_local.algorithms.configuration import read_configuration
from algo_local.algorithms.source_trees.sources import check_runnable, copy_tree, find_module
from algo_local.commands import samples
from algo_local.platform import Platform


@pytest.mark.parametrize("one", samples._SAMPLES, ids=lambda one: one.name)
def test_a_sample_can_be_published(tmp_path: Path, one: samples._Sample) -> None:
    directory = catalog.SAMPLES / one.name
    check_runnable(directory)
    copy_tree(directory, tmp_path, one.owner, one.name)
    assert find_module(tmp_path, one.name) == f"src.{one.name}"
    configuration = read_configuration(directory)
    assert (configuration.username, configuration.algoname) == (one.owner, one.name)


def test_samples_are_published_once(platform: Platform, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "LDA" / "src").mkdir(parents=True)
    (tmp_path / "LDA" / "src" / "__init__.py").touch()
    (tmp_path / "LDA" / "src" / "LDA.py").write_text("def apply(input):\n    return input\n")
    monkeypatch.setattr(samples, "SAMPLES", tmp_path)
    one = samples._SAMPLES[0]
    found = [samples._published(platform, one, lambda line: None) for _ in range(2)]
    assert [(version.text, version.public, is_new) for version, is_new in found] == [
        ("1.0.0", True, True),
        ("1.0.0", True, False),
    ]
    assert found[1][0].sample_input == one.input
