"""Sends responses to clients: heads, bytes, and files, with sendfile where possible."""

from __future__ import annotations

import errno
import os
import socket
from http import HTTPStatus

from algo_local.serving.http.socket_timeouts import PAUSES, wait_to_send
from algo_local.web.http import FileBody, Response

SMALL_BYTES = 64 << 10
"""Bodies up to this size leave together with their head."""

BLOCK = 256 << 10
_STATUS_LINES = {status.value: f"HTTP/1.1 {status.value} {status.phrase}\r\n" for status in HTTPStatus}
_SENDFILE_BYTES = 8 << 20
_NO_SENDFILE = frozenset({errno.EINVAL, errno.ENOSYS, errno.ENOTSUP, errno.EOPNOTSUPP})


def send(connected: socket.socket, data: bytes | memoryview, timeout: float) -> None:
    """Send all of `data`.

    Raises:
        OSError: if the connection fails.
        TimeoutError: if the client receives nothing for `timeout` seconds; there is no limit for the whole.
    """
    while True:
        try:
            sent = connected.send(data)
        except PAUSES:
            wait_to_send(connected, timeout)
            continue
        if sent == len(data):
            return
        data = memoryview(data)[sent:]


def response_bytes(response: Response, *, ends: bool) -> bytes:
    """The head of a response, and its body unless that is a file; `ends` says that the connection ends with it.

    Raises:
        ValueError: if a field would be more than one line.
    """
    headers = response.all_headers()
    fields = "\r\n".join(map(": ".join, headers.items()))
    if fields.count("\n") >= len(headers) or fields.count("\r") >= len(headers):
        raise ValueError(f"A response header field has a line break: {headers!r}")
    end = "\r\nConnection: close\r\n\r\n" if ends else "\r\n\r\n"
    head = f"{_STATUS_LINES[response.status]}{fields}{end}".encode("latin-1")
    return head if isinstance(response.body, FileBody) else head + response.body


def send_file(connected: socket.socket, head: bytes, body: FileBody, timeout: float, *, secure: bool) -> None:
    """Send a head and the file that follows it, over TLS if the connection is `secure`.

    Raises:
        OSError: if the connection fails, or the client receives nothing for `timeout` seconds.
        EOFError: if the file turns out to be shorter than its head says.
    """
    if body.left <= SMALL_BYTES:
        content = body.read(-1)
        send(connected, head + content, timeout)
        if body.left:
            raise EOFError
        return
    send(connected, head, timeout)
    descriptor = None if secure else body.descriptor
    if descriptor is None or not _send_descriptor(connected, descriptor, body, timeout):
        _send_blocks(connected, body, timeout)


def _send_blocks(connected: socket.socket, body: FileBody, timeout: float) -> None:
    buffer = memoryview(bytearray(min(BLOCK, body.left)))
    while body.left:
        count = body.readinto(buffer)
        if not count:
            raise EOFError
        send(connected, buffer[:count], timeout)


def _send_descriptor(connected: socket.socket, descriptor: int, body: FileBody, timeout: float) -> bool:
    """Send the file with sendfile; False, with nothing sent, if the system cannot do that with this file."""
    start = offset = os.lseek(descriptor, 0, os.SEEK_CUR)
    end = offset + body.left
    while offset < end:
        try:
            sent = os.sendfile(connected.fileno(), descriptor, offset, min(end - offset, _SENDFILE_BYTES))
        except BlockingIOError:
            wait_to_send(connected, timeout)
            continue
        except OSError as error:
            if offset == start and error.errno in _NO_SENDFILE:
                return False
            raise
        if not sent:
            raise EOFError
        offset += sent
    body.left = 0
    return True
