"""`make demo`, with `algo` as its wheels install it: the guide, with the samples that come along, on a real photograph."""

import os
import re
import subprocess
from pathlib import Path

import pytest
from support.environments import ROOT, Environment
from support.shared import shared_environments

from algo_core.errors import ExitCode


def test_the_demonstration_does_as_the_guide_says(
    fresh_environment: Environment, tmp_path_factory: pytest.TempPathFactory, tmp_path: Path
) -> None:
    kept = shared_environments(tmp_path_factory)
    done = subprocess.run(
        [fresh_environment.bin / "python", ROOT / "examples" / "demo.py", "--environments", kept, "--keep", tmp_path],
        capture_output=True,
        text=True,
        timeout=900,
        env=dict(os.environ),
    )
    assert done.returncode == ExitCode.OK, done.stdout + done.stderr
    (steps,) = re.findall(r"^(\d+) commands did as the guide says", done.stdout, re.MULTILINE)
    assert re.findall(r"^ ?(\d+)\. \$ algo ", done.stdout, re.MULTILINE)[-1] == steps
    assert (tmp_path / "detected_faces.png").read_bytes().startswith(b"\x89PNG")
