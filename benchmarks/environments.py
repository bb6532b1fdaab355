"""How long publishing takes: the first version that requires numpy, by uv and by pip, and one whose environment exists.

Each first publish begins with an empty platform and no cache, and downloads from the package index.
"""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path

_CODE = "import numpy\ndef apply(input):\n    return float(numpy.sum(input))\n"


def publish(directory: Path, root: Path, installer: str) -> float:
    """Seconds that `algo local publish` takes."""
    environ = {
        **{name: value for name, value in os.environ.items() if not name.startswith("UV_")},
        "ALGO_LOCAL_ROOT": str(root),
        "ALGO_LOCAL_INSTALLER": installer,
        "PIP_NO_CACHE_DIR": "1",
        "ALGO_CONFIG_DIR": str(root / "config"),
    }
    began = time.perf_counter()
    command = [sys.executable, "-m", "algo_core", "--quiet", "local", "publish", str(directory), "bench/Sum"]
    subprocess.run(command, env=environ, check=True, stdout=subprocess.DEVNULL)
    return time.perf_counter() - began


def main() -> None:
    """Measure and print."""
    with tempfile.TemporaryDirectory() as scratch:
        directory = Path(scratch, "algorithm")
        (directory / "src").mkdir(parents=True)
        (directory / "src" / "__init__.py").touch()
        (directory / "requirements.txt").write_text("numpy\n")
        first: dict[str, float] = {}
        for installer in ("pip", "uv"):
            (directory / "src" / "Sum.py").write_text(_CODE)
            first[installer] = publish(directory, Path(scratch, installer), installer)
        (directory / "src" / "Sum.py").write_text(f"{_CODE}# changed\n")
        (directory / "requirements.txt").write_text("# for sums\nnumpy\n")
        again = publish(directory, Path(scratch, "uv"), "uv")
    print(f"first publish with numpy, by pip: {first['pip']:6.2f} s")
    print(f"first publish with numpy, by uv:  {first['uv']:6.2f} s ({first['uv'] / first['pip']:.2f} of pip)")
    print(f"publish in an environment that exists: {again:.2f} s")


if __name__ == "__main__":
    main()
