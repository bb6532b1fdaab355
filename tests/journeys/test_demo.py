"""`make demo`: the guide, from `auth` to `cp` of the result, with real algorithms on a real photograph."""

import os
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]


def test_the_demonstration_does_as_the_guide_says() -> None:
    done = subprocess.run(
        [sys.executable, ROOT / "examples" / "demo.py"],
        capture_output=True,
        text=True,
        timeout=900,
        env=dict(os.environ),
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert "21 commands did as the guide says" in done.stdout
    picture = ROOT / "build" / "demo" / "detected_faces.png"
    assert picture.read_bytes().startswith(b"\x89PNG")
