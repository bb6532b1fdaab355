"""`algo local dev --watch`: seconds from an edit to the answer of the changed algorithm, beyond its own load.

    python benchmarks/development.py [EDITS]

The algorithm loads in no time, so what is measured is the platform's: noticing, building, starting a worker, answering.
"""

from __future__ import annotations

import json
import os
import re
import signal
import statistics
import subprocess
import sys
import tempfile
import time
import urllib.request
from pathlib import Path

GOAL = 0.5
"""Seconds that an edit may take."""


def served(directory: Path, root: Path) -> tuple[subprocess.Popen[str], str, str]:
    """A server of a directory, its address and its key."""
    environ = {**os.environ, "ALGO_LOCAL_ROOT": str(root / "platform"), "ALGO_CACHE_DIR": str(root / "cache")}
    command = [sys.executable, "-m", "algo_core", "local", "dev", str(directory), "--watch", "--port", "0"]
    process = subprocess.Popen(command, env=environ, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True)
    assert process.stdout
    first, second = process.stdout.readline(), process.stdout.readline()
    (key,) = re.findall(r"sim\w{25}", second)
    return process, first.split()[-1], key


def answer(url: str, key: str) -> object:
    """What the algorithm answers."""
    headers = {"Authorization": f"Simple {key}", "Content-Type": "text/plain"}
    with urllib.request.urlopen(urllib.request.Request(url, b"x", headers), timeout=60) as response:
        return json.load(response).get("result")


def main(edits: int) -> None:
    """Measure, and print the figures."""
    with tempfile.TemporaryDirectory() as scratch:
        root = Path(scratch)
        source = root / "mine" / "src"
        source.mkdir(parents=True)
        (source / "__init__.py").touch()
        (source.parent / "algorithmia.conf").write_text('{"username": "me", "algoname": "Mine"}')
        module = source / "Mine.py"
        module.write_text("def apply(input):\n    return -1\n")
        process, url, key = served(source.parent, root)
        seconds = []
        try:
            assert answer(url, key) == -1
            for number in range(edits):
                module.write_text(f"def apply(input):\n    return {number}\n")
                began = time.perf_counter()
                assert answer(url, key) == number
                seconds.append(time.perf_counter() - began)
        finally:
            process.send_signal(signal.SIGINT)
            process.wait()
    slowest = max(seconds)
    print(f"{edits} edits: median {statistics.median(seconds):.3f} s, slowest {slowest:.3f} s (goal: {GOAL} s)")
    sys.exit(slowest > GOAL)


if __name__ == "__main__":
    main(int(sys.argv[1]) if sys.argv[1:] else 20)
