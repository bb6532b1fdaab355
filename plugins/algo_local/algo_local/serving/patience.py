"""How long a busy connection's socket waits by itself, and its thread beyond that.

The socket of a busy connection gives up after `STAY_SECONDS`: plain ones by time limits that the kernel keeps, so that
no call has to poll first, as Python's own would. Threads that wait for longer then poll.
"""

from __future__ import annotations

import select
import socket
import struct

STAY_SECONDS = 0.05
"""Seconds that a thread waits for the next request before the connection counts as idle."""

PAUSES = (BlockingIOError, TimeoutError)
"""What a socket raises when it gives up; one of TLS raises the latter."""

_TIMEVAL = struct.pack("ll", 0, int(STAY_SECONDS * 1e6))


def limit_waiting(connected: socket.socket) -> None:
    """Have the kernel end each wait of a plain socket after `STAY_SECONDS` once it is made blocking."""
    connected.setsockopt(socket.SOL_SOCKET, socket.SO_RCVTIMEO, _TIMEVAL)
    connected.setsockopt(socket.SOL_SOCKET, socket.SO_SNDTIMEO, _TIMEVAL)


def wait_to_receive(connected: socket.socket, seconds: float) -> None:
    """Wait until the client has sent something. TimeoutError if it sends nothing for so long."""
    if not _is_ready(connected, select.POLLIN, seconds):
        raise TimeoutError("the client sends nothing")


def wait_to_send(connected: socket.socket, seconds: float) -> None:
    """Wait until the client has taken something. TimeoutError if it takes nothing for so long."""
    if not _is_ready(connected, select.POLLOUT, seconds):
        raise TimeoutError("the client takes nothing")


def _is_ready(connected: socket.socket, event: int, seconds: float) -> bool:
    poll = select.poll()
    poll.register(connected, event)
    return bool(poll.poll(seconds * 1000))
