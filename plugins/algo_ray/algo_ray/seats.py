"""Actors, placed by Ray where resources are; the next worker that needs the same gets them again (driver process)."""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

Resources = tuple[tuple[str, float], ...]
"""What a worker is placed by: `cpus`, `gpus`, `memory` (bytes), and whatever else nodes declare."""

PATIENCE = "ALGO_RAY_PLACEMENT_SECONDS"
"""The variable that says how many seconds a worker waits for a node with room."""

PLACEMENT_SECONDS = 120.0
"""The same without it."""

_SLICE = 0.25
SPARE_SECONDS = 30.0
"""How long an actor without a worker is kept for the next one."""


class Unplaced(Exception):
    """No node has room; the text is a sentence."""


@dataclass(eq=False)
class Placed:
    """An actor, and where it is."""

    handle: Any
    resources: Resources
    nested: bool
    node: str = ""
    process: int = 0
    label: str = ""
    since: float = field(default_factory=time.monotonic)
    death: str | None = None
    """Why the actor is dead, as far as that is known here."""
    _on_death: Callable[[str], None] | None = None
    _lock: threading.Lock = field(default_factory=threading.Lock)

    @property
    def is_dead(self) -> bool:
        """Whether the actor is known to be dead."""
        return self.death is not None

    def begin_watch(self) -> None:
        """Learn of the actor's end, from now on."""
        watched = self.handle.watch.options(concurrency_group="watch").remote()
        watched.future().add_done_callback(lambda future: self._died(reason_of(future.exception())))

    def watch(self, on_death: Callable[[str], None] | None) -> None:
        """Have `on_death` called with the reason when the actor dies, or at once if it is dead."""
        with self._lock:
            self._on_death, death = on_death, self.death
        if death is not None and on_death:
            on_death(death)

    def _died(self, reason: str) -> None:
        with self._lock:
            self.death, on_death = reason, self._on_death
        if on_death:
            on_death(reason)


