"""The limits of the served platform for unauthenticated clients."""

from __future__ import annotations

import resource
from dataclasses import dataclass

HEAD_BYTES = 32 << 10
"""Largest head of a request: its first line and all fields."""

LINE_BYTES = 16 << 10
"""Largest line of a head."""

FIELDS = 100
"""Most fields of a head, and of the trailer section of a chunked body."""

CHUNK_LINE_BYTES = 1 << 10
"""Largest line before a chunk: its size and extensions."""

CONNECTIONS = 1024
"""Most simultaneous connections, however many descriptors there are: each busy one has a thread."""

RESERVED_DESCRIPTORS = 64
"""Descriptors that are kept for the program itself, its algorithms and refusals."""

DESCRIPTORS_PER_CONNECTION = 3
"""A socket, the file that is transferred, and a share of the database's."""


@dataclass(frozen=True, slots=True)
class ConnectionLimits:
    """Times in seconds, and the number of connections."""

    connections: int = CONNECTIONS
    head: float = 10.0
    """From a connection's first byte, or its begin, until the head of its request is complete."""
    idle: float = 60.0
    """Between two requests on a connection."""
    transfer: float = 60.0
    """Without a byte of a body sent or taken by the client."""
    linger: float = 10.0
    """For a client to hear the last response while it is still sending."""
    grace: float = 3.0
    """For requests under way to end when the server is stopped."""


def limits_for_process(*, share: int = 1) -> ConnectionLimits:
    """Limits that keep the connections of a server below this process's descriptors; one of `share` equal servers."""
    descriptors, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    if descriptors == resource.RLIM_INFINITY:
        return ConnectionLimits()
    room = (descriptors - RESERVED_DESCRIPTORS) // (DESCRIPTORS_PER_CONNECTION * share)
    return ConnectionLimits(connections=max(4, min(CONNECTIONS, room)))
