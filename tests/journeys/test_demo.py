"""`make demo`: the guide, from `auth` to `cp` of the result, with real algorithms on a real photograph."""

import os
import subprocess
import sys

import pytest
from support.environments import ROOT
from support.shared import shared_environments


def test_the_demonstration_does_as_the_guide_says(tmp_path_factory: pytest.TempPathFactory) -> None:
    kept = shared_environments(tmp_path_factory)
    done = subprocess.run(
        [sys.executable, ROOT / "examples" / "demo.py", "--environments", kept],
        capture_output=True,
        text=True,
        timeout=900,
        env=dict(os.environ),
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert "21 commands did as the guide says" in done.stdout
    picture = ROOT / "build" / "demo" / "detected_faces.png"
    assert picture.read_bytes().startswith(b"\x89PNG")
