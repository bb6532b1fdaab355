"""Channels between two processes: JSON messages and pieces of content over a socket."""

from __future__ import annotations

import json
import os
import socket
import struct
from typing import Any

from algo_core.errors import PluginError

PIECE = 1 << 18
"""The most bytes in one piece of content."""

_HEAD = struct.Struct(">cI")
_LARGEST = 1 << 26


class Gone(PluginError):
    """The other process has ended, or closed the conversation."""

    def __init__(self) -> None:
        super().__init__("The other side of an isolated plugin has ended", "Run the command again, with --debug")


class Channel:
    """One conversation; closing it ends it for the other process as well."""

    def __init__(self, end: socket.socket) -> None:
        self._end = end

    def send(self, message: Any) -> None:
        """Send a message."""
        self._send(b"j", json.dumps(message).encode())

    def send_piece(self, content: bytes | memoryview) -> None:
        """Send a piece of content; an empty one ends it."""
        self._send(b"c", content)

    def receive(self) -> Any:
        """The next message.

        Raises:
            Gone: if there is none.
        """
        kind, content = self._receive()
        if kind != b"j":
            raise Gone
        return json.loads(content)

    def receive_piece(self) -> bytes:
        """The next piece of content; empty at its end.

        Raises:
            Gone: if there is none; then the content was not whole.
        """
        kind, content = self._receive()
        if kind != b"c":
            raise Gone
        return bytes(content)

    def _send(self, kind: bytes, content: bytes | memoryview) -> None:
        try:
            self._end.sendall(_HEAD.pack(kind, len(content)))
            if content:  # after an empty piece the other side may be gone rightly
                self._end.sendall(content)
        except OSError:
            raise Gone from None

    def _receive(self) -> tuple[bytes, bytearray]:
        kind, size = _HEAD.unpack(self._exactly(_HEAD.size))
        if size > _LARGEST:
            raise Gone
        return kind, self._exactly(size)

    def _exactly(self, size: int) -> bytearray:
        content = bytearray(size)
        view, filled = memoryview(content), 0
        while filled < size:
            try:
                got = self._end.recv_into(view[filled:])
            except OSError:
                got = 0
            if not got:
                raise Gone
            filled += got
        return content

    def close(self) -> None:
        """End the conversation."""
        self._end.close()

    def __enter__(self) -> Channel:
        return self

    def __exit__(self, *exception: object) -> None:
        self.close()


def begin(control: socket.socket) -> Channel:
    """Begin a conversation with the process at the other end.

    Raises:
        Gone: if it has ended.
    """
    ours, theirs = socket.socketpair()
    with theirs:
        try:
            socket.send_fds(control, [b"b"], [theirs.fileno()])
        except OSError:
            ours.close()
            raise Gone from None
    return Channel(ours)


def accept(control: socket.socket) -> Channel | None:
    """Wait for a conversation that the other process begins; None when it has ended."""
    try:
        _, descriptors, _, _ = socket.recv_fds(control, 1, 1)
    except OSError:
        return None
    if not descriptors:
        return None
    os.set_inheritable(descriptors[0], False)
    return Channel(socket.socket(fileno=descriptors[0]))
