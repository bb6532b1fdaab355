"""A discrete-event simulation of a deployment: front ends, engines, the database, the object store, nodes with workers.

Time is in seconds. Each part that can do a limited number of things at once is a resource that calls wait for, in order
of arrival; what a call costs there was measured (`capacity_measure.py`). One seed gives one result, on every machine.
"""

from __future__ import annotations

import random
from collections.abc import Generator, Mapping
from dataclasses import dataclass, field
from statistics import quantiles
from typing import Any

import simpy

JOURNAL_SECONDS = 0.1
"""Between two writes of a front end's records (`algo_local.records.recorder.INTERVAL`)."""

SLICE_SECONDS = 0.003
"""For which a program that others wait for has a processor."""

Steps = Generator[simpy.Event, Any, Any]


@dataclass(frozen=True)
class Costs:
    """Seconds that a call, a request or a row takes of each layer."""

    front_end: float
    """A front end's processor time of a call with the executor in the same process."""
    data_request: float
    """A front end's processor time of a request for an object of 4 KiB."""
    relay: float
    """A front end's processor time of a call that it hands to an engine."""
    hand_over: float
    """An engine's processor time of a call that a front end hands over to it."""
    runner: float
    """A worker's processor time of a call of an algorithm that does nothing."""
    remote: float
    """What a call takes longer if its worker is on a node of a cluster; nobody computes meanwhile."""
    transaction: float
    """A write transaction of the database, besides its rows."""
    row: float
    """One record in a write transaction."""
    postgresql_transaction: float
    """The same in PostgreSQL."""
    postgresql_row: float
    object_request: float
    """A request to the object store, from a front end's view."""
    client: float = 0.0
    """A client's processor time of a call, where it shares the machine."""


@dataclass(frozen=True)
class Deployment:
    """What is deployed."""

    machines: int = 1
    """Machines with front ends."""
    processors: int = 2
    """Of each of them."""
    processes: int = 1
    """Front ends on each; more than one hand their calls to an engine, one on each machine."""
    has_engine: bool = False
    nodes: int = 0
    """Machines that run algorithms; 0: those with front ends do."""
    node_processors: int = 8
    workers: int = 8
    """For each node, or machine with front ends."""
    has_postgresql: bool = False
    has_object_store: bool = False
    store_connections: int = 64
    """Requests that the object store serves at once."""
    neighbours: float = 0.0
    """Processors of each machine that other programs use, as they did in a measurement."""
    has_local_client: bool = False
    """Whether one client process shares the first machine, as in a measurement."""


@dataclass(frozen=True)
class Load:
    """What is called, and how often."""

    wait: float = 0.0
    """Seconds for which the algorithm waits, on average."""
    processor: float = 0.0
    """Seconds for which it computes."""
    data_requests: int = 0
    """Objects of 4 KiB that it reads or writes."""
    is_random: bool = False
    """Whether `wait` is distributed exponentially."""
    in_flight: int = 0
    """Callers that call again once they have an answer; or, if 0, calls that come by chance:"""
    rate: float = 0.0
    """Calls each second, on average."""


@dataclass
class Result:
    """What came of it, after the time to warm up."""

    calls: int
    rate: float
    """Calls each second."""
    median: float
    """Seconds of a call, from its arrival to its answer."""
    slow: float
    """Those that one of a hundred calls takes longer than."""
    used: dict[str, float] = field(default_factory=dict)
    """The share of each layer that is in use."""
    rows_waiting: int = 0
    """The most records that waited in one front end."""

    @property
    def limit(self) -> str:
        """The layer that is used most."""
        return max(self.used, key=lambda name: self.used[name])


class _Use:
    """How many of something are in use, and for how many seconds they have been altogether."""

    def __init__(self, world: simpy.Environment) -> None:
        self._world = world
        self._count = 0
        self._seconds = 0.0
        self._since = 0.0

    def change(self, by: int) -> None:
        """So many more, or less, from now on."""
        self._seconds, self._since, self._count = self.seconds, self._world.now, self._count + by

    @property
    def seconds(self) -> float:
        """Until now."""
        return self._seconds + self._count * (self._world.now - self._since)


class _Layer:
    """Something of which `count` things can be done at once."""

    def __init__(self, world: simpy.Environment, count: int) -> None:
        self.count = count
        self.used = _Use(world)
        self._world = world
        self._resource = simpy.Resource(world, count)

    def use(self, seconds: float, within: _Layer | None = None) -> Steps:
        """Wait for it, and then for `within`, and be busy."""
        with self._resource.request() as mine:
            yield mine
            self.used.change(1)
            if within:
                yield from within.use(seconds)
            else:
                yield self._world.timeout(seconds)
            self.used.change(-1)


class _Machine:
    """Processors, front ends, and an engine where there are several."""

    def __init__(self, world: simpy.Environment, deployed: Deployment) -> None:
        self.processors = _Layer(world, deployed.processors)
        self.front_ends = [_Layer(world, 1) for _ in range(deployed.processes)]
        self.engine = _Layer(world, 1) if deployed.has_engine else None
        self.rows = [0] * deployed.processes


