"""The driver process: the one that knows Ray. It ends with the platform's process, and all actors with it.

It is a process of its own because Ray writes to its driver's standard output, aborts a driver that it cannot serve, and
wants a Python without other users of its libraries. The platform hands it a socket for each worker (`Session`).
"""

from __future__ import annotations

import json
import os
import socket
import sys
import threading
from collections import OrderedDict
from collections.abc import Callable
from pathlib import Path
from typing import Any

from algo_ray.frames import Channel
from algo_ray.joining import join
from algo_ray.packing import Need, digest_of, pack, pack_environment
from algo_ray.relay import Relay
from algo_ray.seats import Seats
from algo_ray.sessions import Session, family_of

_KEPT_ARCHIVES = 256
"""Sources and environments that are kept in the object store for nodes that may ask for them."""


class Archives:
    """What nodes may need of builds, in Ray's object store, by the hash of its content."""

    def __init__(self) -> None:
        self._kept: OrderedDict[str, tuple[Any, str]] = OrderedDict()
        self._lock = threading.Lock()

    def of(self, need: Need) -> tuple[Need, list[Any]]:
        """A build as nodes keep it, and references to its source and environment. OSError if one cannot be read."""
        source, _ = self._put(need, need.commit, lambda: pack(Path(need.source)))
        environment, digest = self._put(need, os.path.basename(need.environment), lambda: pack_environment(need))
        return need._replace(digest=digest), [source, environment]

    def _put(self, need: Need, name: str, make: Callable[[], bytes]) -> tuple[Any, str]:
        import ray

        if not name:
            return None, ""
        with self._lock:
            if name not in self._kept:
                archive = make()
                self._kept[name] = ray.put(archive), digest_of(need, archive)
                if len(self._kept) > _KEPT_ARCHIVES:
                    self._kept.popitem(last=False)
            self._kept.move_to_end(name)
            return self._kept[name]


class Driver:
    """Serves the platform's process until that closes `control`."""

    def __init__(self, control: socket.socket) -> None:
        self._control = control
        self._channel = Channel(control)
        self._relays: dict[str, Relay] = {}
        self._lock = threading.Lock()

    def run(self, settings: dict[str, Any]) -> None:
        """Connect to the cluster, say so, and serve."""
        if told := join(settings["address"], settings["environment"], settings["packages"]):
            self._channel.send("refused", *told)
            return
        self._seats, self._archives = Seats(), Archives()
        self._channel.send("ready", self._seats.cluster())
        while True:
            data, descriptors, _, _ = socket.recv_fds(self._control, 1, 1)
            if not data:
                return
            for descriptor in descriptors:
                channel = Channel(socket.socket(fileno=descriptor))
                work = self._serve if data == b"w" else self._tell
                threading.Thread(target=work, args=(channel,), daemon=True).start()

    def _serve(self, channel: Channel) -> None:
        import ray

        Session(channel, self._seats, self._archives, self._address, ray.util.get_node_ip_address()).run()

    def _tell(self, channel: Channel) -> None:
        """Answer questions about the cluster."""
        while channel.receive():
            channel.send("cluster", self._seats.cluster())

    def _address(self, platform: str) -> str:
        """The platform's address as the nodes see it, which differs where they are other machines."""
        import ray

        own = ray.util.get_node_ip_address()
        if own.startswith("127.") or own in ("::1", "localhost"):
            return platform
        with self._lock:
            if platform not in self._relays:
                host, _, port = platform.rpartition("/")[2].rpartition(":")
                listener = socket.create_server((own, 0), family=family_of(own), backlog=128)
                self._relays[platform] = Relay(listener, (host, int(port)))
            return self._relays[platform].address


def main() -> None:
    """Be the driver of the process at the other end of the socket whose number is the argument."""
    control = socket.socket(fileno=int(sys.argv[1]))
    settings = json.loads(sys.argv[2])
    try:
        Driver(control).run(settings)
    finally:
        import ray

        threading.Timer(5.0, os._exit, [1]).start()
        ray.shutdown()
        os._exit(0)
