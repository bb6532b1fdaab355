"""How long publishing takes: the first version that requires numpy, by uv and by pip, and one whose environment exists.

Each first publish begins with an empty platform and no cache, and downloads from the package index.
"""

from __future__ import annotations

import os
import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import NamedTuple

_CODE = "import numpy\ndef apply(input):\n    return float(numpy.sum(input))\n"


class Cost(NamedTuple):
    """Seconds on the clock, and of processors."""

    elapsed: float
    processor: float


def publish(directory: Path, root: Path, installer: str) -> Cost:
    """What `algo local publish` costs."""
    environ = {
        **{name: value for name, value in os.environ.items() if not name.startswith("UV_")},
        "ALGO_LOCAL_ROOT": str(root),
        "ALGO_LOCAL_INSTALLER": installer,
        "PIP_NO_CACHE_DIR": "1",
        "ALGO_CONFIG_DIR": str(root / "config"),
    }
    began, before = time.perf_counter(), resource.getrusage(resource.RUSAGE_CHILDREN)
    command = [sys.executable, "-m", "algo_core", "--quiet", "local", "publish", str(directory), "bench/Sum"]
    subprocess.run(command, env=environ, check=True, stdout=subprocess.DEVNULL)
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    return Cost(time.perf_counter() - began, after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime)


def main() -> None:
    """Measure and print."""
    with tempfile.TemporaryDirectory() as scratch:
        directory = Path(scratch, "algorithm")
        (directory / "src").mkdir(parents=True)
        (directory / "src" / "__init__.py").touch()
        (directory / "requirements.txt").write_text("numpy\n")
        first: dict[str, Cost] = {}
        for installer in ("pip", "uv"):
            (directory / "src" / "Sum.py").write_text(_CODE)
            first[installer] = publish(directory, Path(scratch, installer), installer)
        (directory / "src" / "Sum.py").write_text(f"{_CODE}# changed\n")
        (directory / "requirements.txt").write_text("# for sums\nnumpy\n")
        again = publish(directory, Path(scratch, "uv"), "uv")
    for installer, cost in first.items():
        print(
            f"first publish with numpy, by {installer:<3} {cost.elapsed:6.2f} s, {cost.processor:.2f} s of processors"
        )
    ratios = [first["uv"][part] / first["pip"][part] for part in range(2)]
    print(f"uv to pip: {ratios[0]:.2f} on the clock, {ratios[1]:.2f} of processors")
    print(f"publish in an environment that exists: {again.elapsed:.2f} s")


if __name__ == "__main__":
    main()
