"""A platform that is served by several processes, and clients whose connections are with known ones."""

from __future__ import annotations

import contextlib
import http.client
import json
import os
import signal
import ssl
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from support.serving import Served
from support.wire import PATIENCE


class Several(Served):
    """`algo local serve --processes N`."""

    key = ""

    def parts(self, title: str) -> list[int]:
        """The numbers of its processes whose title begins so."""
        children = Path(f"/proc/{self.process.pid}/task/{self.process.pid}/children").read_text().split()
        found = []
        for child in map(int, children):
            with contextlib.suppress(OSError):
                if Path(f"/proc/{child}/comm").read_text().startswith(title):
                    found.append(child)
        return found

    @property
    def engine(self) -> int:
        (found,) = self.parts("algo-engine")
        return found

    @property
    def front_ends(self) -> list[int]:
        return self.parts("algo-front")

    def crash(self, process: int) -> None:
        """End one of its processes at once, and wait until the parent knows."""
        os.kill(process, signal.SIGKILL)
        eventually(lambda: not os.path.exists(f"/proc/{process}"))

    def close(self) -> None:
        self.kill()

    def connect(self) -> Client:
        return Client(self.address, self.key)

    @contextlib.contextmanager
    def clients(self, count: int = 2) -> Iterator[list[Client]]:
        """Clients of that many front ends, one of each."""
        with contextlib.ExitStack() as stack:
            yield [stack.enter_context(contextlib.closing(self.connect())) for _ in range(count)]


class Client:
    """One connection, which is made at once and kept."""

    def __init__(self, address: str, key: str) -> None:
        parts = urlsplit(address)
        where = (parts.hostname or "", parts.port)
        self.connection = http.client.HTTPConnection(*where, timeout=PATIENCE)
        if parts.scheme == "https":
            anybody = ssl._create_unverified_context()
            self.connection = http.client.HTTPSConnection(*where, timeout=PATIENCE, context=anybody)
        self.key = key
        self.connection.connect()

    def send(self, method: str, path: str, body: Any = None, **headers: str) -> None:
        """Send a request, and leave its response for `receive`."""
        data = body if body is None or isinstance(body, bytes) else json.dumps(body)
        fields = {"Content-Type": "application/octet-stream" if isinstance(body, bytes) else "application/json"}
        fields |= {"Authorization": self.key, **{name.replace("_", "-"): value for name, value in headers.items()}}
        self.connection.request(method, f"/v1/{path}" if not path.startswith("/") else path, data, fields)

    def receive(self) -> tuple[int, Any]:
        """Status and body, decoded if it is JSON."""
        response = self.connection.getresponse()
        self.headers = dict(response.headers)
        data = response.read()
        is_json = response.headers.get("Content-Type", "").startswith("application/json")
        return response.status, json.loads(data) if is_json and data else data

    def __call__(self, method: str, path: str, body: Any = None, **headers: str) -> tuple[int, Any]:
        self.send(method, path, body, **headers)
        return self.receive()

    def close(self) -> None:
        self.connection.close()


def eventually(condition: Any) -> None:
    """Wait until a condition holds."""
    ends = time.monotonic() + PATIENCE
    while not condition():
        assert time.monotonic() < ends, "it did not come about"
        time.sleep(0.01)