class Seats:
    """All actors of this platform."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._spare: list[Placed] = []
        self._all: set[Placed] = set()
        self._pending: dict[int, Resources] = {}
        self._class: Any = None
        self._janitor: threading.Thread | None = None
        self._patience = float(os.environ.get(PATIENCE) or PLACEMENT_SECONDS)

    def take(self, resources: Resources, *, nested: bool, on_wait: Callable[[str], bool]) -> Placed:
        """An actor with these resources, spare or new.

        `nested` is one for a call that an algorithm makes, whose caller keeps its processors meanwhile. `on_wait` is
        called with the reason while there is no room; returns whether to go on waiting.

        Raises:
            Unplaced: if no node has room in time, or `on_wait` says so.
        """
        with self._lock:
            self._spare = [spare for spare in self._spare if not spare.is_dead]
            self._all = {placed for placed in self._all if not placed.is_dead}
            for spare in reversed(self._spare):
                if (spare.resources, spare.nested) == (resources, nested):
                    self._spare.remove(spare)
                    return spare
            other = self._spare.pop(0) if self._spare else None
            if other:
                self._all.discard(other)
        if other:
            _kill(other.handle)
        return self._new(resources, nested, on_wait)

    def _new(self, resources: Resources, nested: bool, on_wait: Callable[[str], bool]) -> Placed:
        import ray

        end = time.monotonic() + self._patience
        while True:
            try:
                placed = self._placed(resources, nested, on_wait, end)
            except ray.exceptions.RayActorError as error:  # its node has died, which Ray takes some seconds to see
                said = f"{_named(dict(resources))}: {reason_of(error)}"
                reason = f"Nodes of the cluster end before a worker has started there, with {said}"
                if time.monotonic() >= end or not on_wait(reason):
                    raise Unplaced(reason) from None
                continue
            placed.begin_watch()
            with self._lock:
                self._all.add(placed)
            return placed

    def _placed(self, resources: Resources, nested: bool, on_wait: Callable[[str], bool], end: float) -> Placed:
        import ray

        placed = Placed(self._actor(dict(resources), nested), resources, nested)
        with self._lock:
            self._pending[id(placed)] = resources
        try:
            began = time.monotonic()
            place = placed.handle.place.remote()
            while not ray.wait([place], timeout=_SLICE)[0]:
                reason = self._why_not(dict(resources), time.monotonic() - began)
                if time.monotonic() >= end or not on_wait(reason):
                    raise Unplaced(reason)
            placed.node, placed.process = ray.get(place)
        except BaseException:
            _kill(placed.handle)
            raise
        finally:
            with self._lock:
                del self._pending[id(placed)]
        return placed

    def _actor(self, wanted: dict[str, float], nested: bool) -> Any:
        import ray
        from ray.util.scheduling_strategies import NodeAffinitySchedulingStrategy

        if self._class is None:
            from algo_ray.actor import Seat

            groups = {"control": 2, "watch": 1}
            self._class = ray.remote(concurrency_groups=groups, max_restarts=0, max_task_retries=0)(Seat)
        options: dict[str, Any] = {
            "num_cpus": 0 if nested else wanted.pop("cpus", 1.0),
            "num_gpus": wanted.pop("gpus", 0.0),
            "scheduling_strategy": "SPREAD",
        }
        wanted.pop("cpus", None)
        if memory := wanted.pop("memory", 0.0):
            options["memory"] = memory
        options["resources"] = wanted
        if nested and not wanted and not options["num_gpus"] and (node := self._next_node()):
            options["scheduling_strategy"] = NodeAffinitySchedulingStrategy(node, soft=True)
        return self._class.options(**options).remote()

    def _next_node(self) -> str | None:
        """The node with processors that has the fewest actors."""
        import ray

        nodes = [n["NodeID"] for n in ray.nodes() if n["Alive"] and n["Resources"].get("CPU")]
        with self._lock:
            counts = {node: sum(1 for placed in self._all if placed.node == node) for node in nodes}
        return min(nodes, key=lambda node: counts[node]) if nodes else None

    def _why_not(self, wanted: dict[str, float], seconds: float) -> str:
        """Why an actor with these resources has not been placed for `seconds`."""
        import ray

        said = _named(wanted)
        nodes = [node["Resources"] for node in ray.nodes() if node["Alive"]]
        names = {"cpus": "CPU", "gpus": "GPU"}
        if not any(all(node.get(names.get(k, k), 0) >= v for k, v in wanted.items()) for node in nodes):
            return f"No node of the cluster has {said}"
        return f"No node of the cluster had room for {said} within {max(1.0, seconds):.0f} seconds"

    def give_back(self, placed: Placed) -> None:
        """Its worker has ended: keep it for the next one for a while."""
        placed.label, placed.since = "", time.monotonic()
        placed.watch(None)
        with self._lock:
            self._spare.append(placed)
            if self._janitor is None:
                self._janitor = threading.Thread(target=self._tidy, daemon=True)
                self._janitor.start()

    def _tidy(self) -> None:
        while True:
            time.sleep(SPARE_SECONDS / 4)
            with self._lock:
                old = [one for one in self._spare if time.monotonic() - one.since > SPARE_SECONDS]
                self._spare = [one for one in self._spare if one not in old]
                self._all.difference_update(old)
                if not self._spare:
                    self._janitor = None
            for one in old:
                _kill(one.handle)
            if self._janitor is None:
                return

    def drop(self, placed: Placed) -> None:
        """End it: it is dead, or to be."""
        with self._lock:
            self._all.discard(placed)
            if placed in self._spare:
                self._spare.remove(placed)
        _kill(placed.handle)

    def cluster(self) -> dict[str, Any]:
        """The nodes, what they have, and the actors of this platform."""
        import ray

        available = ray._private.state.available_resources_per_node()
        with self._lock:
            everyone, pending = list(self._all), list(self._pending.values())
        nodes = [
            {
                "id": node["NodeID"],
                "address": node["NodeManagerAddress"],
                "alive": node["Alive"],
                "resources": _declared(node["Resources"]),
                "free": _declared(available.get(node["NodeID"], {})),
                "actors": sum(1 for placed in everyone if placed.node == node["NodeID"]),
            }
            for node in ray.nodes()
        ]
        actors = [
            {
                "node": placed.node,
                "process": placed.process,
                "algorithm": placed.label,
                "resources": _taken(placed),
            }
            for placed in everyone
        ]
        return {
            "ray": ray.__version__,
            "nodes": nodes,
            "actors": actors,
            "pending": [{"cpus": 1.0, **dict(one)} for one in pending],
        }


def _declared(resources: Mapping[str, float]) -> dict[str, float]:
    """Resources by our names; those that Ray makes for itself are left out."""
    names = {"CPU": "cpus", "GPU": "gpus"}
    hidden = ("node:", "object_store_memory", "accelerator_type:")
    return {names.get(name, name): value for name, value in resources.items() if not name.startswith(hidden)}


def _taken(placed: Placed) -> dict[str, float]:
    return {"cpus": 1.0, **dict(placed.resources), **({"cpus": 0.0} if placed.nested else {})}


def _named(wanted: Mapping[str, float]) -> str:
    """Resources in a sentence."""
    return ", ".join(f"{name}={_amount(value)}" for name, value in {"cpus": 1.0, **wanted}.items())


def _amount(value: float) -> str:
    return f"{value:.0f}" if value == int(value) else f"{value:g}"


def reason_of(error: BaseException | None) -> str:
    """What Ray says about an error, in one line."""
    return " ".join(str(error or "").split())[:300]


def _kill(handle: Any) -> None:
    import ray

    try:
        ray.kill(handle, no_restart=True)
    except Exception:  # it is dead, or the connection is
        pass
