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
from typing import Any
from urllib.parse import urlsplit

from algo_ray.archives import Archives
from algo_ray.frames import Channel
from algo_ray.joining import join
from algo_ray.lines import encryption, family_of, is_loopback
from algo_ray.relay import Relay
from algo_ray.seats import Seats
from algo_ray.sessions import Session


class Driver:
    """Serves the platform's process until that closes `control`."""

    def __init__(self, control: socket.socket) -> None:
        self._control = control
        self._channel = Channel(control)
        self._relays: dict[str, Relay] = {}
        self._lock = threading.Lock()

    def run(self, settings: dict[str, Any]) -> None:
        """Connect to the cluster, say so, and serve."""
        if told := join(**settings):
            self._channel.send("refused", *told)
            return
        import ray

        self._own = ray.util.get_node_ip_address()
        self._tls = encryption(os.environ, is_platform=True)
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
        Session(channel, self._seats, self._archives, self._address, self._own).run()

    def _tell(self, channel: Channel) -> None:
        """Answer questions about the cluster."""
        while channel.receive():
            channel.send("cluster", self._seats.cluster())

    def _address(self, platform: str) -> str:
        """The address at which nodes reach the platform at `platform`: that of a relay, unless nothing leaves this
        machine in any case.
        """
        if is_loopback(self._own) and not self._tls:
            return platform
        with self._lock:
            if platform not in self._relays:
                place = urlsplit(platform)
                listener = socket.create_server((self._own, 0), family=family_of(self._own), backlog=128)
                target = place.hostname or "127.0.0.1", place.port or 80
                self._relays[platform] = Relay(listener, target, accepts_tls=self._tls)
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
