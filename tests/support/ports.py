"""Ports for servers that have to be told one: nobody else takes it before they listen, nor while they are started again."""

from __future__ import annotations

import contextlib
import secrets
import socket
from collections.abc import Iterator, Sequence
from pathlib import Path

_claims: list[socket.socket] = []


def _not_given_away() -> Sequence[int]:
    """The ports that the system does not give to connections, or to whoever asks for any."""
    first, last = map(int, Path("/proc/sys/net/ipv4/ip_local_port_range").read_text().split())
    return range(20_000, first) if first > 24_000 else range(last + 1, 65_536)  # Ray has plans with those before


def free_ports(count: int) -> list[int]:
    """Ports of the loopback interface that nobody listens on, and that no other process of any tests gets."""
    found: list[int] = []
    choices = _not_given_away()
    while len(found) < count:
        port = secrets.choice(choices)
        claim = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        try:
            claim.bind(("127.0.0.1", port))  # for UDP, for as long as this process lives: only one can
            socket.create_server(("127.0.0.1", port)).close()
        except OSError:
            claim.close()
            continue
        _claims.append(claim)
        found.append(port)
    return found


@contextlib.contextmanager
def closed_port() -> Iterator[int]:
    """A port that refuses connections during the block: it is taken, and nobody listens."""
    with socket.socket() as held:
        held.bind(("127.0.0.1", 0))
        yield held.getsockname()[1]
