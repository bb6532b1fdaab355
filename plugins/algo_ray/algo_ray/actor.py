"""The actor on a node: it holds one worker of a build, which runs as it would on the platform's own machine.

The algorithm runs in a process of its own, with its own interpreter, in a sandbox and under limits; that process ends
with all its descendants when the actor does, whatever the reason. One actor serves several workers one after the other.
"""

from __future__ import annotations

import os
import socket
import threading
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from algo_core.errors import AlgoError
from algo_local.execution.relay.wire import Gone, Kind, encoded_outcome
from algo_ray.lines import PROVE_SECONDS, Line, encryption, is_loopback, line_over, prove
from algo_ray.packing import Cache, Need
from algo_ray.relay import Relay

if TYPE_CHECKING:
    from algo_local.execution.workers.worker import Worker, Workers

CACHE = "ALGO_RAY_CACHE"
"""The variable of a node that says where its builds are kept."""

_LOOK = 8
"""Calls between two looks at a worker's memory."""


class NodeEndpoint:
    """The platform's address for algorithms on a node: always one of this node, unless the platform's is one itself."""

    def __init__(self, address: str) -> None:
        """`address` is where nodes reach the platform.

        Raises:
            OSError: if a certificate cannot be read, or this node cannot listen.
        """
        place = urlsplit(address)
        is_encrypted = place.scheme == "https"
        self._target = place.hostname or "127.0.0.1", place.port or 80
        self._tls = encryption(os.environ, is_platform=False) if is_encrypted else None
        if is_encrypted and not self._tls:
            raise OSError(
                "Ray's traffic is encrypted on the platform's machine, and RAY_USE_TLS is not set on this node"
            )
        self._relay: Relay | None = None
        self.address = address
        if is_encrypted or not is_loopback(self._target[0]):
            self._relay = self._passing_on(socket.create_server(("127.0.0.1", 0), backlog=128))
            self.address = self._relay.address

    def _passing_on(self, listener: socket.socket) -> Relay:
        return Relay(listener, self._target, connects_tls=self._tls)

    def serve_also(self, listener: socket.socket) -> Callable[[], None]:
        """Pass on what comes from a process with an isolated network."""
        return self._passing_on(listener).close

    def close(self) -> None:
        """Stop listening."""
        if self._relay:
            self._relay.close()


class Seat:
    """Room for one worker on a node."""

    def __init__(self) -> None:
        self._cache: Cache | None = None
        self._workers: Workers | None = None
        self._worker: Worker | None = None
        self._address = ""
        self._endpoint: NodeEndpoint | None = None
        self._in_use = threading.Lock()
        self._end = threading.Event()

    def place(self) -> tuple[str, int]:
        """The node, by its identifier, and this process."""
        import ray

        return ray.get_runtime_context().get_node_id(), os.getpid()

    def begin(
        self,
        need: Need,
        account: str,
        token: str,
        label: str,
        address: str,
        archives: Sequence[Any],
        place: tuple[str, int],
        key: bytes,
    ) -> tuple[str, str, str | None]:
        """Start a worker that takes calls over a line to `place`, where the other end knows `key`.

        `archives` refer to the source and the environment, fetched only if this node lacks them.

        Returns `("ok", the number of its process, None)`, or `("failed", why, a hint)`.
        """
        try:
            with self._in_use:
                build = self._cached(need, archives)
                self._see_platform(address)
                connected = _connected(place)
                try:
                    worker = self._worker = self._started().start(build, account, token, label)
                except BaseException:
                    connected.close()
                    raise
                threading.Thread(target=self._serve, args=(worker, connected, key), daemon=True).start()
                return "ok", worker.name, None
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

    def _see_platform(self, address: str) -> None:
        """Have workers call the platform at `address` from now on."""
        if self._endpoint is None or self._address != address:
            if self._endpoint:
                self._endpoint.close()
            self._endpoint, self._address = NodeEndpoint(address), address

    def _endpoint_now(self) -> NodeEndpoint:
        assert self._endpoint
        return self._endpoint

    def _started(self) -> Workers:
        if self._workers is None:
            from algo_local.execution.workers.worker import Workers

            assert self._cache is not None
            self._workers = Workers(self._endpoint_now, self._cache.root / "processes")
        return self._workers

    def _serve(self, worker: Worker, connected: socket.socket, key: bytes) -> None:
        """Serve what comes over a line, until the other end closes it; then the worker is not used any more."""
        with connected:
            try:
                if prove(connected, key, is_platform=False):
                    line = line_over(connected, is_platform=False)
                    with line.socket:
                        self._answer_all(worker, line)
            except (Gone, OSError):
                pass
            finally:
                worker.kill()

    def _answer_all(self, worker: Worker, line: Line) -> None:
        def told(data: bytes) -> None:
            line.send(Kind.PRINTED, body=data)

        calls = 0
        while True:
            kind, seconds, request = line.receive()
            with self._in_use:
                deadline = time.monotonic() + seconds
                if kind is Kind.ASK:  # to load the algorithm, if that is still to be done: no request is handed over
                    worker.await_loaded(deadline, told)
                    line.send(Kind.ANSWER, worker.is_loaded)
                elif worker is not self._worker or (worker.is_loaded and not worker.is_reusable):
                    line.send(Kind.STOP)  # it has ended while it was idle
                else:
                    outcome = worker.call(request, deadline, told)
                    is_reusable = worker.is_reusable and worker.settle()
                    memory = worker.memory() if calls % _LOOK == 0 else None
                    calls += 1
                    head, body = encoded_outcome(outcome, [])
                    line.send(Kind.OUTCOME, (head, is_reusable, worker.is_loaded, memory), body)

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


def _connected(place: tuple[str, int]) -> socket.socket:
    try:
        return socket.create_connection(place, PROVE_SECONDS)
    except OSError as error:
        host, port = place
        raise AlgoError(
            f"This node cannot reach the platform's machine at {host}, port {port}: {error.strerror or error}",
            "Let the machines of the cluster reach each other on all ports above 1024",
        ) from error
