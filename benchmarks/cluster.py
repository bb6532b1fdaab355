"""Figures of a platform beyond one process: front ends, a million records, Ray.

    python benchmarks/cluster.py [--write] [--records N] [listing] [front-ends] [memory] [ray] [nodes]

Twelve minutes in all. What needs a part that is not installed is named, with what installs it, and left out. With
`--write`, the page `docs/benchmarks-cluster.md` is written from all figures, or its figures of the names given. All of
it runs on the loopback interface of one machine, clients included.
"""

from __future__ import annotations

import argparse
import os
import sys
import tempfile
import time
import traceback
from collections.abc import Callable, Iterator, Mapping, Sequence
from importlib.util import find_spec
from pathlib import Path

import cluster_listing
import cluster_processes
from call_figures import Found
from cluster_listing import RECORDS, Missing
from cluster_page import Part, write_page
from servers import memory_directory

Measure = Callable[[Path], Iterator[Found]]


def ray(base: Path) -> Iterator[Found]:
    """A call through HTTP and Ray against one of a bare actor."""
    yield from _with_ray("calls")(base)


def nodes(base: Path) -> Iterator[Found]:
    """Sleepers on two nodes against one."""
    yield from _with_ray("nodes")(base)


def _with_ray(name: str) -> Measure:
    if not (find_spec("ray") and find_spec("algo_ray")):
        raise Missing("Ray: make benchmarks-cluster installs it; elsewhere pip install 'algo-local[ray]'")
    import cluster_ray

    found: Measure = getattr(cluster_ray, name)
    return found


MEASURES: Mapping[str, Measure] = {
    "ray": ray,
    "nodes": nodes,
    "front-ends": cluster_processes.front_ends,
    "memory": cluster_processes.memory,
    "listing": cluster_listing.listing,
}


def measured(names: Sequence[str], measures: Mapping[str, Measure]) -> Iterator[Part]:
    """The figures of these names, as far as their parts are installed, and what is missing for the others."""
    with tempfile.TemporaryDirectory(dir=memory_directory()) as directory:
        for name in names:
            load, began = os.getloadavg()[0], time.monotonic()
            found: list[Found] = []
            missing = failed = ""
            try:
                base = Path(directory) / name
                base.mkdir()
                for one in measures[name](base):
                    print(one, flush=True)
                    found.append(one)
            except Missing as error:
                print(f"Not measured: {error}", flush=True)
                missing = str(error)
            except Exception as error:  # the others are measured all the same
                traceback.print_exc()
                failed = f"{type(error).__name__}: {error}"
            print(f"({name}: {time.monotonic() - began:.0f} s, with a load of {load:.1f} before)", flush=True)
            yield Part(name, found, missing or failed, load, is_broken=bool(failed))


def main() -> None:
    """Measure the figures that are named, or all."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("names", nargs="*", metavar="FIGURE", help=", ".join(MEASURES))
    parser.add_argument("--write", action="store_true")
    parser.add_argument("--records", type=int, default=RECORDS, metavar="N")
    options = parser.parse_args()
    if unknown := sorted(set(options.names) - set(MEASURES)):
        parser.error(f"no figure {unknown[0]!r}: they are {', '.join(MEASURES)}")
    measures = {**MEASURES, "listing": lambda base: cluster_listing.listing(base, options.records)}
    broken = []
    for part in measured(options.names or list(MEASURES), measures):
        broken += [part.name] if part.is_broken else []
        if options.write and not part.is_broken:
            write_page([part])
    if broken:
        sys.exit(f"Not measured, since something failed: {', '.join(broken)}")


if __name__ == "__main__":
    main()
