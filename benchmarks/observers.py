"""What an observer adds to the copy of many small files: the same copy with and without one, in turn.

Run with `make benchmarks-observers`; nginx comes with `make benchmark-deps`. The observer does nothing, so that
`algo`'s own part is measured: two events for each file, one for its request and one for the transfer. CPU time counts,
on one processor; differences are taken round by round, because seconds drift on a shared machine.
"""

from __future__ import annotations

import argparse
import os
import shutil
import sys
import tempfile
from pathlib import Path
from statistics import median

from measure import Job, clean_environ, ratio, rounds, seconds
from servers import memory_directory, nginx

SIZE = 100
ONE_PROCESSOR = """
import os
os.sched_setaffinity(0, {min(os.sched_getaffinity(0))})
from algo_core.main import main
main()
"""
"""With more, it depends on the moment how many helper processes there are, which outweighs what is measured."""

OBSERVER = "from algo_core import hookimpl\n\n\n@hookimpl\ndef algo_observe(event):\n    pass\n"


def observer(folder: Path) -> Path:
    """A folder of `sys.path` with a plugin that observes."""
    package, info = folder / "bench_observer", folder / "bench_observer-1.0.dist-info"
    package.mkdir(parents=True)
    info.mkdir()
    (package / "__init__.py").write_text("")
    (package / "plugin.py").write_text(OBSERVER)
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: bench-observer\nVersion: 1.0\n")
    (info / "entry_points.txt").write_text("[algo.plugins]\nbench = bench_observer.plugin\n")
    return folder


def measured(count: int, number: int) -> dict[str, list[float]]:
    """CPU seconds of each round, with and without an observer."""
    with tempfile.TemporaryDirectory(dir=memory_directory()) as folder, nginx(Path(folder) / "server") as server:
        base, names = Path(folder), [f"f{position:06}" for position in range(count)]
        out = base / "out"
        for name in names:
            (server.collection("small") / name).write_bytes(name.encode().ljust(SIZE))
        server.list("small", [(name, SIZE) for name in names])

        def job(side: str, *more: Path) -> Job:
            environ = clean_environ(
                HOME=str(base),
                ALGO_CACHE_DIR=str(base / f"cache-{side}"),
                ALGORITHMIA_API=server.address,
                ALGORITHMIA_API_KEY="sim" + "k" * 25,
                PYTHONPATH=os.pathsep.join([*map(str, more), os.environ.get("PYTHONPATH", "")]),
            )
            return Job([sys.executable, "-c", ONE_PROCESSOR, "cp", "-r", "data://.my/small", str(out)], environ)

        def once(job: Job) -> float:
            shutil.rmtree(out, ignore_errors=True)
            out.mkdir()
            spent = seconds(job)
            assert sum(1 for path in out.rglob("*") if path.is_file()) == count
            return spent

        return rounds({"without": job("without"), "with": job("with", observer(base / "site"))}, number, once)


def main() -> None:
    """Measure, and print what an observer adds."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--files", type=int, default=10_000)
    parser.add_argument("--rounds", type=int, default=7)
    options = parser.parse_args()
    taken = measured(options.files, options.rounds)
    added = [(b - a) / options.files * 1e6 for a, b in zip(taken["without"], taken["with"], strict=True)]
    each = {name: median(values) / options.files * 1e6 for name, values in taken.items()}
    print(f"{options.files:,} files of {SIZE} bytes, {options.rounds} rounds, CPU time per file:")
    print(f"without {each['without']:.1f} µs, with {each['with']:.1f} µs, ratio {ratio(taken, 'with', 'without'):.3f}")
    print(f"an observer adds {median(added):.1f} µs (from {min(added):.1f} to {max(added):.1f}) to each file")
    least = (min(taken["with"]) - min(taken["without"])) / options.files * 1e6
    print(f"between the best rounds, which neighbours disturbed least: {least:.1f} µs")


if __name__ == "__main__":
    main()
