"""The actor on a node: it holds one worker of a build, which runs as it would on the platform's own machine.

The algorithm runs in a process of its own, with its own interpreter, in a sandbox and under limits; that process ends
with all its descendants when the actor does, whatever the reason. One actor serves several workers one after the other.
"""

from __future__ import annotations

import os
import pickle
import socket
import threading
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from algo_core.errors import AlgoError
from algo_ray.packing import Cache, Need
from algo_ray.relay import Relay

if TYPE_CHECKING:
    from algo_local.execution.worker import Worker, Workers

CACHE = "ALGO_RAY_CACHE"
"""The variable of a node that says where its builds are kept."""

_LOOK = 8
"""Calls between two looks at a worker's memory."""


class NodeEndpoint:
    """The platform's address as seen from a node."""

    def __init__(self, address: str) -> None:
        self.address = address

    def serve_also(self, listener: socket.socket) -> Callable[[], None]:
        """Pass on what comes from a process with an isolated network."""
        place = urlsplit(self.address)
        return Relay(listener, (place.hostname or "127.0.0.1", place.port or 80)).close

    def close(self) -> None:
        """Nothing is open."""


class _Printed:
    """What a call prints until somebody takes it."""

    def __init__(self) -> None:
        self._changed = threading.Condition()
        self._kept: list[bytes] = []
        self._is_done = False

    def add(self, data: bytes) -> None:
        with self._changed:
            self._kept.append(data)
            self._changed.notify_all()

    def end(self) -> bytes:
        """The rest; those who wait are told."""
        with self._changed:
            self._is_done = True
            self._changed.notify_all()
            return self._taken()

    def wait(self, seconds: float) -> bytes:
        """What has been printed since it was last taken; empty when the call has ended, or the time is over."""
        with self._changed:
            self._changed.wait_for(lambda: self._kept or self._is_done, seconds)
            return self._taken()

    def _taken(self) -> bytes:
        taken, self._kept = b"".join(self._kept), []
        return taken


class Seat:
    """Room for one worker on a node."""

    def __init__(self) -> None:
        self._cache: Cache | None = None
        self._workers: Workers | None = None
        self._worker: Worker | None = None
        self._address = ""
        self._printed = _Printed()
        self._calls = 0
        self._in_use = threading.Lock()
        self._end = threading.Event()

    def place(self) -> tuple[str, int]:
        """The node, by its identifier, and this process."""
        import ray

        return ray.get_runtime_context().get_node_id(), os.getpid()

    def begin(
        self, need: Need, account: str, token: str, label: str, address: str, archives: Sequence[Any]
    ) -> tuple[str, str, str | None]:
        """Start a worker; `archives` refer to the source and the environment, fetched only if this node lacks them.

        Returns `("ok", the number of its process, None)`, or `("failed", why, a hint)`.
        """
        try:
            with self._in_use:
                build = self._cached(need, archives)
                self._address = address
                self._worker = self._started().start(build, account, token, label)
                self._calls = 0
                return "ok", self._worker.name, None
        except AlgoError as error:
            return "failed", error.message, error.hint
        except OSError as error:
            return "failed", f"The algorithm's process could not be started: {error}", None

    def _cached(self, need: Need, archives: Sequence[Any]) -> Any:
        import ray

        if self._cache is None:
            text = os.environ.get(CACHE) or os.path.join(os.path.expanduser("~"), ".cache", "algo-ray")
            self._cache = Cache(Path(text))
        source, environment = archives
        if not self._cache.has_source(need):
            self._cache.add_source(need, ray.get(source))
        if not self._cache.has_environment(need):
            self._cache.add_environment(need, ray.get(environment))
        return self._cache.build(need)

    def _started(self) -> Workers:
        if self._workers is None:
            from algo_local.execution.worker import Workers

            assert self._cache is not None
            self._workers = Workers(lambda: NodeEndpoint(self._address), self._cache.root / "processes")
        return self._workers

    def load(self, seconds: float) -> bytes:
        """Load the algorithm, if that is still to be done: until then, no request is handed over.

        Returns a pickled `("loaded", whether it is, the rest of what was printed)`.
        """
        with self._in_use:
            worker, self._printed = self._worker, _Printed()
            assert worker is not None
            worker.await_loaded(time.monotonic() + seconds, self._printed.add)
            return pickle.dumps(("loaded", worker.is_loaded, self._printed.end()))

    def call(self, request: bytes, seconds: float) -> bytes:
        """Hand over a request and wait for the answer.

        Returns a pickled `("answer", outcome, whether it can take another call, whether it is loaded, memory, the rest
        of the output)`, or `("stale",)` if the worker has ended while it was idle, and the request was not handed over.
        """
        with self._in_use:
            worker = self._worker
            if worker is None or (worker.is_loaded and not worker.is_reusable):
                return pickle.dumps(("stale",))
            self._printed = _Printed()
            self._calls += 1
            outcome = worker.call(request, time.monotonic() + seconds, self._printed.add)
            rest = self._printed.end()
            is_reusable = worker.settle()
            memory = worker.memory() if self._calls % _LOOK == 1 else None
            return pickle.dumps(("answer", outcome, is_reusable, worker.is_loaded, memory, rest), protocol=5)

    def printed(self, seconds: float) -> bytes:
        """What the call prints, as it comes."""
        return self._printed.wait(seconds)

    def end(self) -> None:
        """End the worker's process now, with all its children; a call that it serves is answered at once."""
        if worker := self._worker:
            worker.kill()

    def retire(self) -> None:
        """End the worker and remove what it had; the actor can take another one."""
        self.end()
        with self._in_use:
            worker, self._worker = self._worker, None
            if worker:
                worker.stop()

    def watch(self) -> None:
        """Return never: who waits for it learns of the actor's end."""
        self._end.wait()
