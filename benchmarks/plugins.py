"""What plugins cost that are not used: `algo --help` and TAB with 1, 10 and 50 heavy ones, as ratios to none.

`python benchmarks/plugins.py` measures the `algo` beside this interpreter, side by side and round by round, and ends
with exit code 1 if 50 plugins cost more than `LIMIT`. `make benchmarks` prints the same for a fresh environment.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
from pathlib import Path

from measure import Job, clean_environ, ratio, rounds

SIZES = (0, 1, 10, 50)
LIMIT = 1.05
"""How much of the CPU time without plugins `--help` and TAB may take with 50 of them."""

TYPED = ("algo c", "c")
"""What the script for bash hands over at TAB: the line up to the cursor, and the part that is replaced."""

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


def measured(base: Path, python: Path, environ: dict[str, str], count: int) -> dict[int, tuple[float, float]]:
    """Print the ratios of 0 to 50 heavy plugins, and the same loaded eagerly; those of `--help` and TAB by size."""
    algo = str(python.with_name("algo"))
    print(f"\n{'heavy plugins (CPU time)':<34}{'--help x none':>18}{'TAB x none':>14}{'eager x none':>16}")
    jobs: dict[str, Job] = {}
    for size in SIZES:
        site = base / f"site-{size}"
        site.mkdir()
        heavy_plugins(site, size)
        here = {**environ, "PYTHONPATH": str(site), "ALGO_CACHE_DIR": str(base / f"cache-{size}")}
        eager = base / f"eager-{size}.py"
        eager.write_text(EAGER.format(count=size))
        jobs[f"help {size}"] = Job([algo, "--help"], here)
        jobs[f"tab {size}"] = Job([algo, *TYPED], {**here, "_ALGO_COMPLETE": "bash"})
        jobs[f"eager {size}"] = Job([str(python), str(eager), "--help"], here)
    taken = rounds(jobs, count)
    found: dict[int, tuple[float, float]] = {}
    for size in SIZES:
        found[size] = ratio(taken, f"help {size}", "help 0"), ratio(taken, f"tab {size}", "tab 0")
        print(
            f"{size:<34}{found[size][0]:>18.2f}{found[size][1]:>14.2f}{ratio(taken, f'eager {size}', 'help 0'):>16.2f}"
        )
    return found


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=15, help="counted rounds")
    count = parser.parse_args().rounds
    with tempfile.TemporaryDirectory() as name:
        base = Path(name)
        environ = clean_environ(HOME=name, ALGO_LOCAL_ROOT=str(base / "local"))
        found = measured(base, Path(sys.executable), environ, count)
    if max(found[SIZES[-1]]) > LIMIT:
        sys.exit(f"{SIZES[-1]} plugins cost more than {LIMIT:.2f} x none")


if __name__ == "__main__":
    main()
