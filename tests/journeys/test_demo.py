"""`make demo`: the guide, from `auth` to `cp` of the result, with real algorithms on a real photograph."""

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest
from support.environments import ROOT
from support.shared import shared_environments

from algo_core.errors import ExitCode


def test_the_demonstration_does_as_the_guide_says(tmp_path_factory: pytest.TempPathFactory, tmp_path: Path) -> None:
    kept = shared_environments(tmp_path_factory)
    done = subprocess.run(
        [sys.executable, ROOT / "examples" / "demo.py", "--environments", kept, "--keep", tmp_path],
        capture_output=True,
        text=True,
        timeout=900,
        env=dict(os.environ),
    )
    assert done.returncode == ExitCode.OK, done.stdout + done.stderr
    (steps,) = re.findall(r"^(\d+) commands did as the guide says", done.stdout, re.MULTILINE)
    assert re.findall(r"^ ?(\d+)\. \$ algo ", done.stdout, re.MULTILINE)[-1] == steps
    assert (tmp_path / "detected_faces.png").read_bytes().startswith(b"\x89PNG")
