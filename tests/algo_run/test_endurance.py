"""The run of `make endurance`, small: a batch and its platform are killed, and each input has one result."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

SCRIPT = Path(__file__).parents[2] / "benchmarks" / "endurance.py"


def test_a_batch_and_its_platform_are_killed_again_and_again() -> None:
    command = [sys.executable, str(SCRIPT), "--inputs", "2000", "--client-kills", "3", "--platform-kills", "1"]
    done = subprocess.run(command, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "3 kills of the client, 1 of the platform" in done.stdout
    assert "every input has its result, once" in done.stdout


def test_results_that_are_missing_wrong_or_there_twice_are_found(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.syspath_prepend(SCRIPT.parent)
    import endurance

    figures = endurance.Figures(4)
    run = endurance.Run(tmp_path, figures)
    rows = [(0, {"n": 0}), (2, {"n": 2}), (2, {"n": 2}), (3, {"n": 4})]
    lines = ["{}", *(json.dumps({"index": index, "result": result}) for index, result in rows)]
    run.results.write_text("\n".join(lines) + "\n")
    run.check()
    assert figures.problems == ["1 results are missing", "1 results are wrong", "1 results are there twice"]
