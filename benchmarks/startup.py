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

HEAVY_PLUGIN = """
import requests, algo_heavy_{n}.sdk
from algo_core import Command, hookimpl

@hookimpl
def algo_commands():
    return [Command("heavy-{n}", "algo_heavy_{n}.commands:run", help="Do something useful.", group="Heavy")]
"""

SDK = "import dataclasses\n" + "".join(
    f"@dataclasses.dataclass\nclass Model{i}:\n" + "".join(f"    member_{m}: int = {m}\n" for m in range(10))
    for i in range(30)
)
"""A client library as generators write them: many small classes, nothing shared with other plugins."""

EAGER = """
import click, importlib, requests
@click.group()
def main():
    'The same plugins, loaded eagerly.'
for n in range({count}):
    importlib.import_module(f"algo_heavy_{{n}}.plugin")
    main.add_command(importlib.import_module(f"algo_heavy_{{n}}.commands").run, f"heavy-{{n}}")
main()
"""


def environment(path: Path, *packages: str | Path) -> Path:
    """A virtual environment with these packages, compiled; its python."""
    subprocess.run([sys.executable, "-m", "venv", path], check=True)
    python = path / "bin" / "python"
    pip = [python, "-m", "pip", "install", "--quiet", "--disable-pip-version-check"]
    subprocess.run([*pip, "--upgrade", "pip"], check=True)
    subprocess.run([*pip, *map(str, packages)], check=True)
    return python


def heavy_plugins(site: Path, count: int) -> None:
    """Distributions that each import requests and an SDK of their own."""
    for n in range(count):
        home = site / f"algo_heavy_{n}"
        home.mkdir(parents=True)
        (home / "__init__.py").write_text("")
        (home / "sdk.py").write_text(SDK)
        (home / "plugin.py").write_text(HEAVY_PLUGIN.format(n=n))
        (home / "commands.py").write_text(
            "import click\n@click.command(help='Do something useful.')\ndef run():\n    pass\n"
        )
        info = site / f"algo_heavy_{n}-1.0.dist-info"
        info.mkdir()
        (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: algo-heavy-{n}\nVersion: 1.0\n")
        (info / "entry_points.txt").write_text(f"[algo.plugins]\nheavy{n} = algo_heavy_{n}.plugin\n")


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
        block_plugins(base, ours, environ, count)


TYPED = ("algo c", "c")
"""What the script for bash hands over at TAB: the line up to the cursor, and the part that is replaced."""


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


def block_plugins(base: Path, ours: Path, environ: dict[str, str], count: int) -> None:
    """0 to 50 heavy plugins, and the same loaded eagerly."""
    algo = str(ours.with_name("algo"))
    print(f"\n{'heavy plugins (CPU time)':<34}{'--help x none':>18}{'TAB x none':>14}{'eager x none':>16}")
    jobs: dict[str, Job] = {}
    sizes = (0, 1, 10, 50)
    for size in sizes:
        site = base / f"site-{size}"
        site.mkdir()
        heavy_plugins(site, size)
        here = {**environ, "PYTHONPATH": str(site), "ALGO_CACHE_DIR": str(base / f"cache-{size}")}
        eager = base / f"eager-{size}.py"
        eager.write_text(EAGER.format(count=size))
        tab = {**here, "_ALGO_COMPLETE": "bash"}
        jobs[f"help {size}"] = Job([algo, "--help"], here)
        jobs[f"tab {size}"] = Job([algo, *TYPED], tab)
        jobs[f"eager {size}"] = Job([str(ours), str(eager), "--help"], here)
    taken = rounds(jobs, count)
    for size in sizes:
        columns = [
            ratio(taken, f"help {size}", "help 0"),
            ratio(taken, f"tab {size}", "tab 0"),
            ratio(taken, f"eager {size}", "help 0"),
        ]
        print(f"{size:<34}{columns[0]:>18.2f}{columns[1]:>14.2f}{columns[2]:>16.2f}")


if __name__ == "__main__":
    main()
