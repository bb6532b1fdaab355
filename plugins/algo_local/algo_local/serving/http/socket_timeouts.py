"""Timeouts of busy connections' sockets: short ones by the kernel, longer ones by polling.

A blocking call on a plain socket ends after `STAY_SECONDS`, by SO_RCVTIMEO and SO_SNDTIMEO: Python's own timeouts would
poll before each call. Only a thread that waits longer polls. `receive_buffer.py` and `sending.py` use this.
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
    """Have the kernel end each blocking call on a plain socket after `STAY_SECONDS`."""
    connected.setsockopt(socket.SOL_SOCKET, socket.SO_RCVTIMEO, _TIMEVAL)
    connected.setsockopt(socket.SOL_SOCKET, socket.SO_SNDTIMEO, _TIMEVAL)


def wait_to_receive(connected: socket.socket, seconds: float) -> None:
    """Wait until the client has sent something. TimeoutError if it sends nothing for `seconds`."""
    if not _is_ready(connected, select.POLLIN, seconds):
        raise TimeoutError("the client sends nothing")


def wait_to_send(connected: socket.socket, seconds: float) -> None:
    """Wait until the client can receive more. TimeoutError if it receives nothing for `seconds`."""
    if not _is_ready(connected, select.POLLOUT, seconds):
        raise TimeoutError("the client takes nothing")


def _is_ready(connected: socket.socket, event: int, seconds: float) -> bool:
    poll = select.poll()
    poll.register(connected, event)
    return bool(poll.poll(seconds * 1000))
