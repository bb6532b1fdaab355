"""Hand-over of loaded workers between commands and the keeper: messages with descriptors on a private Unix socket.

Imports the standard library only: the keeper knows no package of others.
"""

from __future__ import annotations

import json
import os
import socket
import struct
from collections.abc import Sequence
from typing import Any, NamedTuple

LARGEST = 128 << 10
"""Bytes of a message; well below what the system takes in one piece."""

SOCKET = "socket"
"""The name of the keeper's socket in its directory."""

_CREDENTIALS = struct.Struct("3i")


class Message(NamedTuple):
    """One message; its receiver closes the descriptors."""

    content: dict[str, Any]
    descriptors: list[int]

    def close(self) -> None:
        """Close its descriptors."""
        for descriptor in self.descriptors:
            os.close(descriptor)


def send(channel: socket.socket, content: dict[str, Any], descriptors: Sequence[int] = ()) -> bool:
    """Send a message; False if it is too large.

    Raises:
        OSError: if the other side is gone, or takes no more.
    """
    data = json.dumps(content, separators=(",", ":")).encode()
    if len(data) > LARGEST:
        return False
    socket.send_fds(channel, [data], list(descriptors))
    return True


def receive(channel: socket.socket) -> Message | None:
    """The next message; None at the end, or for an unknown message. OSError as by `socket.recv_fds`."""
    data, descriptors, flags, _ = socket.recv_fds(channel, LARGEST, 16, socket.MSG_CMSG_CLOEXEC)
    try:
        content = json.loads(data) if data and not flags & (socket.MSG_TRUNC | socket.MSG_CTRUNC) else None
    except ValueError:
        content = None
    message = Message(content if isinstance(content, dict) else {}, list(descriptors))
    if isinstance(content, dict):
        return message
    message.close()
    return None


def is_own(channel: socket.socket) -> bool:
    """Whether the peer process belongs to our user."""
    credentials = channel.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, _CREDENTIALS.size)
    return bool(_CREDENTIALS.unpack(credentials)[1] == os.geteuid())