class Simulation:
    """One run."""

    def __init__(self, costs: Costs, deployed: Deployment, load: Load, seed: int = 1) -> None:
        self._costs, self._deployed, self._load = costs, deployed, load
        self._chance = random.Random(seed)
        self._world = world = simpy.Environment()
        self._machines = [_Machine(world, deployed) for _ in range(deployed.machines)]
        self._nodes = [_Layer(world, deployed.node_processors) for _ in range(deployed.nodes)] or [
            machine.processors for machine in self._machines
        ]
        self._idle = simpy.Store(world)
        self._idle.items += self._nodes * deployed.workers
        self._working = _Use(world)
        self._database = _Layer(world, 1)
        self._store = _Layer(world, deployed.store_connections)
        self._client = _Layer(world, 1)
        self._taken: list[float] = []
        self._rows_waiting = 0

    def run(self, seconds: float, warm_up: float = 1.0) -> Result:
        """Simulate so many seconds after those to warm up."""
        for machine in self._machines:
            for number in range(len(machine.front_ends)):
                self._world.process(self._journal(machine, number))
            self._neighbours(machine)
        if self._load.in_flight:
            for _ in range(self._load.in_flight):
                self._world.process(self._caller())
        else:
            self._world.process(self._arrivals())
        self._world.run(warm_up)
        self._taken.clear()
        before = self._busy()
        self._world.run(warm_up + seconds)
        used = {
            name: (busy - before[name][0]) / (count * seconds) for name, (busy, count) in self._busy().items() if count
        }
        taken = self._taken
        cuts = quantiles(taken, n=100) if len(taken) > 1 else taken * 99 or [0.0] * 99
        return Result(len(taken), len(taken) / seconds, cuts[49], cuts[98], used, self._rows_waiting)

    def _busy(self) -> Mapping[str, tuple[float, int]]:
        """By layer, the seconds for which it was busy, and how many things it can do at once."""
        front_ends = [each for machine in self._machines for each in machine.front_ends]
        layers = {
            "front ends": front_ends,
            "processors of front ends": [machine.processors for machine in self._machines],
            "engines": [machine.engine for machine in self._machines if machine.engine],
            "database": [self._database],
            "object store": [self._store] if self._deployed.has_object_store else [],
            "processors of nodes": self._nodes if self._deployed.nodes else [],
        }
        found = {
            name: (sum(one.used.seconds for one in each), sum(one.count for one in each))
            for name, each in layers.items()
        }
        return {**found, "workers": (self._working.seconds, len(self._nodes) * self._deployed.workers)}

    def _neighbours(self, machine: _Machine) -> None:
        left = self._deployed.neighbours
        while left > 0:
            self._world.process(self._neighbour(machine.processors, min(left, 1.0)))
            left -= 1.0

    def _neighbour(self, processors: _Layer, share: float) -> Steps:
        """Use a share of a processor."""
        due = 0.0
        while True:
            yield self._world.timeout(max(0.0, due - self._world.now))
            due = max(self._world.now, due + SLICE_SECONDS / share)
            yield from processors.use(SLICE_SECONDS)

    def _arrivals(self) -> Steps:
        while True:
            yield self._world.timeout(self._chance.expovariate(self._load.rate))
            self._world.process(self._call())

    def _caller(self) -> Steps:
        while True:
            yield from self._call()

    def _call(self) -> Steps:
        costs, load, world = self._costs, self._load, self._world
        arrived = world.now
        if self._deployed.has_local_client:
            yield from self._client.use(costs.client, self._machines[0].processors)
        machine = self._chance.choice(self._machines)
        number = self._chance.randrange(len(machine.front_ends))
        in_front = costs.relay if machine.engine else costs.front_end
        yield from machine.front_ends[number].use(in_front, machine.processors)
        if machine.engine:
            yield from machine.engine.use(costs.hand_over, machine.processors)
        node = yield self._idle.get()
        self._working.change(1)
        if self._deployed.nodes:
            yield world.timeout(costs.remote)
        yield from node.use(costs.runner + load.processor)
        for _ in range(load.data_requests):
            yield from machine.front_ends[number].use(costs.data_request, machine.processors)
            if self._deployed.has_object_store:
                yield from self._store.use(costs.object_request)
        if load.wait:
            yield world.timeout(self._chance.expovariate(1 / load.wait) if load.is_random else load.wait)
        self._working.change(-1)
        self._idle.put(node)
        machine.rows[number] += 1
        self._taken.append(world.now - arrived)

    def _journal(self, machine: _Machine, number: int) -> Steps:
        """Write a front end's records, those of a tenth of a second in one transaction."""
        costs = self._costs
        transaction, row = costs.transaction, costs.row
        if self._deployed.has_postgresql:
            transaction, row = costs.postgresql_transaction, costs.postgresql_row
        yield self._world.timeout(self._chance.uniform(0, JOURNAL_SECONDS))
        while True:
            yield self._world.timeout(JOURNAL_SECONDS)
            count, machine.rows[number] = machine.rows[number], 0
            self._rows_waiting = max(self._rows_waiting, count)
            if count:
                yield from self._database.use(transaction + count * row)
