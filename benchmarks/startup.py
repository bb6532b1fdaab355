"""Start-up, as ratios to `python -c pass`, to a bare click program and to the older command line's `algo --help`.

Run with `make benchmarks`. Builds wheels, installs them and the PyPI package `algorithmia` into fresh environments,
compiles them, and prints a table; nothing is left behind.
"""

from __future__ import annotations

import argparse
import contextlib
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

from measure import Job, clean_environ, ratio, rounds

from plugins import TYPED, measured

ROOT = Path(__file__).resolve().parent.parent
STANDARD = ("algo_run", "algo_data", "algo_env", "algo_manage", "algo_local", "algo_plugins")

BARE_CLICK = """
import click
@click.group()
def main():
    'A bare click program with as many commands.'
for name in {names!r}:
    main.command(name, help='Do something useful.')(lambda: None)
main()
"""


def environment(path: Path, *packages: str | Path) -> Path:
    """A virtual environment with these packages, compiled; its python."""
    subprocess.run([sys.executable, "-m", "venv", path], check=True)
    python = path / "bin" / "python"
    pip = [python, "-m", "pip", "install", "--quiet", "--disable-pip-version-check"]
    subprocess.run([*pip, "--upgrade", "pip"], check=True)
    if packages:
        subprocess.run([*pip, *map(str, packages)], check=True)
    return python


@contextlib.contextmanager
def served(algo: str, environ: dict[str, str]) -> Iterator[dict[str, str]]:
    """A served platform; the environment in which both command lines reach it."""
    key = subprocess.run(
        [algo, "local", "key", "new", "bench"], env=environ, capture_output=True, text=True, check=True
    )
    server = subprocess.Popen([algo, "local", "serve", "--port", "0"], env=environ, stderr=subprocess.PIPE, text=True)
    try:
        assert server.stderr
        address = next(line.split()[-1] for line in server.stderr if "http://" in line)
        yield {**environ, "ALGORITHMIA_API": address, "ALGORITHMIA_API_KEY": key.stdout.strip()}
    finally:
        server.terminate()
        server.wait(30)


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=15, help="counted rounds of each block")
    count = parser.parse_args().rounds
    with tempfile.TemporaryDirectory() as name:
        base = Path(name)
        wheels = [ROOT, *(ROOT / "plugins" / package for package in STANDARD)]
        ours = environment(base / "ours", *wheels)
        older = environment(base / "older", "algorithmia==2.0.5")
        environ = clean_environ(HOME=str(base), ALGO_CACHE_DIR=str(base / "cache"), ALGO_LOCAL_ROOT=str(base / "local"))
        block_commands(base, ours, older, environ, count)
        block_run(base, ours, older, environ, count)
        measured(base, ours, environ, count)


def block_commands(base: Path, ours: Path, older: Path, environ: dict[str, str], count: int) -> None:
    """--version, --help and TAB."""
    algo = str(ours.with_name("algo"))
    names = subprocess.run([algo, "--help"], env=environ, capture_output=True, text=True, check=True).stdout.split("\n")
    commands = [line.split()[0] for line in names if line.startswith("  ") and len(line.split()) > 2][:20]
    bare = base / "bare.py"
    bare.write_text(BARE_CLICK.format(names=commands))
    tab = {**environ, "_ALGO_COMPLETE": "bash"}
    jobs = {
        "python -c pass": Job([str(ours), "-c", "pass"], environ),
        "bare click --help": Job([str(ours), str(bare), "--help"], environ),
        "algo --version": Job([algo, "--version"], environ),
        "algo --help": Job([algo, "--help"], environ),
        "algo TAB": Job([algo, *TYPED], tab),
        "older algo --help": Job([str(older.with_name("algo")), "--help"], environ),
    }
    taken = rounds(jobs, count)
    print(f"{'start-up (CPU time)':<34}{'x python -c pass':>18}{'x bare click':>14}{'x older --help':>16}")
    for name in jobs:
        columns = [ratio(taken, name, other) for other in ("python -c pass", "bare click --help", "older algo --help")]
        print(f"{name:<34}{columns[0]:>18.2f}{columns[1]:>14.2f}{columns[2]:>16.3f}")


def block_run(base: Path, ours: Path, older: Path, environ: dict[str, str], count: int) -> None:
    """One `run` against a served platform."""
    algo = str(ours.with_name("algo"))
    with served(algo, environ) as client:
        words = ["run", "demo/Hello", "-d", "HAL 9000"]
        jobs = {
            "algo run": Job([algo, *words], client),
            "older algo run": Job([str(older.with_name("algo")), *words], client),
        }
        taken = rounds(jobs, count)
    print(f"\none run against a served platform: {ratio(taken, 'algo run', 'older algo run'):.2f} x older algo run")


if __name__ == "__main__":
    main()
