"""How many calls a deployment answers, and what limits it: a simulation with costs that were measured.

    python benchmarks/capacity.py [--measure] [--write]

With `--measure`, `capacity.json` is written from measurements on this machine (a minute); else its costs are used, so
that the figures are the same on every machine. With `--write`, the part of `docs/scaling.md` is written.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import tempfile
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, fields
from datetime import date
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from capacity_model import Costs, Deployment, Load, Result, Simulation

HERE = Path(__file__).resolve().parent
MEASURED, PAGE = HERE / "capacity.json", HERE.parent / "docs" / "scaling.md"
BEGIN = "<!-- Written by benchmarks/capacity.py --write, up to the end of it: change that. -->"
END = "<!-- The end of what benchmarks/capacity.py has written. -->"
TOLERANCE = 0.25
"""By which share the simulation may differ from a deployment that was measured."""

SLEEP = 0.1
HOUR = 3600.0
MILLION = 1_000_000


@dataclass(frozen=True)
class Case:
    """A row of a table: what is deployed, what is called, and for how long that is simulated."""

    name: str
    deployed: Deployment
    load: Load
    seconds: float
    warm_up: float = 1.0


def _most(name: str, in_flight: int, **deployed: Any) -> Case:
    """Callers of sleepers who never pause."""
    return Case(name, Deployment(**deployed), Load(wait=SLEEP, in_flight=in_flight), 2.0)


CLUSTER: Mapping[str, Any] = {
    "processors": 8,
    "processes": 4,
    "has_engine": True,
    "has_postgresql": True,
    "has_object_store": True,
}
STEPS = (
    _most("one process, 2 processors, 8 workers", 16, processors=2),
    _most("one process, 8 processors, 64 workers", 128, processors=8, workers=64),
    _most("one process, 8 processors, 512 workers", 1024, processors=8, workers=512),
    _most("4 processes, 8 processors, 512 workers", 1024, processors=8, processes=4, has_engine=True, workers=512),
    _most("2 machines of 4 processes, 10 nodes of 64 workers", 1280, **CLUSTER, machines=2, nodes=10, workers=64),
    _most("4 machines of 4 processes, 100 nodes of 16 workers", 3200, **CLUSTER, machines=4, nodes=100, workers=16),
    _most("10 machines of 4 processes, 1,000 nodes of 8 workers", 16_000, **CLUSTER, machines=10, nodes=1000),
)
"""From a laptop to a thousand nodes, with as many callers as it takes to find the limit."""


def _hour(name: str, wait: float, data_requests: int, **deployed: Any) -> Case:
    """A million calls each hour, by chance, of algorithms whose duration varies."""
    load = Load(wait=wait, data_requests=data_requests, is_random=True, rate=MILLION / HOUR)
    return Case(name, Deployment(**deployed), load, 60.0, 10 * wait)


HOURS = (
    _hour("calls of 0.1 s, one process, 64 workers", 0.1, 0, processors=8, workers=64),
    _hour("calls of 1 s, 2 machines, 10 nodes of 64 workers", 1.0, 2, **CLUSTER, machines=2, nodes=10, workers=64),
    _hour("calls of 4 s, 2 machines, 100 nodes of 16 workers", 4.0, 2, **CLUSTER, machines=2, nodes=100, workers=16),
    _hour("calls of 20 s, 2 machines, 1,000 nodes of 8 workers", 20.0, 2, **CLUSTER, machines=2, nodes=1000),
)


def costs_of(known: Mapping[str, Any]) -> Costs:
    """The costs of a file such as `capacity.json`.

    Raises:
        KeyError: if one is missing.
    """
    return Costs(**{each.name: float(known["costs"][each.name]["seconds"]) for each in fields(Costs)})


def simulated(case: Case, costs: Costs) -> Result:
    """What comes of a case."""
    return Simulation(costs, case.deployed, case.load).run(case.seconds, case.warm_up)


def checked(known: Mapping[str, Any]) -> Iterator[tuple[str, float, float]]:
    """The deployments that were measured as a whole: name, calls each second, and what the simulation says."""
    costs = costs_of(known)
    for step in known["steps"]:
        case = Case(step["name"], Deployment(**step["deployment"]), Load(**step["load"]), 2.0)
        yield case.name, float(step["calls_per_second"]), simulated(case, costs).rate


def measure(known: Mapping[str, Any]) -> dict[str, Any]:
    """New content for `capacity.json`; costs that cannot be measured here stay as they are, and are named."""
    from capacity_measure import cost, measured

    found, steps, missing = measured()
    if find_spec("ray"):
        from cluster_ray import longer

        with tempfile.TemporaryDirectory() as base:
            found["remote"] = cost(longer(Path(base)), "what Ray's placement adds to a call, on loopback")
    else:
        missing.append("remote: pip install 'algo-local[ray]'")
    for text in missing:
        print(f"Not measured: {text}")
    made = f"{os.cpu_count()} processors, {platform.machine()}, {platform.system()}, Python {platform.python_version()}"
    load = f"with a load of {os.getloadavg()[0]:.1f}"
    return {
        "machine": f"{made}, on {date.today().isoformat()}, {load}",
        "costs": {**known["costs"], **found},
        "steps": steps,
    }


def text_of(known: Mapping[str, Any]) -> Iterator[str]:
    """The lines of the page."""
    costs = costs_of(known)
    yield f"Measured on one machine: {known['machine']}."
    yield ""
    yield from costs_table(known)
    yield from ("", "| deployment | calls/s measured | simulated | ratio |", "| --- | ---: | ---: | ---: |")
    for name, rate, said in checked(known):
        yield f"| {name} | {rate:,.0f} | {said:,.0f} | {said / rate:.2f} |"
    yield from ("", "Sleepers of 100 ms, and as many callers as the deployment can serve:", "")
    yield "| deployment | calls/s | median | 99 % | limited by | next |"
    yield "| --- | ---: | ---: | ---: | --- | --- |"
    for case in STEPS:
        found = simulated(case, costs)
        used = sorted(found.used.items(), key=lambda item: -item[1])
        shown = [f"{layer} {share:.0%}" for layer, share in used[:2]]
        yield f"| {case.name} | {found.rate:,.0f} | {_ms(found.median)} | {_ms(found.slow)} | {' | '.join(shown)} |"
    yield from ("", "A million calls an hour:", "")
    yield "| calls and deployment | median | 99 % | workers in use | front ends | database | object store |"
    yield "| --- | ---: | ---: | ---: | ---: | ---: | ---: |"
    for case in HOURS:
        found = simulated(case, costs)
        layers = ("workers", "front ends", "database", "object store")
        shown = [f"{found.used[layer]:.1%}" if layer in found.used else "" for layer in layers]
        yield f"| {case.name} | {_ms(found.median)} | {_ms(found.slow)} | {' | '.join(shown)} |"


def costs_table(known: Mapping[str, Any]) -> Iterator[str]:
    """The lines of the table of costs."""
    yield "| layer | what was measured | cost | each second |"
    yield "| --- | --- | ---: | ---: |"
    for name, cost in known["costs"].items():
        each = f"{1 / cost['seconds']:,.0f}" if cost["seconds"] else ""
        yield f"| {name.replace('_', ' ')} | {cost['from']} | {cost['seconds'] * 1e6:,.1f} µs | {each} |"


def _ms(seconds: float) -> str:
    return f"{seconds * 1000:,.1f} ms" if seconds < 1 else f"{seconds:,.1f} s"


def written(page: str, lines: Iterator[str]) -> str:
    """The page with its part replaced.

    Raises:
        ValueError: if the page has no such part.
    """
    before, begin, rest = page.partition(BEGIN)
    _, end, after = rest.partition(END)
    if not begin or not end:
        raise ValueError("The page has no part for this")
    return f"{before}{BEGIN}\n\n" + "\n".join(lines) + f"\n\n{END}{after}"


def main() -> None:
    """Print the tables; measure and write if that is asked for."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--measure", action="store_true")
    parser.add_argument("--write", action="store_true")
    options = parser.parse_args()
    known = json.loads(MEASURED.read_text("utf-8"))
    if options.measure:
        known = measure(known)
        MEASURED.write_text(json.dumps(known, indent=4) + "\n", "utf-8")
    lines = list(text_of(known))
    print("\n".join(lines))
    if options.write:
        PAGE.write_text(written(PAGE.read_text("utf-8"), iter(lines)), "utf-8")


if __name__ == "__main__":
    main()
